//! The rows of which a model is most wrong: classes that it is sure of and that are others, values that are far off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::{Importances, is_of_images};
use crate::checkpoint::Checkpoint;
use crate::data::schema::rounded;
use crate::data::{Inputs, Samples, channels};
use crate::error::Result;
use crate::metrics::calibration;
use crate::preview;

/// The most rows that are told: of images, and of tables.
const IMAGES: usize = 24;
const ROWS: usize = 12;
/// The most columns whose cells are told.
const COLUMNS: usize = 12;
/// The most pixels of a side of an image that is kept.
const SIDE: u32 = 96;

/// The rows of which a model is most wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mistakes {
    /// Number of all rows whose class was not predicted; of values, of all rows.
    pub all: u64,
    /// The names of the columns whose cells are told; empty for images.
    pub columns: Vec<String>,
    /// The rows, the worst first.
    pub rows: Vec<Mistake>,
}

/// A row of which a model is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its number among the rows that were evaluated, from 1.
    pub row: u64,
    /// Its class or value.
    pub actual: String,
    /// What was predicted.
    pub predicted: String,
    /// The probability of the predicted class, and that of the actual one; of values the error, in their unit, and nothing.
    pub certainty: (f64, Option<f64>),
    /// The row as a PNG in base64, where it is an image.
    pub image: Option<String>,
    /// Its cells, as far as they can be told from its features; empty for images.
    pub cells: Vec<String>,
}

/// The worst of the `predicted` rows of `samples`; cells are those of the most important columns.
pub(super) fn of(
    model: &Checkpoint,
    samples: &Samples,
    predicted: &[f32],
    importance: Option<&Importances>,
) -> Result<Mistakes> {
    let images = is_of_images(model) && model.image().and_then(|size| channels(size, samples.width)).is_some();
    let most = if images { IMAGES } else { ROWS };
    let (all, mut rows) = match model.target_scale() {
        None => classes(model, samples, predicted, most),
        Some(scale) => {
            let (predicted, targets) = (scale.undo(predicted), scale.undo(samples.values()));
            values(&predicted, &targets, &scale.names, most)
        }
    };
    if images {
        for mistake in &mut rows {
            mistake.image = Some(picture(model, samples, mistake.row as usize - 1)?);
        }
        return Ok(Mistakes { all, columns: Vec::new(), rows });
    }
    let columns = Columns::of(model);
    let place = |name: &String| columns.names.iter().position(|other| other == name);
    let by_importance = importance.map(|found| found.columns.iter().filter_map(|column| place(&column.name)));
    let wanted: Vec<usize> = match by_importance {
        Some(places) => places.take(COLUMNS).collect(),
        None => (0..columns.names.len().min(COLUMNS)).collect(),
    };
    for mistake in &mut rows {
        mistake.cells = columns.cells(samples, mistake.row as usize - 1, &wanted);
    }
    Ok(Mistakes { all, columns: wanted.iter().map(|&column| columns.names[column].clone()).collect(), rows })
}

/// The rows whose predicted class is not theirs, the most probable first: how many, and `most` of them.
fn classes(model: &Checkpoint, samples: &Samples, predicted: &[f32], most: usize) -> (u64, Vec<Mistake>) {
    let names = model.class_names();
    let mut wrong: Vec<(usize, usize, f32)> = Vec::new();
    for (row, (p, &label)) in predicted.chunks_exact(names.len().max(1)).zip(samples.labels()).enumerate() {
        let (class, confidence) = calibration::predicted(p);
        if class != label as usize {
            wrong.push((row, class, confidence));
        }
    }
    wrong.sort_by(|one, other| other.2.total_cmp(&one.2).then(one.0.cmp(&other.0)));
    let mistake = |&(row, class, confidence): &(usize, usize, f32)| {
        let label = samples.labels()[row] as usize;
        Mistake {
            row: row as u64 + 1,
            actual: names[label].clone(),
            predicted: names[class].clone(),
            certainty: (f64::from(confidence), Some(f64::from(predicted[row * names.len() + label]))),
            image: None,
            cells: Vec::new(),
        }
    };
    let finite = |(.., confidence): &&(usize, usize, f32)| confidence.is_finite();
    (wrong.len() as u64, wrong.iter().filter(finite).take(most).map(mistake).collect())
}

