//! Models as safetensors files that PyTorch loads into `nn.Sequential(Linear, ReLU, Linear, ...)` as they are: keys
//! `0.weight` (out x in), `0.bias`, `2.weight`, ...; everything else is one JSON object in the metadata.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::data::{Columns, Dataset, Known, Scaling};
use crate::error::{Error, Result};
use crate::files;
use crate::model::Mlp;

/// The metadata's one key. More would be written in an order that changes from run to run.
const KEY: &str = "mlp-gpu";
/// Raised whenever an older version could misread what a newer one wrote.
const FORMAT_VERSION: u32 = 1;

/// What a file says of its model beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this description.
    pub format_version: u32,
    /// The version of mlp-gpu that wrote it.
    pub version: String,
    /// Layer widths.
    pub widths: Vec<usize>,
    /// Name of the data set it learnt from.
    pub data: String,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Height and width in pixels where an input row is an image.
    pub image: Option<(usize, usize)>,
    /// The columns of the files that it learnt from, where they were tables.
    #[serde(default)]
    pub columns: Option<Columns>,
    /// How its inputs are scaled; none where they are bytes, read as `value / 255`.
    pub scaling: Option<Scaling>,
    /// Seed of its weights and order.
    pub seed: u64,
    /// Epochs it was trained for.
    pub epochs: u32,
}

impl Metadata {
    /// The description, in this version, of a model that learnt from `dataset`.
    pub fn new(model: &Mlp, dataset: &Dataset, seed: u64, epochs: u32) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            widths: model.widths().to_vec(),
            data: dataset.name.clone(),
            classes: dataset.classes.clone(),
            image: dataset.image,
            columns: dataset.columns.clone(),
            scaling: dataset.scaling.clone(),
            seed,
            epochs,
        }
    }

    /// What other data must fit, to be evaluated or predicted.
    pub fn known(&self) -> Known<'_> {
        Known {
            width: self.widths.first().copied().unwrap_or(0),
            classes: &self.classes,
            columns: self.columns.as_ref(),
            image: self.image,
            scaling: self.scaling.as_ref(),
        }
    }
}

/// Writes `parameters` of `model` to `path`, whole or not at all. The same model gives the same bytes. Without
/// `metadata` there are only tensors.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn save(path: &Path, model: &Mlp, parameters: &[f32], metadata: Option<&Metadata>) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::Data(format!("cannot describe the model: {error}"));
    let mut tensors = Vec::new();
    for (index, layer) in model.layers().iter().enumerate() {
        let weights = transpose(&parameters[layer.weights.clone()], layer.inputs, layer.outputs);
        let biases = parameters[layer.biases.clone()].to_vec();
        tensors.push((format!("{}.weight", 2 * index), vec![layer.outputs, layer.inputs], little_endian(&weights)));
        tensors.push((format!("{}.bias", 2 * index), vec![layer.outputs], little_endian(&biases)));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| failed(&error))?;
    let json = metadata.map(serde_json::to_string).transpose().map_err(|error| failed(&error))?;
    let metadata = json.map(|json| HashMap::from([(KEY.to_owned(), json)]));
    files::write(path, &safetensors::serialize(views, metadata).map_err(|error| failed(&error))?)
}

/// A model read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its layer widths.
    pub model: Mlp,
    /// Its flat parameters.
    pub parameters: Vec<f32>,
    /// What the file says of it; none in a file that other software wrote.
    pub metadata: Option<Metadata>,
}

/// Reads a model of float32 linear layers, written by [`save`] or by PyTorch from an `nn.Sequential` of the same shape.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`], naming the tensor that is missing or does not fit.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let bad = |found: String, expected: &str| Error::file(path, found, expected);
    let broken = |error| bad(format!("a broken file ({error})"), "a safetensors file");
    let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let metadata = match header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)) {
        None => None,
        Some(json) => {
            let metadata: Metadata = serde_json::from_str(json)
                .map_err(|error| bad(format!("metadata that does not parse ({error})"), "what mlp-gpu writes"))?;
            if metadata.format_version > FORMAT_VERSION {
                let found = format!("format version {} of mlp-gpu {}", metadata.format_version, metadata.version);
                return Err(bad(found, "at most version 1: use a newer mlp-gpu"));
            }
            Some(metadata)
        }
    };

    let tensor = |name: String, dimensions: usize| {
        let view = file.tensor(&name).map_err(|_| bad(format!("no tensor {name}"), "layers 0, 2, 4, ..."))?;
        if view.dtype() != Dtype::F32 || view.shape().len() != dimensions {
            let found = format!("{name} of type {:?} and shape {:?}", view.dtype(), view.shape());
            return Err(bad(found, &format!("F32 with {dimensions} dimension(s)")));
        }
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(bad(format!("{} in {name} at {index}", values[index]), "finite numbers"));
        }
        Ok((view.shape().to_vec(), values))
    };
    if !file.len().is_multiple_of(2) || file.is_empty() {
        return Err(bad(format!("{} tensors", file.len()), "a weight and a bias for each layer"));
    }
    let (mut widths, mut parameters) = (Vec::new(), Vec::new());
    for layer in 0..file.len() / 2 {
        let (shape, weights) = tensor(format!("{}.weight", 2 * layer), 2)?;
        let (outputs, inputs) = (shape[0], shape[1]);
        let (bias_shape, biases) = tensor(format!("{}.bias", 2 * layer), 1)?;
        if widths.last().is_some_and(|&width| width != inputs) || bias_shape[0] != outputs {
            let found = format!("{}.weight of {outputs} x {inputs} with {} biases", 2 * layer, bias_shape[0]);
            let expected = match widths.last() {
                Some(width) => format!("inputs {width}, as the layer before has outputs, and a bias for each output"),
                None => "a bias for each output".into(),
            };
            return Err(bad(found, &expected));
        }
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
        parameters.extend(transpose(&weights, outputs, inputs));
        parameters.extend(biases);
    }
    let model = Mlp::new(&widths).map_err(|error| bad(error.to_string(), "a network that can be run"))?;
    Ok(Checkpoint { model, parameters, metadata })
}

