//! Data sets that were read, split, encoded and scaled once and written to one file, whose rows are mapped and not read: a safetensors file
//! with a tensor for the inputs, the targets and the weights of each part, and all else in its metadata.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::Split;
use crate::data::{
    Columns, Dataset, Inputs, Known, Note, Options, Origin, Part, Range, Raw, Samples, Scaling, Schema, TargetScale,
    Targets, split,
};
use crate::error::{Error, Remedy, Result};
use crate::{files, memory};

/// What all versions of the format are called.
const FORMAT: &str = "mlp-gpu data ";
/// Its version.
const VERSION: u32 = 1;
/// What the header begins with, up to the version.
const BEGINS: &str = r#"{"__metadata__":{"format":"mlp-gpu data "#;
/// The most bytes of a header: there are names of columns and categories in it.
const LONGEST: u64 = 1 << 28;
/// Bytes that are checked at a time.
const PORTION: usize = 1 << 20;

/// What is said of a data set beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Described {
    /// What it was converted from.
    name: String,
    /// What there was to say of how it was read.
    notes: Vec<String>,
    classes: Vec<String>,
    target_scale: Option<TargetScale>,
    columns: Option<Columns>,
    schema: Option<Schema>,
    scaling: Option<Scaling>,
    range: Option<Range>,
    image: Option<(usize, usize)>,
    origin: Origin,
    /// CRC-32 of each tensor's bytes.
    checksums: BTreeMap<String, u32>,
}

/// A tensor of the file, as safetensors has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    /// Where its bytes begin and end, behind the header.
    data_offsets: [u64; 2],
}

/// The metadata of the header.
#[derive(Debug, Deserialize)]
struct Metadata {
    format: String,
    /// CRC-32 of the description and of the table of tensors.
    crc32: String,
    data: String,
}

/// What the names of the tensors of a part begin with.
fn name_of(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Test => "test",
        Split::Validation => "validation",
    }
}

/// Writes `dataset`, which was read with `notes`, to `path`: whole or not at all. The same data set gives the same bytes.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn write(dataset: &Dataset, notes: &[Note], path: &Path) -> Result<()> {
    let parts: Vec<(&str, &Samples)> = dataset.parts().map(|(split, part)| (name_of(split), &**part)).collect();
    let mut tensors: Vec<(String, &str, Vec<usize>, &[u8])> = Vec::new();
    for (name, part) in &parts {
        let rows = part.len();
        tensors.push(match &part.targets {
            Targets::Classes(labels) => (format!("{name}.targets"), "U32", vec![rows], bytemuck::cast_slice(labels)),
            Targets::Values(values) => {
                let shape = vec![rows, values.len() / rows.max(1)];
                (format!("{name}.targets"), "F32", shape, bytemuck::cast_slice(values))
            }
        });
        if let Some(weights) = &part.weights {
            tensors.push((format!("{name}.weights"), "F32", vec![rows], bytemuck::cast_slice(weights)));
        }
    }
    // Behind values of four bytes, so that all of those lie at multiples of four.
    for (name, part) in &parts {
        let shape = vec![part.len(), part.width];
        tensors.push(match &part.inputs {
            Inputs::U8(values) => (format!("{name}.inputs"), "U8", shape, values),
            Inputs::F32(values) => (format!("{name}.inputs"), "F32", shape, bytemuck::cast_slice(values)),
        });
    }
    let described = Described {
        name: dataset.name.clone(),
        notes: notes.iter().map(|note| note.text.clone()).collect(),
        classes: dataset.classes.clone(),
        target_scale: dataset.target_scale.clone(),
        columns: dataset.columns.clone(),
        schema: dataset.schema.clone(),
        scaling: dataset.scaling.clone(),
        range: dataset.range,
        image: dataset.image(),
        origin: dataset.origin,
        checksums: tensors.iter().map(|(name, .., bytes)| (name.clone(), checksum(bytes))).collect(),
    };
    let mut end = 0;
    let table: Vec<(String, Tensor)> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            let start = end;
            end += bytes.len() as u64;
            (name.clone(), Tensor { dtype: (*dtype).into(), shape: shape.clone(), data_offsets: [start, end] })
        })
        .collect();
    let json = |error: serde_json::Error| Error::Data(format!("{}: it cannot be described: {error}", path.display()));
    let data = serde_json::to_string(&described).map_err(json)?;
    let crc32 = format!("{:08x}", head_checksum(&data, &table));
    let mut header = format!("{BEGINS}{VERSION}\",\"crc32\":\"{crc32}\",\"data\":");
    header += &serde_json::to_string(&data).map_err(json)?;
    header.push('}');
    for (name, tensor) in &table {
        header += &format!(",{}:{}", Value::from(name.as_str()), serde_json::to_string(tensor).map_err(json)?);
    }
    header.push('}');
    // So that values of four bytes lie at multiples of four in the file too.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    files::write_with(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        tensors.iter().try_for_each(|(.., bytes)| file.write_all(bytes))
    })
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    bytes.chunks(PORTION).for_each(|portion| crc.update(portion));
    crc.sum()
}

