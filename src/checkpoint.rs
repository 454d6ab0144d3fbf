//! Models as safetensors files that PyTorch loads into `nn.Sequential(Linear, ReLU, Linear, ...)` as they are: keys
//! `0.weight` (out x in), `0.bias`, `2.weight`, ...; everything else is one JSON object in the metadata. Files of linear
//! layers that other software wrote are read too.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::backend::select::Selected;
use crate::data::{
    Columns, Dataset, Framing, Inputs, Known, Options, Origin, Samples, Scale, Scaling, Schema, TargetScale, Task,
    framing, numbered,
};
use crate::error::{Error, Result};
use crate::files;
use crate::model::{Head, Mlp};
use crate::recipe::{Optimizer, Recipe};
use crate::state::State;

mod format1;

/// The metadata's one key. More would be written in an order that changes from run to run.
const KEY: &str = "mlp-gpu";
/// Raised whenever an older version could misread what a newer one wrote.
const FORMAT_VERSION: u32 = 2;
/// The optimizer's slots are text in the metadata, so that the tensors are those of the layers and nothing else; but readers
/// refuse metadata of more than 100 MB. Of more parameters than these, slots are tensors of their own.
const MOST_IN_METADATA: usize = 6 << 20;
/// The names of such tensors, but for their number.
const SLOT: &str = "optimizer.";

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
    /// Names of its classes; empty where it predicts values.
    pub classes: Vec<String>,
    /// How the values that it predicts were standardised; none where it tells classes apart.
    #[serde(default)]
    pub target_scale: Option<TargetScale>,
    /// Height and width in pixels where an input row is an image.
    pub image: Option<(usize, usize)>,
    /// The columns of the files that it learnt from, where they were tables.
    pub columns: Option<Columns>,
    /// What these columns became; none where all of them were numbers, as older versions took them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// How its inputs are scaled; none where they are bytes, read as `value / 255`.
    pub scaling: Option<Scaling>,
    /// How image files become its inputs; none where its inputs are no images.
    pub framing: Option<Framing>,
    /// Epochs it was trained for.
    pub epochs: u32,
    /// What the parts of the data were made of.
    pub origin: Origin,
    /// How the data was read.
    pub reading: Options,
    /// How it was trained.
    pub recipe: Recipe,
    /// Whence training goes on.
    pub training: Training,
}

/// What a resumed run must know beside the recipe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Rows of the training part.
    pub rows: usize,
    /// Steps taken.
    pub step: u64,
    /// The file that the parameters started from; otherwise the recipe's `init` made them.
    pub init_from: Option<String>,
    /// The backend that it was trained on, and the plan of its steps.
    pub device: Option<(String, String)>,
    /// The best epoch so far, where the best one is kept.
    pub best: Option<Best>,
    /// The optimizer's slots: little-endian floats in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slots: Vec<String>,
}

/// The epoch that [`crate::train::Epoch::score`] puts before all others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: u32,
    /// Its score.
    pub score: f64,
}