/// The transpose of a row-major `rows x columns` matrix.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::{Inputs, Samples, numbered};
    use crate::model::Init;

    fn metadata(model: &Mlp) -> Metadata {
        let part = Samples::new(Inputs::U8(vec![]), model.inputs(), vec![]).unwrap();
        let dataset = Dataset {
            name: "some".into(),
            train: part.clone(),
            test: part,
            validation: None,
            classes: numbered(model.classes()),
            image: None,
            columns: Some(Columns { count: model.inputs() + 1, label: 0, names: None }),
            scaling: Some(Scaling { offset: vec![0.1; model.inputs()], divisor: vec![3.0; model.inputs()] }),
        };
        Metadata::new(model, &dataset, 1, 7)
    }

    fn saved() -> (tempfile::TempDir, std::path::PathBuf, Mlp, Vec<f32>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = Mlp::new(&[5, 3, 4, 2]).unwrap();
        let parameters = model.initial_parameters(Init::He, 1);
        save(&path, &model, &parameters, Some(&metadata(&model))).unwrap();
        (folder, path, model, parameters)
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_bytes_are_always_the_same() {
        let (_folder, path, model, parameters) = saved();
        let checkpoint = load(&path).unwrap();
        assert_eq!((&checkpoint.model, &checkpoint.parameters), (&model, &parameters));
        assert_eq!(checkpoint.metadata.unwrap(), metadata(&model));
        let first = std::fs::read(&path).unwrap();
        save(&path, &model, &parameters, Some(&metadata(&model))).unwrap();
        assert_eq!(first, std::fs::read(&path).unwrap());
    }

    #[test]
    fn tensors_have_the_names_and_shapes_of_an_nn_sequential() {
        let (_folder, path, model, parameters) = saved();
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(names, ["0.bias", "0.weight", "2.bias", "2.weight", "4.bias", "4.weight"]);
        let weight = file.tensor("2.weight").unwrap();
        assert_eq!(weight.shape(), [4, 3]);
        // Row 1 (output 1), column 2 (input 2) of the file is row 2, column 1 of W.
        let expected = parameters[model.layers()[1].weights.start + 2 * 4 + 1];
        let at = 4 * (3 + 2);
        assert_eq!(f32::from_le_bytes(weight.data()[at..at + 4].try_into().unwrap()), expected);
    }

    #[test]
    fn bad_files_are_errors_of_one_line_that_name_them() {
        let (folder, path, ..) = saved();
        let bytes = std::fs::read(&path).unwrap();
        let tensor = |shape: &[usize]| (shape.to_vec(), vec![0u8; 4 * shape.iter().product::<usize>()]);
        let make = |tensors: &[(&str, &[usize])]| {
            let data: Vec<_> = tensors.iter().map(|(name, shape)| (*name, tensor(shape))).collect();
            let views = data.iter().map(|(name, (shape, bytes))| {
                (name.to_string(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
            });
            safetensors::serialize(views, None).unwrap()
        };
        let mut infinite = bytes.clone();
        let end = infinite.len();
        infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        let cases = [
            (vec![], "a broken file"),
            (b"not a model".to_vec(), "a broken file"),
            (bytes[..bytes.len() - 1].to_vec(), "a broken file"),
            (make(&[]), "0 tensors"),
            (make(&[("0.weight", &[2, 3])]), "1 tensors"),
            (make(&[("0.weight", &[2, 3]), ("1.bias", &[2])]), "no tensor 0.bias"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[3])]), "with 3 biases"),
            (make(&[("0.weight", &[6]), ("0.bias", &[2])]), "shape [6]"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[2]), ("2.weight", &[2, 4]), ("2.bias", &[2])]), "2 x 4"),
            (infinite, "inf in"),
        ];
        for (bytes, found) in cases {
            let path = folder.path().join("bad.safetensors");
            std::fs::write(&path, bytes).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("bad.safetensors") && error.contains(found), "expected {found}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