/// Of the description and the tensors, in the order in which they lie in the file.
fn head_checksum(data: &str, table: &[(String, Tensor)]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data.as_bytes());
    for (name, Tensor { dtype, shape, data_offsets }) in table {
        crc.update(format!("{name} {dtype} {shape:?} {data_offsets:?}").as_bytes());
    }
    crc.sum()
}

/// Whether a file written by [`write()`] is at `path`.
pub fn present(path: &Path) -> bool {
    let mut start = [0; 8 + BEGINS.len()];
    let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
    is_file
        && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start[8..] == *BEGINS.as_bytes()
}

/// The data set at `path`. Rows are mapped where [`memory::values`] maps, and their checksums compared. What is worth saying goes to
/// `notes`.
///
/// # Errors
/// [`Error::File`] for a file that is cut off, was changed, or is of a newer version; [`Error::Io`].
pub fn read(path: &Path, notes: &mut Vec<Note>) -> Result<Dataset> {
    let io = |error| Error::io("read", path)(error);
    let damaged = |what: &str| Error::file(path, what, "a file as data convert wrote it: convert the data again");
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(io)?;
    let header = u64::from_le_bytes(start);
    if header > LONGEST || header.checked_add(8).is_none_or(|end| end > length) {
        return Err(damaged("a header that is cut off"));
    }
    memory::check(header, || format!("the header of {}", path.display()))?;
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text).map_err(io)?;
    let broken = |error: serde_json::Error| damaged(&format!("a header that does not parse ({error})"));
    let mut parsed: BTreeMap<String, Value> = serde_json::from_slice(&text).map_err(broken)?;
    let metadata = parsed.remove("__metadata__").unwrap_or_default();
    let Metadata { format, crc32, data } = serde_json::from_value(metadata).map_err(broken)?;
    if format != format!("{FORMAT}{VERSION}") {
        return Err(Error::file(path, format!("the format {format:?}"), format!("{FORMAT}{VERSION}")));
    }
    let table = parsed.into_iter().map(|(name, tensor)| Ok((name, serde_json::from_value(tensor)?)));
    let mut table: Vec<(String, Tensor)> = table.collect::<Result<_, serde_json::Error>>().map_err(broken)?;
    table.sort_by_key(|(_, tensor)| tensor.data_offsets);
    if format!("{:08x}", head_checksum(&data, &table)) != crc32 {
        return Err(damaged("a header that was changed"));
    }
    let described: Described = serde_json::from_str(&data).map_err(broken)?;
    let mut end = 0;
    for (name, Tensor { dtype, shape, data_offsets: [first, last] }) in &table {
        let size = if dtype == "U8" { 1 } else { 4 };
        let bytes = shape.iter().try_fold(size, |product: u64, &side| product.checked_mul(side as u64));
        if *first != end || bytes.and_then(|bytes| bytes.checked_add(end)) != Some(*last) {
            return Err(damaged(&format!("the tensor {name} in another place than its shape {shape:?} says")));
        }
        end = *last;
    }
    if end.checked_add(8 + header) != Some(length) {
        return Err(damaged(&format!("{length} bytes where its header says {}", end.saturating_add(8 + header))));
    }
    let tensors = Tensors { path, file, start: 8 + header, table, described };
    let dataset = tensors.dataset()?;
    let Described { name, notes: told, .. } = &tensors.described;
    notes.push(format!("converted from {name}").into());
    notes.extend(told.iter().cloned().map(Note::from));
    Ok(dataset)
}