impl Metadata {
    /// The description, in this version, of a model that learnt from `dataset` for all epochs of `recipe`. How the data was read,
    /// how far training came and the device are left to the caller.
    pub fn new(model: &Mlp, dataset: &Dataset, recipe: &Recipe) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            widths: model.widths().to_vec(),
            data: dataset.name.clone(),
            classes: dataset.classes.clone(),
            target_scale: dataset.target_scale.clone(),
            image: dataset.image(),
            columns: dataset.columns.clone(),
            schema: dataset.schema.clone(),
            // Floats that nobody scaled are taken as they are: without a scaling they would be read as bytes.
            scaling: dataset.scaling.clone().or_else(|| match &dataset.train.inputs {
                Inputs::U8(_) => None,
                Inputs::F32(_) => Some(Scaling::fit(Scale::None, &[], dataset.train.width)),
            }),
            framing: Framing::of(dataset),
            epochs: recipe.epochs,
            origin: dataset.origin,
            reading: Options::default(),
            recipe: recipe.clone(),
            training: Training { rows: dataset.train.len(), ..Training::default() },
        }
    }

    /// What is wrong with it as the description of `model`, if anything: what was found, and what was expected.
    fn fault(&self, model: &Mlp) -> Option<(String, String)> {
        let fits = |found: usize, what: &str, expected: usize| {
            (found != expected)
                .then(|| (format!("metadata with {found} {what}"), format!("{expected}, as the tensors have")))
        };
        if self.widths != model.widths() {
            return Some((
                format!("metadata with widths {:?}", self.widths),
                format!("{:?}, as the tensors have", model.widths()),
            ));
        }
        let image = self.image.and_then(|(height, width)| fits(height.saturating_mul(width), "pixels", model.inputs()));
        let columns = self.columns.as_ref();
        let columns = columns.and_then(|columns| match &self.schema {
            None => fits(columns.count.saturating_sub(1), "columns of features", model.inputs()),
            Some(schema) if schema.is_usable(columns) => fits(schema.width(), "features", model.inputs()),
            Some(_) => Some(("metadata with a schema of other columns".into(), "what fits the columns".into())),
        });
        let scaling = self.scaling.as_ref().and_then(|Scaling { offset, divisor, clip }| {
            let usable = offset.iter().all(|value| value.is_finite()) && divisor.iter().all(|value| value.is_normal());
            let usable = usable && clip.is_none_or(|clip| clip.is_normal() && clip > 0.0);
            let lengths =
                fits(offset.len(), "offsets", model.inputs()).or(fits(divisor.len(), "divisors", model.inputs()));
            lengths.or((!usable).then(|| ("metadata with a scaling by 0 or infinity".into(), "finite numbers".into())))
        });
        let targets = match (&self.target_scale, self.recipe.loss.head()) {
            (None, Head::Classes) => fits(self.classes.len(), "classes", model.outputs()),
            (Some(scale), Head::Values) if scale.is_usable(model.outputs()) => None,
            (scale, head) => {
                let found = if scale.is_some() { "a scale of targets" } else { "no usable scale of targets" };
                Some((format!("metadata with {found}"), format!("what fits {head:?} and {} outputs", model.outputs())))
            }
        };
        targets.or(image).or(columns).or(scaling)
    }
}

/// Writes `state` of `model` to `path`, whole or not at all. The same model gives the same bytes. Without `metadata` there
/// are only the parameters.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn save(path: &Path, model: &Mlp, state: &State, metadata: Option<&Metadata>) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::Data(format!("cannot describe the model: {error}"));
    let mut tensors = Vec::new();
    for (index, layer) in model.layers().iter().enumerate() {
        let weights = transpose(&state.parameters[layer.weights.clone()], layer.inputs, layer.outputs);
        let biases = &state.parameters[layer.biases.clone()];
        tensors.push((format!("{}.weight", 2 * index), vec![layer.outputs, layer.inputs], little_endian(&weights)));
        tensors.push((format!("{}.bias", 2 * index), vec![layer.outputs], little_endian(biases)));
    }
    let metadata = metadata.map(|metadata| {
        let mut metadata = metadata.clone();
        metadata.training.step = state.step;
        for (number, slot) in state.slots.iter().enumerate() {
            let bytes = little_endian(slot);
            if slot.len() > MOST_IN_METADATA {
                tensors.push((format!("{SLOT}{number}"), vec![slot.len()], bytes));
            } else {
                metadata.training.slots.push(BASE64.encode(bytes));
            }
        }
        metadata
    });
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| failed(&error))?;
    let json = metadata.map(|metadata| serde_json::to_string(&metadata)).transpose().map_err(|error| failed(&error))?;
    let metadata = json.map(|json| HashMap::from([(KEY.to_owned(), json)]));
    files::write(path, &safetensors::serialize(views, metadata).map_err(|error| failed(&error))?)
}

/// A model read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The file, as messages name it.
    pub name: String,
    /// Its layers and head.
    pub model: Mlp,
    /// Its state; without slots where the file keeps none.
    pub state: State,
    /// What the file says of it; none in a file that other software wrote.
    pub metadata: Option<Metadata>,
}

impl Checkpoint {
    /// A backend that holds the model, to evaluate and to predict.
    ///
    /// # Errors
    /// As [`Selected::backend`].
    pub fn on(&self, selected: &Selected) -> Result<Box<dyn Backend>> {
        let kept = self.metadata.as_ref().map(|metadata| metadata.recipe.clone()).unwrap_or_default();
        // What matters in training alone is left out: every plan evaluates and predicts.
        let recipe = Recipe {
            batch_size: 1,
            optimizer: Optimizer::default(),
            dropout: Vec::new(),
            input_dropout: 0.0,
            label_smoothing: 0.0,
            class_weight: Vec::new(),
            row_weights: false,
            ..kept
        };
        let (mut backend, _) = selected.backend(&recipe.apply(self.model.clone())?, &recipe)?;
        backend.set_state(&State::new(self.state.parameters.clone(), recipe.optimizer.kind))?;
        Ok(backend)
    }