/// The rows with the largest error of a value, in the unit of the targets; of several values the one that is furthest off.
fn values(predicted: &[f64], targets: &[f64], names: &[String], most: usize) -> (u64, Vec<Mistake>) {
    let outputs = names.len().max(1);
    let errors = predicted.chunks_exact(outputs).zip(targets.chunks_exact(outputs)).enumerate();
    let worst = |(row, (predicted, targets)): (usize, (&[f64], &[f64]))| {
        let errors = predicted.iter().zip(targets).map(|(predicted, target)| predicted - target).enumerate();
        errors.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs())).map(|(output, error)| (row, output, error))
    };
    let mut found: Vec<(usize, usize, f64)> = errors.filter_map(worst).collect();
    let all = found.len() as u64;
    found.retain(|(.., error)| error.is_finite());
    found.sort_by(|one, other| other.2.abs().total_cmp(&one.2.abs()).then(one.0.cmp(&other.0)));
    let told = |output: usize, value: f64| match outputs {
        1 => rounded(value),
        _ => format!("{} {}", names[output], rounded(value)),
    };
    let mistake = |&(row, output, error): &(usize, usize, f64)| Mistake {
        row: row as u64 + 1,
        actual: told(output, targets[row * outputs + output]),
        predicted: told(output, predicted[row * outputs + output]),
        certainty: (error, None),
        image: None,
        cells: Vec::new(),
    };
    (all, found.iter().take(most).map(mistake).collect())
}

/// Row `row` of `samples`, an image, as a PNG in base64.
fn picture(model: &Checkpoint, samples: &Samples, row: usize) -> Result<String> {
    let size = model.image().unwrap_or_default();
    let range = row * samples.width..(row + 1) * samples.width;
    let pixels: Vec<u8> = match &samples.inputs {
        Inputs::U8(values) => values[range].to_vec(),
        Inputs::F32(values) => {
            let (low, high) = values[range.clone()]
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
            let width = if high > low { high - low } else { 1.0 };
            values[range].iter().map(|value| (255.0 * (value - low) / width).round() as u8).collect()
        }
    };
    tile(pixels, size, SIDE)
}

/// An image of one value or three per pixel as a PNG in base64, made smaller where a side is longer than `most` pixels.
pub(super) fn tile(pixels: Vec<u8>, (height, width): (usize, usize), most: u32) -> Result<String> {
    let (tall, wide) = (height as u32, width as u32);
    let longest = tall.max(wide);
    let encoded = if longest <= most {
        preview::encoded(&pixels, (height, width))?
    } else {
        let side = |side: u32| (u64::from(side) * u64::from(most)).div_ceil(u64::from(longest)).max(1) as u32;
        let (to_height, to_width) = (side(tall), side(wide));
        let grey = pixels.len() == height * width;
        let smaller = if grey {
            let image = GrayImage::from_raw(wide, tall, pixels).unwrap_or_default();
            imageops::resize(&image, to_width, to_height, FilterType::Triangle).into_raw()
        } else {
            let image = RgbImage::from_raw(wide, tall, pixels).unwrap_or_default();
            imageops::resize(&image, to_width, to_height, FilterType::Triangle).into_raw()
        };
        preview::encoded(&smaller, (to_height as usize, to_width as usize))?
    };
    Ok(BASE64.encode(encoded))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_the_size_of_their_errors() {
        let names = ["a".to_owned(), "b".to_owned()];
        let (all, rows) = values(&[1.0, 5.0, 2.0, 2.0, f64::NAN, 0.0], &[1.0, 2.0, 12.0, 2.0, 0.0, 0.0], &names, 5);
        assert_eq!((all, rows.len()), (3, 2));
        assert_eq!((rows[0].row, rows[0].actual.as_str(), rows[0].certainty), (2, "a 12", (-10.0, None)));
        assert_eq!((rows[1].row, rows[1].predicted.as_str(), rows[1].certainty), (1, "b 5", (3.0, None)));
    }

    #[test]
    fn large_images_are_kept_small() {
        let png = BASE64.decode(tile(vec![200; 300 * 100 * 3], (300, 100), 96).unwrap()).unwrap();
        let image = image::load_from_memory(&png).unwrap();
        assert_eq!((image.height(), image.width()), (96, 32));
        assert_eq!(image.to_rgb8().get_pixel(5, 5).0, [200; 3]);
    }
}