/// A file whose header is whole.
struct Tensors<'a> {
    path: &'a Path,
    file: File,
    /// Where the tensors begin.
    start: u64,
    table: Vec<(String, Tensor)>,
    described: Described,
}

impl Tensors<'_> {
    fn damaged(&self, what: &str) -> Error {
        Error::file(self.path, what, "a file as data convert wrote it: convert the data again")
    }

    /// The tensor `name`, if there is one.
    fn find(&self, name: &str) -> Option<&Tensor> {
        self.table.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// The values of a tensor, all of which must be `good`, read once.
    fn values<T: bytemuck::Pod>(&self, name: &str, tensor: &Tensor, good: impl Fn(&T) -> bool) -> Result<Vec<T>> {
        let [first, last] = tensor.data_offsets;
        let count = (last - first) as usize / size_of::<T>();
        let values: Vec<T> =
            memory::values(&self.file, self.start + first, count).map_err(Error::io("read", self.path))?;
        let (mut crc, mut all_good) = (Crc::new(), true);
        for portion in values.chunks(PORTION) {
            crc.update(bytemuck::cast_slice(portion));
            all_good &= portion.iter().all(&good);
        }
        match (self.described.checksums.get(name) == Some(&crc.sum()), all_good) {
            (false, _) => Err(self.damaged(&format!("{name} with other bytes than its checksum says"))),
            (true, false) => Err(self.damaged(&format!("{name} with values that cannot be"))),
            (true, true) => Ok(values),
        }
    }

    fn part(&self, part: &str) -> Result<Option<Samples>> {
        let name = |what: &str| format!("{part}.{what}");
        let Some(tensor) = self.find(&name("inputs")) else { return Ok(None) };
        let unfit = |what: &str| self.damaged(&format!("{part}.{what} of another shape or type"));
        let &[rows, width] = &tensor.shape[..] else { return Err(unfit("inputs")) };
        let inputs = match tensor.dtype.as_str() {
            "U8" => Inputs::U8(self.values(&name("inputs"), tensor, |_| true)?),
            "F32" => Inputs::F32(self.values(&name("inputs"), tensor, |value: &f32| value.is_finite())?),
            _ => return Err(unfit("inputs")),
        };
        let tensor = self.find(&name("targets")).ok_or_else(|| unfit("targets"))?;
        let classes = self.described.classes.len();
        let samples = match (&self.described.target_scale, tensor.dtype.as_str(), &tensor.shape[..]) {
            (None, "U32", [count]) if *count == rows => {
                let labels = self.values(&name("targets"), tensor, |&label: &u32| (label as usize) < classes)?;
                Samples::new(inputs, width, labels)?
            }
            (Some(scale), "F32", [count, outputs]) if *count == rows && scale.is_usable(*outputs) => {
                let values = self.values(&name("targets"), tensor, |value: &f32| value.is_finite())?;
                Samples::with_values(inputs, width, values, *outputs)?
            }
            _ => return Err(unfit("targets")),
        };
        let samples = match self.described.image {
            Some(size) => samples.with_image(size)?,
            None => samples,
        };
        match self.find(&name("weights")) {
            Some(tensor) if tensor.dtype == "F32" => {
                samples.with_weights(self.values(&name("weights"), tensor, |_| true)?).map(Some)
            }
            Some(_) => Err(unfit("weights")),
            None => Ok(Some(samples)),
        }
    }

    fn dataset(&self) -> Result<Dataset> {
        let [train, test, validation] =
            [Split::Train, Split::Test, Split::Validation].map(|split| self.part(name_of(split)));
        let train = train?.filter(|part| !part.is_empty()).ok_or_else(|| self.damaged("no rows to train on"))?;
        let (test, validation) = (test?, validation?);
        let Described { classes, target_scale, columns, schema, scaling, range, origin, .. } = &self.described;
        let name = self.path.display().to_string();
        split::check_classes(&name, train.task(), classes)?;
        let bytes = |part: &Samples| matches!(part.inputs, Inputs::U8(_));
        let alike = |part: &Samples| part.width == train.width && bytes(part) == bytes(&train);
        if !test.iter().chain(&validation).all(alike) {
            return Err(self.damaged("parts of rows that are not alike"));
        }
        let fits = match (columns, schema) {
            (Some(columns), Some(schema)) => schema.is_usable(columns) && schema.width() == train.width,
            (Some(columns), None) => columns.count.checked_sub(1) == Some(train.width),
            (None, schema) => schema.is_none(),
        };
        let scaled = match scaling {
            Some(scaling) => !bytes(&train) && scaling.is_usable(train.width),
            None => bytes(&train),
        };
        if !fits || !scaled {
            return Err(self.damaged("columns or a scaling of other rows"));
        }
        let (train, test, validation) = (Arc::new(train), test.map(Arc::new), validation.map(Arc::new));
        let (classes, target_scale, columns) = (classes.clone(), target_scale.clone(), columns.clone());
        let (schema, scaling, range, origin) = (schema.clone(), scaling.clone(), *range, *origin);
        Ok(Dataset { name, train, test, validation, classes, target_scale, columns, schema, scaling, range, origin })
    }
}

