//! Pictures: a contact sheet of a data set, the units of a first layer, or any tiles in a grid, as a PNG of 8 bits, grey or in
//! colour.

use crate::augment::Augment;
use crate::backend::cpu::augment::{self, Warper};
use crate::backend::cpu::gather_u8::gather_u8;
use crate::data::{Dataset, Inputs, Range, Task, channels};
use crate::error::{Error, Result};
use crate::model::Mlp;

/// Pixels between two tiles, before scaling.
const MARGIN: usize = 2;
/// Brightness of the margins.
const MARGIN_SHADE: u8 = 64;

/// A PNG with a row for each class, each pixel drawn `scale x scale`: its first `columns` training images.
///
/// # Errors
/// [`Error::Data`] when the rows of `dataset` are not images, or have no classes.
pub fn contact_sheet(dataset: &Dataset, columns: usize, scale: usize) -> Result<Vec<u8>> {
    let images = Images::of(dataset)?;
    if dataset.task() == Task::Values {
        return Err(Error::Data(format!("data set {} has no classes, but numbers: it has no preview", dataset.name)));
    }
    let width = dataset.train.width;
    let mut tiles = Vec::with_capacity(dataset.classes.len() * columns);
    for class in 0..dataset.classes.len() as u32 {
        let rows = dataset.train.labels().iter().enumerate().filter(|(_, label)| **label == class);
        let mut row: Vec<Vec<u8>> = rows.take(columns).map(|(index, _)| images.pixels(index)).collect();
        row.resize(columns, vec![MARGIN_SHADE; width]);
        tiles.extend(row);
    }
    grid(&tiles, images.size, columns, scale)
}

/// A PNG with a row for each of the first `images` training images, each pixel drawn `scale x scale`: the image as it is, and what
/// `augment` makes of it in the first `steps` steps of training.
///
/// # Errors
/// [`Error::Data`] when the rows of `dataset` are not images.
pub fn augmented_sheet(
    dataset: &Dataset,
    augment: Augment,
    (count, steps): (usize, usize),
    scale: usize,
) -> Result<Vec<u8>> {
    let images = Images::of(dataset)?;
    let channels = channels(images.size, dataset.train.width).unwrap_or(1);
    let warper = Warper::new(augment, images.size).with_channels(channels);
    let mut tiles = Vec::with_capacity(count * (1 + steps));
    for index in 0..count.min(dataset.train.len()) {
        let pixels = images.pixels(index);
        tiles.push(pixels.clone());
        tiles.extend((1..=steps as u64).map(|step| augmented(&warper, &pixels, index as u32, step)));
    }
    grid(&tiles, images.size, 1 + steps, scale)
}

/// The training images of a data set.
struct Images<'a> {
    /// (height, width).
    size: (usize, usize),
    dataset: &'a Dataset,
    /// The numbers that are drawn black and white, before they were scaled.
    ends: (f32, f32),
}

impl<'a> Images<'a> {
    fn of(dataset: &'a Dataset) -> Result<Self> {
        let none = || Error::Data(format!("data set {} does not hold images: it has no preview", dataset.name));
        let mut images = Self { size: dataset.image().ok_or_else(none)?, dataset, ends: (0.0, 255.0) };
        // Numbers that are no pixels are drawn from the least to the greatest.
        if let (Inputs::F32(_), None | Some(Range::Numbers)) = (&dataset.train.inputs, dataset.range) {
            let ends = (0..dataset.train.len()).flat_map(|row| images.numbers(row));
            images.ends = ends.fold((f32::MAX, f32::MIN), |(least, most), value| (least.min(value), most.max(value)));
        }
        Ok(images)
    }

    /// The values of row `index` before they were scaled.
    fn numbers(&self, index: usize) -> Vec<f32> {
        let mut row = self.dataset.train.inputs.part(self.row(index)).to_f32().into_owned();
        if let Some(scaling) = &self.dataset.scaling {
            scaling.undo(&mut row);
        }
        row
    }

    /// The pixels of row `index`.
    fn pixels(&self, index: usize) -> Vec<u8> {
        if let Inputs::U8(pixels) = &self.dataset.train.inputs {
            return pixels[self.row(index)].to_vec();
        }
        let (black, white) = self.ends;
        let shade = |value: f32| (255.0 * (value - black) / (white - black)).round() as u8;
        self.numbers(index).into_iter().map(shade).collect()
    }

    fn row(&self, index: usize) -> std::ops::Range<usize> {
        let width = self.dataset.train.width;
        index * width..(index + 1) * width
    }
}

/// What the image `pixels`, which is row `index`, becomes in step `step` of a run with the seed 0.
fn augmented(warper: &Warper, pixels: &[u8], index: u32, step: u64) -> Vec<u8> {
    let mut x = vec![0.0; warper.values()];
    gather_u8(pixels, &[0], warper.values(), &mut x);
    augment::augment(warper, Warper::key(0, step), index, &mut x);
    x.into_iter().map(|value| (255.0 * value).round() as u8).collect()
}

