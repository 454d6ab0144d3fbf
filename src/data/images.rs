//! Folders of image files, one folder per class: `DIR/<class>/*`, or `DIR/train/<class>/*` and `DIR/test/<class>/*`. Every
//! image becomes a row of bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::framing::{Form, Framing, SIDE};
use crate::data::{Inputs, Known, Note, Options, Range, Raw, Samples};
use crate::error::{Error, Remedy, Result};

pub(crate) mod decode;
pub(crate) mod formats;
mod listing;

use listing::{Image, Listing};
pub(crate) use listing::{LeftOut, of_classes, paths, sort_out, sorted_out};

/// The most bytes of pixels that are read.
const MAX_BYTES: usize = 4 << 30;
/// One in so many images may be broken: a few say nothing about the others, more are a fault of the whole.
const FEW: usize = 10;
/// The files that are named where more are meant.
const NAMED: usize = 10;

/// Reads the folder `path`: for a model where one is `known`, whose form its images take. Otherwise they take that of `options`,
/// and without a size all must have the same. What is left out or decided is told.
///
/// # Errors
/// [`Error::File`] for a folder or files that cannot be used, [`Error::Usage`] for options that do not go together.
pub fn read(path: &Path, options: &Options, known: Option<&Known<'_>>, notes: &mut Vec<Note>) -> Result<Raw> {
    let listing = listing::list(path, notes)?;
    let form = match known {
        Some(known) => form_of_model(path, options, known, notes)?,
        None => form(options, || one_size(path, &listing))?,
    };
    let Listing { classes, train, test, validation } = listing;
    let mut reader = Reader { path, form, skip: options.skip_broken, broken: Vec::new(), read: 0, colourful: 0 };
    let train = reader.part(&train)?;
    let test = test.map(|images| reader.part(&images)).transpose()?;
    let validation = validation.map(|images| reader.part(&images)).transpose()?;
    reader.finish(notes)?;
    for (index, class) in classes.iter().enumerate() {
        if !train.labels().contains(&(index as u32)) {
            return Err(Error::file(&path.join(class), "no image that can be read", "the images of a class"));
        }
    }
    let name = path.display().to_string();
    Ok(Raw { name, train, test, validation, classes, target_scale: None, columns: None, range: Some(Range::BYTES) })
}

/// What to say where `count` of the `read` images are in colour and that is lost; none where these are few.
pub(crate) fn taken_in_grey(count: usize, read: usize) -> Option<String> {
    (count * 10 > read).then(|| format!("{count} of {read} images are in colour and are taken in grey"))
}

/// The form that `options` ask for, of the size `usual` where they name none.
fn form(options: &Options, usual: impl FnOnce() -> Result<(usize, usize)>) -> Result<Form> {
    let (framing, colour) = (options.framing.unwrap_or(Framing::Resize), options.colour);
    let size = match framing {
        Framing::Resize => options.image_size.map_or_else(usual, Ok)?,
        Framing::Mnist if options.image_size.is_some_and(|size| size != (SIDE, SIDE)) || colour => {
            let message = "images that are framed as MNIST's are grey and of 28 x 28: leave size and colour out";
            return Err(Error::Usage(message.into()));
        }
        Framing::Mnist => (SIDE, SIDE),
    };
    Ok(Form { framing, size, colour })
}

/// The form that the model takes.
fn form_of_model(path: &Path, options: &Options, known: &Known<'_>, notes: &mut Vec<Note>) -> Result<Form> {
    let framing = options.framing.unwrap_or_else(|| known.framing_of(path));
    let form = known.form(path, framing)?;
    let model = known.model;
    if let Some((height, width)) = options.image_size.filter(|size| *size != form.size) {
        let (rows, columns) = form.size;
        let message = format!("images of {height} x {width}: the model {model} takes {rows} x {columns}");
        return Err(Error::Usage(message));
    }
    if options.colour && !form.colour {
        return Err(Error::Usage(format!("images in colour: the model {model} takes grey ones")));
    }
    if options.framing.is_none() && framing == Framing::Mnist {
        let text = format!("the images of {} are framed as MNIST's digits are, as {model} takes them", path.display());
        notes.push(Note::new(text, "framing"));
    }
    Ok(form)
}