/// Refuses options that a converted data set, `set`, was not read by: what they say is decided.
///
/// # Errors
/// [`Error::Unsuited`].
pub(super) fn check(set: &Dataset, options: &Options) -> Result<()> {
    let differs = |given: Option<f64>, drawn: Option<f64>, is_there: bool| {
        given.is_some_and(|share| if share > 0.0 { Some(share) != drawn } else { is_there })
    };
    let given = [
        ("test_split", differs(options.test_split, set.origin.test, set.test.is_some())),
        ("validation_split", differs(options.validation_split, set.origin.validation, set.validation.is_some())),
        ("scale", options.scale.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            let why =
                format!("is decided where data are converted, and {} is: convert its source anew with it", set.name);
            Err(Error::Unsuited { option, why })
        }
        None => Ok(()),
    }
}

/// The parts of a converted data set as those of its source were.
///
/// # Errors
/// [`Error::Data`] for one whose features are scaled, or one whose parts were drawn.
pub(super) fn raw(set: Dataset) -> Result<Raw> {
    let why = match () {
        () if set.scaling.is_some() => "its features are scaled by the rows that it was converted to train on",
        () if set.origin.test.or(set.origin.validation).is_some() => "parts of it were drawn when it was converted",
        () => return Ok(set.into()),
    };
    Err(Error::Data(format!("{}: {why}, and others are needed here: give what it was converted from", set.name)))
}

/// The rows of `part` of a converted data set for the model that `known` describes, which has the same scaling.
///
/// # Errors
/// [`Error::Data`] for another model, [`Error::Usage`] for a part that it does not have.
pub(super) fn rows_for(set: Dataset, known: &Known<'_>, part: Part, notes: &mut Vec<Note>) -> Result<Samples> {
    let (name, model) = (&set.name, known.model);
    let same = set.train.width == known.width
        && set.scaling.as_ref() == known.scaling
        && set.schema.as_ref() == known.schema
        && set.classes[..] == known.classes[..]
        && set.target_scale.as_ref() == known.target_scale;
    if !same {
        let message = format!(
            "{name}: found rows that were encoded and scaled for other training rows than those of the model {model}: give \
             what it was converted from"
        );
        return Err(Error::Data(message));
    }
    if known.origin.is_some_and(|origin| origin.same_rows(&set.origin)) {
        notes.push(format!("{name} is what {model} was trained on").into());
    }
    let rows = match part {
        Part::Test => set.test.unwrap_or(set.train),
        Part::Train => set.train,
        Part::Validation => set.validation.ok_or_else(|| {
            let error = Error::Usage(format!("{name} has no validation part"));
            error.advise(&[Remedy::Option("validation_split")])
        })?,
    };
    Ok(Arc::unwrap_or_clone(rows))
}

#[cfg(test)]
mod tests;