    /// Names of its classes: their numbers where the file names none.
    pub fn classes(&self) -> Cow<'_, [String]> {
        match &self.metadata {
            Some(metadata) => Cow::Borrowed(&metadata.classes),
            None => Cow::Owned(numbered(self.model.classes())),
        }
    }

    /// How the values that it predicts were standardised; none where it tells classes apart.
    pub fn target_scale(&self) -> Option<&TargetScale> {
        self.metadata.as_ref()?.target_scale.as_ref()
    }

    /// Height and width of the images that it takes. Where the file does not say that its inputs are images, they may be if
    /// their number is a square from 8 x 8 on.
    pub fn image(&self) -> Option<(usize, usize)> {
        let side = self.model.inputs().isqrt();
        let square = (side >= 8 && side * side == self.model.inputs()).then_some((side, side));
        self.metadata.as_ref().and_then(|metadata| metadata.image).or(square)
    }

    /// How image files become its inputs: as its file says, else as MNIST's if there are 784 of them.
    pub fn framing(&self) -> Framing {
        let kept = self.metadata.as_ref().map(|metadata| metadata.framing.unwrap_or(Framing::Resize));
        let size = (framing::SIDE, framing::SIDE);
        kept.unwrap_or(if self.image() == Some(size) { Framing::Mnist } else { Framing::Resize })
    }

    /// Raw rows of the file `path` as it takes them, scaled as its file says; where that says nothing, `scale` decides whether
    /// they are divided by 255, else what they look like.
    ///
    /// # Errors
    /// [`Error::Data`] for values that do not make rows or cannot be scaled, [`Error::Usage`] for a scaling that must be fitted.
    pub fn rows(&self, path: &Path, inputs: Inputs, scale: Option<Scale>) -> Result<Inputs> {
        let width = self.model.inputs();
        let labels = vec![0; inputs.len() / width];
        let mut samples = Samples::new(inputs, width, labels)?;
        self.known().scale(&path.display().to_string(), &mut samples, scale, &mut Vec::new())?;
        Ok(samples.inputs)
    }

    /// What other data must fit, to be evaluated or predicted.
    pub fn known(&self) -> Known<'_> {
        let metadata = self.metadata.as_ref();
        Known {
            model: &self.name,
            width: self.model.inputs(),
            classes: self.classes(),
            task: if self.model.head() == Head::Values { Task::Values } else { Task::Classes },
            target_scale: self.target_scale(),
            columns: metadata.and_then(|metadata| metadata.columns.as_ref()),
            schema: metadata.and_then(|metadata| metadata.schema.as_ref()),
            image: self.image(),
            scaling: metadata.and_then(|metadata| metadata.scaling.as_ref()),
            origin: metadata.map(|metadata| &metadata.origin),
            described: metadata.is_some(),
        }
    }
}