/// Tiles of this picture to a row.
const UNITS_A_ROW: usize = 8;

/// A PNG of the weights of each unit of the first layer, as an image of the inputs: 0 in mid-grey, the largest weight of
/// the unit white or black; of colours each. Inputs of which no `size` is known are a square image.
///
/// # Errors
/// [`Error::Data`] when the inputs are no such image.
pub fn units(model: &Mlp, parameters: &[f32], size: Option<(usize, usize)>) -> Result<Vec<u8>> {
    let layer = &model.layers()[0];
    let side = layer.inputs.isqrt();
    let size = size.unwrap_or((side, side));
    if channels(size, layer.inputs).is_none() {
        return Err(Error::Data(format!("{} inputs are no square image: the units have no picture", layer.inputs)));
    }
    let weights = &parameters[layer.weights.clone()];
    let tile = |unit: usize| shades(&weights.iter().skip(unit).step_by(layer.outputs).copied().collect::<Vec<f32>>());
    let tiles: Vec<Vec<u8>> = (0..layer.outputs).map(tile).collect();
    grid(&tiles, size, UNITS_A_ROW.min(tiles.len()), 4)
}

/// The weights of a unit as shades of grey: 0 in the middle, the largest white or black.
pub(crate) fn shades(weights: &[f32]) -> Vec<u8> {
    let largest = weights.iter().fold(f32::MIN_POSITIVE, |largest, weight| largest.max(weight.abs()));
    weights.iter().map(|weight| (127.5 + 127.5 * weight / largest).round() as u8).collect()
}

/// A PNG of `tiles`, each `height x width` pixels of one value or three, `columns` a row, each pixel drawn `scale x scale`.
///
/// # Errors
/// [`Error::Data`] when a tile is of another size, or there is nothing to draw.
pub fn grid(tiles: &[Vec<u8>], (height, width): (usize, usize), columns: usize, scale: usize) -> Result<Vec<u8>> {
    let channels = tiles.first().and_then(|tile| channels((height, width), tile.len())).unwrap_or(1);
    let values = height * width * channels;
    if tiles.is_empty() || columns == 0 || scale == 0 || tiles.iter().any(|tile| tile.len() != values) {
        return Err(Error::Data(format!("cannot draw {} tiles of {height} x {width} pixels", tiles.len())));
    }
    let (cell_height, cell_width) = (height + MARGIN, width + MARGIN);
    let sheet_width = (columns * cell_width + MARGIN) * scale;
    let sheet_height = (tiles.len().div_ceil(columns) * cell_height + MARGIN) * scale;
    let mut sheet = vec![MARGIN_SHADE; sheet_width * sheet_height * channels];
    for (index, tile) in tiles.iter().enumerate() {
        let top = (index / columns * cell_height + MARGIN) * scale;
        let left = (index % columns * cell_width + MARGIN) * scale;
        for y in 0..height * scale {
            for x in 0..width * scale {
                let (to, from) = ((top + y) * sheet_width + left + x, y / scale * width + x / scale);
                sheet[to * channels..][..channels].copy_from_slice(&tile[from * channels..][..channels]);
            }
        }
    }
    encoded(&sheet, (sheet_height, sheet_width))
}

/// A PNG of `pixels`, row by row, of one value or three, of an image of this height and width.
///
/// # Errors
/// [`Error::Data`] for an image without pixels.
pub(crate) fn encoded(pixels: &[u8], (height, width): (usize, usize)) -> Result<Vec<u8>> {
    let colour = if pixels.len() == height * width { png::ColorType::Grayscale } else { png::ColorType::Rgb };
    encode(pixels, width, height, colour).map_err(|error| Error::Data(format!("cannot make a PNG: {error}")))
}

fn encode(pixels: &[u8], width: usize, height: usize, colour: png::ColorType) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_decodes_to_its_tiles() {
        let tiles = [vec![1, 2, 3, 4, 5, 6], vec![10, 20, 30, 40, 50, 60]];
        let png = grid(&tiles, (2, 3), 1, 2).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (14, 20));
        let at = |y: usize, x: usize| pixels[y * 14 + x];
        assert_eq!((at(0, 0), at(4, 4), at(5, 5), at(4, 6), at(12, 4), at(15, 9)), (64, 1, 1, 2, 10, 60));
    }

    #[test]
    fn tiles_of_three_values_a_pixel_are_drawn_in_colour() {
        let png = grid(&[vec![1, 2, 3, 4, 5, 6]], (1, 2), 1, 1).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (6, 5, png::ColorType::Rgb));
        assert_eq!(pixels[(2 * 6 + 2) * 3..][..6], [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn tiles_of_another_size_are_refused() {
        assert!(grid(&[vec![0; 5]], (2, 3), 1, 1).is_err());
        assert!(grid(&[], (2, 3), 1, 1).is_err());
    }
}