/// The size that all images have, as far as their headers can be read; what is broken is told where they are decoded.
fn one_size(path: &Path, listing: &Listing) -> Result<(usize, usize)> {
    let Listing { train, test, validation, .. } = listing;
    let images: Vec<&Image> = train.iter().chain(test.iter().flatten()).chain(validation.iter().flatten()).collect();
    let found: Vec<_> = images.par_iter().map(|image| decode::size(&image.path).ok()).collect();
    let mut sizes: BTreeMap<(usize, usize), (usize, &Path)> = BTreeMap::new();
    for (size, image) in found.into_iter().zip(images).filter_map(|(size, image)| Some((size?, image))) {
        sizes.entry(size).or_insert((0, &image.path)).0 += 1;
    }
    let mut frequent: Vec<_> = sizes.into_iter().collect();
    frequent.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    match &frequent[..] {
        [] => Ok((1, 1)),
        [(size, _)] => Ok(*size),
        several => {
            let one = |((height, width), (count, first)): &((usize, usize), (usize, &Path))| {
                format!("{count} of {height} x {width}, such as {}", within(path, first))
            };
            let shown: Vec<String> = several.iter().take(3).map(one).collect();
            let rest = if several.len() > shown.len() { ", ..." } else { "" };
            let found = format!("images of {} sizes (height x width): {}{rest}", several.len(), shown.join("; "));
            Err(Error::file(path, found, "one size, or one to resize all to").advise(&[Remedy::Option("image_size")]))
        }
    }
}

/// `file` as it is called in the folder `path`.
fn within<'a>(path: &Path, file: &'a Path) -> std::path::Display<'a> {
    file.strip_prefix(path).unwrap_or(file).display()
}

/// What reads the images of a folder.
struct Reader<'a> {
    path: &'a Path,
    form: Form,
    /// Whether images that cannot be used are left out.
    skip: bool,
    broken: Vec<(PathBuf, Error)>,
    /// Images that were read.
    read: usize,
    /// Those of them in colour that were taken in grey.
    colourful: usize,
}

impl Reader<'_> {
    /// The images of a part.
    fn part(&mut self, images: &[Image]) -> Result<Samples> {
        let (height, width) = self.form.size;
        let bytes = self.form.width().checked_mul(images.len());
        if bytes.is_none_or(|bytes| bytes > MAX_BYTES) {
            let found = format!("{} images of {height} x {width}", images.len());
            let error = Error::file(self.path, found, "at most 4 GiB of pixels: a smaller size of images");
            return Err(error.advise(&[Remedy::Option("image_size")]));
        }
        let row = |image: &Image| {
            let picture = decode::open(&image.path)?;
            let colourful = self.form.lacks_colours_of(&picture);
            Ok((self.form.row_of_image(&image.path, picture)?, colourful))
        };
        let rows: Vec<Result<(Vec<u8>, bool)>> = images.par_iter().map(row).collect();
        let (mut pixels, mut labels) = (Vec::with_capacity(self.form.width() * images.len()), Vec::new());
        for (image, row) in images.iter().zip(rows) {
            match row {
                Ok((row, colourful)) => {
                    pixels.extend(row);
                    labels.push(image.class);
                    self.colourful += usize::from(colourful);
                }
                Err(error) => self.broken.push((image.path.clone(), error)),
            }
        }
        self.read += labels.len();
        Samples::new(Inputs::U8(pixels), self.form.width(), labels)?.with_image(self.form.size)
    }

    /// Tells what became of the images.
    ///
    /// # Errors
    /// How many are broken, unless they are few or skipped.
    fn finish(self, notes: &mut Vec<Note>) -> Result<()> {
        let all = self.read + self.broken.len();
        match self.broken.len() {
            0 => {}
            count => {
                let what = broken(self.path, &self.broken);
                if !self.skip && count * FEW > all {
                    let found = format!("{count} of {all} images that cannot be used: {what}");
                    let error = Error::file(self.path, found, "whole images");
                    // Without the broken ones nothing might be left.
                    return Err(if self.read > 0 { error.advise(&[Remedy::Option("skip_broken")]) } else { error });
                }
                let (path, are) = (self.path.display(), if count == 1 { "is" } else { "are" });
                notes.push(format!("{path}: {count} of {all} images {are} left out as broken: {what}").into());
            }
        }
        if let Some(taken) = taken_in_grey(self.colourful, self.read) {
            notes.push(Note::new(format!("{}: {taken}", self.path.display()), "colour"));
        }
        Ok(())
    }
}

/// The first of the files in `path` that cannot be used, and why the very first cannot.
pub(crate) fn broken(path: &Path, files: &[(PathBuf, Error)]) -> String {
    let named: Vec<String> = files.iter().take(NAMED).map(|(file, _)| within(path, file).to_string()).collect();
    let rest = if files.len() > NAMED { ", ..." } else { "" };
    let why = files.first().map_or_else(String::new, |(_, error)| match error {
        Error::File { found, .. } => found.clone(),
        Error::Io { source, .. } => source.to_string(),
        error => error.to_string(),
    });
    format!("{}{rest} ({}{why})", named.join(", "), if files.len() > 1 { "the first: " } else { "" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