/// Reads a model of linear layers: written by [`save`], or by PyTorch from any module whose linear layers come one after the
/// other when their names are sorted, numbers by value (`0.weight`, `2.weight`; `net.fc1.weight`, `net.fc2.weight`, ...). F16,
/// BF16 and F64 become f32.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`], naming the tensor that is missing or does not fit.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let bad = |found: String, expected: &str| Error::file(path, found, expected);
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    if bytes.is_empty() {
        return Err(bad("an empty file".into(), "a safetensors file"));
    }
    let broken = |error| bad(format!("a broken file ({error})"), "a safetensors file");
    let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;

    let mut names = file.names();
    names.retain(|name| !name.starts_with(SLOT));
    let layers: HashSet<&str> = names.iter().filter_map(|name| name.strip_suffix("weight")).collect();
    let mut layers: Vec<&str> = layers.into_iter().collect();
    layers.sort_by(|a, b| by_name(a, b));
    let part_of_layer = |name: &str| {
        ["weight", "bias"].iter().any(|part| name.strip_suffix(part).is_some_and(|layer| layers.contains(&layer)))
    };
    if let Some(other) = names.iter().filter(|name| !part_of_layer(name)).min() {
        return Err(bad(format!("a tensor {other}"), "a weight and a bias for each linear layer, and no others"));
    }
    if layers.is_empty() {
        return Err(bad("0 tensors".into(), "a weight and a bias for each linear layer"));
    }
    let (mut widths, mut parameters) = (Vec::new(), Vec::new());
    for (index, layer) in layers.iter().enumerate() {
        let tensor = |part: &str, dimensions| {
            let name = format!("{layer}{part}");
            let view = file
                .tensor(&name)
                .map_err(|_| bad(format!("no tensor {name}"), "a weight and a bias for each layer"))?;
            values(&view, dimensions).map_err(|(found, expected)| bad(format!("{name} {found}"), expected))
        };
        let (shape, weights) = tensor("weight", 2)?;
        let (outputs, inputs) = (shape[0], shape[1]);
        let (bias_shape, biases) = tensor("bias", 1)?;
        if widths.last().is_some_and(|&width| width != inputs) || bias_shape[0] != outputs {
            let found = format!("{layer}weight of {outputs} x {inputs} with {} biases", bias_shape[0]);
            let expected = match widths.last() {
                Some(width) => format!(
                    "inputs {width}, as {}weight before it has outputs, and a bias for each output",
                    layers[index - 1]
                ),
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
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let mut metadata = json.map(|json| parse(path, json)).transpose()?;
    let mut model = Mlp::new(&widths).map_err(|error| bad(error.to_string(), "a network that can be run"))?;
    let mut state = State { parameters, ..State::default() };
    if let Some(metadata) = &mut metadata {
        if let Some((found, expected)) = metadata.fault(&model) {
            return Err(bad(found, &expected));
        }
        model = metadata.recipe.apply(model).map_err(|error| bad(error.to_string(), "a network that can be run"))?;
        state.step = metadata.training.step;
        let slots = std::mem::take(&mut metadata.training.slots);
        state.slots = slots.iter().map(|slot| decode(slot)).collect::<Option<_>>().unwrap_or_default();
        for number in 0..file.len() {
            let Ok(view) = file.tensor(&format!("{SLOT}{number}")) else { break };
            let slot =
                values(&view, 1).map_err(|(found, expected)| bad(format!("{SLOT}{number} {found}"), expected))?;
            state.slots.push(slot.1);
        }
        let kind = metadata.recipe.optimizer.kind;
        if state.check(&model, kind).is_err() {
            let found = format!("{} slots of the optimizer {}", state.slots.len(), kind.name());
            return Err(bad(found, &format!("{} of {} values", kind.slots(), model.parameters())));
        }
    }
    Ok(Checkpoint { name: path.display().to_string(), model, state, metadata })
}

/// Floats in base64.
fn decode(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text).ok()?;
    let words = bytes.chunks_exact(4);
    words.remainder().is_empty().then(|| words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect())
}

/// The metadata that a file holds as `json`.
fn parse(path: &Path, json: &str) -> Result<Metadata> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
        version: String,
    }
    let malformed = |error| Error::file(path, format!("metadata that does not parse ({error})"), "what mlp-gpu writes");
    // The version first: a newer one may have another form altogether.
    let Version { format_version, version } = serde_json::from_str(json).map_err(malformed)?;
    if format_version > FORMAT_VERSION {
        let found = format!("format version {format_version} of mlp-gpu {version}");
        return Err(Error::file(path, found, format!("at most version {FORMAT_VERSION}: use a newer mlp-gpu")));
    }
    if format_version < FORMAT_VERSION {
        return serde_json::from_str::<format1::Metadata>(json).map(Metadata::from).map_err(malformed);
    }
    serde_json::from_str(json).map_err(malformed)
}

/// Shape and values of a tensor.
type Shaped = (Vec<usize>, Vec<f32>);

/// Shape and values of a tensor of so many dimensions; else what it is, and what was expected.
fn values(view: &TensorView<'_>, dimensions: usize) -> Result<Shaped, (String, &'static str)> {
    let words = |size| view.data().chunks_exact(size);
    let values: Vec<f32> = match view.dtype() {
        _ if view.shape().len() != dimensions => {
            let expected =
                if dimensions == 2 { "outputs x inputs: a linear layer" } else { "a number for each output" };
            return Err((format!("of shape {:?}", view.shape()), expected));
        }
        Dtype::F32 => words(4).map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect(),
        Dtype::F16 => words(2).map(|w| f16::from_le_bytes([w[0], w[1]]).to_f32()).collect(),
        Dtype::BF16 => words(2).map(|w| bf16::from_le_bytes([w[0], w[1]]).to_f32()).collect(),
        Dtype::F64 => {
            words(8).map(|w| f64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]) as f32).collect()
        }
        other => return Err((format!("of type {other:?}"), "F32, F16, BF16 or F64")),
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err((format!("with {} at {index}", values[index]), "finite numbers")),
        None => Ok((view.shape().to_vec(), values)),
    }
}

/// Names in natural order: numbers in them by value.
fn by_name(a: &str, b: &str) -> Ordering {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (mut a, mut b) = (a, b);
    while let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) {
        let (in_a, in_b) = (digits(a), digits(b));
        let (order, skip) = if in_a > 0 && in_b > 0 {
            let (x, y) = (a[..in_a].trim_start_matches('0'), b[..in_b].trim_start_matches('0'));
            (x.len().cmp(&y.len()).then(x.cmp(y)), (in_a, in_b))
        } else {
            (first.cmp(&second), (first.len_utf8(), second.len_utf8()))
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[skip.0..], &b[skip.1..]);
    }
    a.len().cmp(&b.len())
}

/// The transpose of a row-major `rows x columns` matrix.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

pub(crate) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Init;
    use crate::recipe::OptimizerKind;

    fn metadata(model: &Mlp) -> Metadata {
        let part = Samples::new(Inputs::U8(vec![]), model.inputs(), vec![]).unwrap();
        let dataset = Dataset {
            name: "some".into(),
            train: part.into(),
            test: None,
            validation: None,
            classes: numbered(model.classes()),
            target_scale: None,
            origin: Origin { rows: 9, checksum: 8, test: Some(0.1), validation: None },
            columns: Some(Columns { count: model.inputs() + 1, label: 0, names: None }),
            schema: None,
            scaling: Some(Scaling {
                offset: vec![0.1; model.inputs()],
                divisor: vec![3.0; model.inputs()],
                clip: None,
            }),
        };
        let recipe = Recipe { seed: 1, epochs: 7, hidden: model.hidden().to_vec(), ..Recipe::default() };
        Metadata::new(model, &dataset, &recipe)
    }

    fn saved() -> (tempfile::TempDir, std::path::PathBuf, Mlp, State) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = Mlp::new(&[5, 3, 4, 2]).unwrap();
        let state = State::new(model.initial_parameters(Init::He, 1), OptimizerKind::Sgd);
        save(&path, &model, &state, Some(&metadata(&model))).unwrap();
        (folder, path, model, state)
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_bytes_are_always_the_same() {
        let (_folder, path, model, state) = saved();
        let checkpoint = load(&path).unwrap();
        assert_eq!((&checkpoint.model, &checkpoint.state), (&model, &state));
        assert_eq!(checkpoint.metadata.unwrap(), metadata(&model));
        let first = std::fs::read(&path).unwrap();
        save(&path, &model, &state, Some(&metadata(&model))).unwrap();
        assert_eq!(first, std::fs::read(&path).unwrap());
    }

    #[test]
    fn tensors_have_the_names_and_shapes_of_an_nn_sequential() {
        let (_folder, path, model, state) = saved();
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(names, ["0.bias", "0.weight", "2.bias", "2.weight", "4.bias", "4.weight"]);
        let weight = file.tensor("2.weight").unwrap();
        assert_eq!(weight.shape(), [4, 3]);
        // Row 1 (output 1), column 2 (input 2) of the file is row 2, column 1 of W.
        let expected = state.parameters[model.layers()[1].weights.start + 2 * 4 + 1];
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
            (vec![], "an empty file"),
            (b"not a model".to_vec(), "a broken file"),
            (bytes[..bytes.len() - 1].to_vec(), "a broken file"),
            (make(&[]), "0 tensors"),
            (make(&[("0.weight", &[2, 3])]), "no tensor 0.bias"),
            (make(&[("1.running_mean", &[2])]), "a tensor 1.running_mean"),
            (make(&[("0.weight", &[2, 3]), ("1.bias", &[2])]), "a tensor 1.bias"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[3])]), "with 3 biases"),
            (make(&[("0.weight", &[6]), ("0.bias", &[2])]), "shape [6]"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[2]), ("2.weight", &[2, 4]), ("2.bias", &[2])]), "2 x 4"),
            (infinite, "with inf at"),
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
