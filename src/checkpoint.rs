//! Models as safetensors files that PyTorch loads into `nn.Sequential(Linear, ReLU, Linear, ...)` as they are: keys
//! `0.weight` (out x in), `0.bias`, `2.weight`, ...; everything else is one JSON object in the metadata. Files of linear
//! layers that other software wrote are read too. A model with a front has the tensors of the front beside those.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::backend::select::Selected;
use crate::data::{
    Columns, Dataset, Framing, Inputs, Known, Options, Origin, Range, Samples, Scale, Scaling, Schema, TargetScale,
    Task, catalogue, channels, framing, numbered,
};
use crate::error::{Error, Remedy, Result};
use crate::export::Exported;
use crate::files;
use crate::memory;
use crate::model::{Activation, Front, Head, Layer, Mlp};
use crate::recipe::{Loss, OptimizerKind, Recipe};
use crate::state::State;

pub(crate) mod ensemble;
mod foreign;
mod format1;
pub(crate) mod front;
mod header;
pub mod midway;

pub use ensemble::Ensemble;
pub use foreign::{ACTIVATION, Assumption, Normalize, Reading};

/// The metadata's one key. More would be written in an order that changes from run to run.
const KEY: &str = "mlp-gpu";
/// Raised whenever an older version could misread what a newer one wrote.
const FORMAT_VERSION: u32 = 3;
/// The version of files of models without a front, which older versions read.
const WITHOUT_FRONT: u32 = 2;
/// The metadata's one key where there is no more to say than the activation of the hidden layers.
const ACTIVATION_KEY: &str = "activation";
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
    /// What the values of the arrays or images that it learnt from stood for; none where they were tables, or in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
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
    /// The fold of cross-validation that it learnt without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBack>,
    /// Whether the run had ended, perhaps before its last epoch; noted of runs that one command makes with others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Where the run may stop early and is midway, the best epoch so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    judged: Option<midway::Described>,
    /// The optimizer's slots: little-endian floats in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slots: Vec<String>,
}

/// A fold of cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// Its number, from 1.
    pub fold: u32,
    /// Number of folds.
    pub of: u32,
    /// The number, from 1, of the division of the rows into folds.
    pub repeat: u32,
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
            format_version: version_of(model),
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
            range: dataset.range,
            framing: Framing::of(dataset),
            epochs: recipe.epochs,
            origin: Origin { seed: dataset.origin.seed.filter(|seed| *seed != recipe.seed), ..dataset.origin },
            reading: Options::default(),
            recipe: recipe.clone(),
            training: Training { rows: dataset.train.len(), ..Training::default() },
        }
    }

    /// Notes how its data were read.
    pub fn read_by(&mut self, reading: &Options) {
        self.framing = reading.framing.or(self.framing);
        self.reading = reading.clone();
    }

    /// The description of a model of which no more is known than its scaling of features, if any, and the means and deviations
    /// of the values that it predicts, if it does.
    pub(crate) fn bare(model: &Mlp, scaling: Option<Scaling>, targets: Option<(Vec<f32>, Vec<f32>)>) -> Self {
        let double = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        let names = || (0..model.outputs()).map(|output| format!("y[{output}]")).collect();
        let target_scale = targets.map(|(mean, deviation)| TargetScale {
            mean: double(mean),
            deviation: double(deviation),
            names: names(),
        });
        let loss = if target_scale.is_some() { Loss::Mse } else { Loss::CrossEntropy };
        let activation = model.activation();
        Self {
            format_version: version_of(model),
            version: env!("CARGO_PKG_VERSION").into(),
            widths: model.widths().to_vec(),
            data: String::new(),
            classes: if target_scale.is_some() { Vec::new() } else { numbered(model.classes()) },
            target_scale,
            image: None,
            columns: None,
            schema: None,
            scaling: scaling.or_else(|| Some(Scaling::fit(Scale::None, &[], model.inputs()))),
            range: None,
            framing: None,
            epochs: 0,
            origin: Origin::default(),
            reading: Options::default(),
            recipe: Recipe {
                hidden: model.hidden().to_vec(),
                activation,
                embed: model.front().embed(),
                trained_scale: model.front().scaled,
                loss,
                epochs: 0,
                ..Recipe::default()
            },
            training: Training::default(),
        }
    }

    /// The seed by which the parts of its data were drawn.
    pub fn drawn_by(&self) -> u64 {
        self.origin.seed.unwrap_or(self.recipe.seed)
    }

    /// The same with how far `state` came. Its slots of more than `most` values are added to `tensors`, with `before` before
    /// their names; the others are text.
    fn with_state(&self, before: &str, state: &State, most: usize, tensors: &mut Vec<Named>) -> Self {
        let mut metadata = self.clone();
        metadata.training.step = state.step;
        for (number, slot) in state.slots.iter().enumerate() {
            let bytes = little_endian(slot);
            if slot.len() > most {
                tensors.push((format!("{before}{SLOT}{number}"), Dtype::F32, vec![slot.len()], bytes));
            } else {
                metadata.training.slots.push(BASE64.encode(bytes));
            }
        }
        metadata
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
        let image = self.image.filter(|size| channels(*size, model.inputs()).is_none());
        let image = image.and_then(|(height, width)| fits(height.saturating_mul(width), "pixels", model.inputs()));
        let columns = self.columns.as_ref();
        let columns = columns.and_then(|columns| match &self.schema {
            None => fits(columns.count.saturating_sub(1), "columns of features", model.inputs()),
            Some(schema) if schema.is_usable(columns) => fits(schema.width(), "features", model.inputs()),
            Some(_) => Some(("metadata with a schema of other columns".into(), "what fits the columns".into())),
        });
        let scaling = self.scaling.as_ref().and_then(|scaling| {
            let (usable, Scaling { offset, divisor, .. }) = (scaling.is_usable(model.inputs()), scaling);
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
        let recipe = self.recipe.fault().map(|(found, expected)| (found, expected.to_owned()));
        let hidden = (self.recipe.hidden != model.hidden()).then(|| {
            (
                format!("a recipe of hidden layers {:?}", self.recipe.hidden),
                format!("{:?}, as the tensors have", model.hidden()),
            )
        });
        recipe.or(hidden).or(targets).or(image).or(columns).or(scaling)
    }
}

/// The version of a file of `model`.
fn version_of(model: &Mlp) -> u32 {
    if model.front().is_none() { WITHOUT_FRONT } else { FORMAT_VERSION }
}

/// Writes `state` of `model` to `path`, whole or not at all. The same model gives the same bytes. Without `metadata` there
/// are only the parameters and the name of the activation.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn save(path: &Path, model: &Mlp, state: &State, metadata: Option<&Metadata>) -> Result<()> {
    let mut tensors = layers("", model, &state.parameters);
    let (key, text) = match metadata {
        Some(metadata) => {
            let metadata = metadata.with_state("", state, MOST_IN_METADATA, &mut tensors);
            (KEY, serde_json::to_string(&metadata).map_err(|error| undescribable(&error))?)
        }
        None => (ACTIVATION_KEY, model.activation().name().to_owned()),
    };
    files::write(path, &serialize(&tensors, key, text)?)
}

/// A tensor of a file: its name, type, shape and bytes.
pub(crate) type Named = (String, Dtype, Vec<usize>, Vec<u8>);

/// The tensors of the front and the layers of `model`; `before` stands before their names.
fn layers(before: &str, model: &Mlp, parameters: &[f32]) -> Vec<Named> {
    let (embedded, front) = front::tensors(model, parameters);
    let features = embedded.map(|embedded| {
        let bytes = embedded.iter().flat_map(|&feature| i64::from(feature).to_le_bytes()).collect();
        (format!("{before}{}", front::FEATURES), Dtype::I64, vec![embedded.len()], bytes)
    });
    let floats = |(name, shape, values): (String, Vec<usize>, &[f32])| {
        (format!("{before}{name}"), Dtype::F32, shape, little_endian(values))
    };
    let front = front.map(|(tensor, values)| floats((tensor.name.into(), tensor.shape.clone(), values)));
    let of_layer = |(index, layer): (usize, &Layer)| {
        let weights = transpose(&parameters[layer.weights.clone()], layer.inputs, layer.outputs);
        let biases = &parameters[layer.biases.clone()];
        let number = 2 * index;
        [
            floats((format!("{number}.weight"), vec![layer.outputs, layer.inputs], &weights)),
            floats((format!("{number}.bias"), vec![layer.outputs], biases)),
        ]
    };
    let layers = model.layers().iter().enumerate().flat_map(of_layer);
    features.into_iter().chain(front).chain(layers).collect()
}

/// The bytes of a file of `tensors`, of which the metadata say `text` under `key`.
pub(crate) fn serialize(tensors: &[Named], key: &str, text: String) -> Result<Vec<u8>> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| undescribable(&error))?;
    let metadata = Some(HashMap::from([(key.to_owned(), text)]));
    safetensors::serialize(views, metadata).map_err(|error| undescribable(&error))
}

fn undescribable(error: &dyn std::fmt::Display) -> Error {
    Error::Data(format!("cannot describe the model: {error}"))
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
    /// What was assumed in reading the file, as it does not say it; nothing of a file of our own.
    pub assumed: Vec<Assumption>,
}

impl Checkpoint {
    /// A backend that holds the model, to evaluate and to predict.
    ///
    /// # Errors
    /// As [`Selected::backend`].
    pub fn on(&self, selected: &Selected) -> Result<Box<dyn Backend>> {
        let (model, recipe) = self.to_evaluate()?;
        let (mut backend, _) = selected.backend(&model, &recipe)?;
        backend.set_state(&self.state_to_evaluate())?;
        Ok(backend)
    }

    /// What a backend that evaluates and predicts is opened with. Models for which it is the same can share one.
    pub(crate) fn to_evaluate(&self) -> Result<(Mlp, Recipe)> {
        let loss = match &self.metadata {
            Some(metadata) => metadata.recipe.loss,
            None => Loss::default(),
        };
        // What matters in training alone is left out: every plan evaluates and predicts.
        let (hidden, activation) = (self.model.hidden().to_vec(), self.model.activation());
        let recipe = Recipe { hidden, activation, loss, batch_size: 1, ..Recipe::default() };
        Ok((recipe.apply(self.model.clone())?, recipe))
    }

    /// Its state on such a backend.
    pub(crate) fn state_to_evaluate(&self) -> State {
        State::new(self.state.parameters.clone(), OptimizerKind::default())
    }

    /// Whether data become rows for it as they do for `other`.
    fn reads_as(&self, other: &Self) -> bool {
        // Whichever seed the recipe has, that of the draws counts.
        let drawn = |of: &Self| {
            let metadata = of.metadata.as_ref();
            metadata.map(|of| (Origin { seed: Some(of.drawn_by()), ..of.origin }, of.reading.clone()))
        };
        fn known(of: &Checkpoint) -> Known<'_> {
            Known { model: "", origin: None, ..of.known() }
        }
        known(self) == known(other) && drawn(self) == drawn(other)
    }

    /// The activation between its layers, if its file says it.
    pub fn activation(&self) -> Option<Activation> {
        let open = self.assumed.iter().any(|assumption| assumption.remedy == Some(Remedy::Activation));
        (!open).then(|| self.model.activation())
    }

    /// The same with two classes where its file has one output and does not say that it is a value: their probabilities are
    /// the sigmoid of that output and the rest.
    pub fn with_two_classes(&self) -> Option<Self> {
        let said = self.metadata.as_ref().is_some_and(|metadata| !metadata.data.is_empty());
        let last = self.model.layers().last()?;
        if said || last.outputs != 1 {
            return None;
        }
        let (weights, biases) =
            (&self.state.parameters[last.weights.clone()], &self.state.parameters[last.biases.clone()]);
        let mut parameters = self.state.parameters[..last.weights.start].to_vec();
        parameters.extend(weights.iter().flat_map(|&weight| [0.0, weight]));
        parameters.extend([0.0, biases[0]]);
        let mut widths = self.model.widths().to_vec();
        *widths.last_mut()? = 2;
        let model = Mlp::new(&widths).and_then(|model| model.with_front(self.model.front().clone())).ok()?;
        let model = model.with_activation(self.model.activation());
        let state = State { parameters, ..State::default() };
        Some(Self { model, state, metadata: None, ..self.clone() })
    }

    /// Names of its classes: their numbers where the file names none.
    pub fn classes(&self) -> Cow<'_, [String]> {
        match &self.metadata {
            Some(metadata) => Cow::Borrowed(&metadata.classes),
            None => Cow::Owned(numbered(self.model.classes())),
        }
    }

    /// What its classes are called: what the labels of the published data set that it learnt from stand for, else
    /// [`Checkpoint::classes`].
    pub fn class_names(&self) -> Cow<'_, [String]> {
        let classes = self.classes();
        let set = self.metadata.as_ref().map_or("", |metadata| &metadata.data);
        catalogue::class_names(set, &classes).map_or(classes, Cow::Owned)
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
            framing: self.framing(),
            trained_on: metadata.map(|kept| (&kept.data[..], kept.reading.framing.unwrap_or(Framing::Resize))),
            scaling: metadata.and_then(|metadata| metadata.scaling.as_ref()),
            range: metadata.and_then(|metadata| metadata.range),
            of_images: metadata.is_some_and(|metadata| metadata.image.is_some()),
            transpose: metadata.and_then(|metadata| metadata.reading.transpose),
            origin: metadata.map(|metadata| &metadata.origin),
            described: metadata.is_some(),
        }
    }
}

/// Reads a model as [`load_as`] does, with nothing said of files that other software wrote.
///
/// # Errors
/// As [`load_as`].
pub fn load(path: &Path) -> Result<Checkpoint> {
    load_as(path, &Reading::default())
}

/// Reads a model: a file of [`save`], an ONNX file or a NumPy archive of [`crate::export`], or a safetensors file of other
/// software, whose linear layers are found by shapes and names, and by what `reading` says. F16, BF16 and F64 become f32.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] naming what the file is, or the tensor that is missing or does not fit, and for an
/// [`Ensemble`] of several models; [`Error::Usage`] where `reading` says what the file says itself.
pub fn load_as(path: &Path, reading: &Reading) -> Result<Checkpoint> {
    match read(path, reading)? {
        Loaded::Single(checkpoint) => Ok(*checkpoint),
        Loaded::Ensemble(ensemble) => ensemble.into_single(),
    }
}

/// What a file holds.
enum Loaded {
    Single(Box<Checkpoint>),
    Ensemble(Ensemble),
}

impl From<Checkpoint> for Loaded {
    fn from(checkpoint: Checkpoint) -> Self {
        Self::Single(Box::new(checkpoint))
    }
}

/// Reads the model or the models of a file, as [`load_as`] does.
fn read(path: &Path, reading: &Reading) -> Result<Loaded> {
    if path.is_dir() {
        return Err(Error::file(path, "a folder", "a safetensors file, such as the one in it"));
    }
    let length = std::fs::metadata(path).map_or(0, |found| found.len());
    memory::check(length, || format!("the file {}", path.display()))?;
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    if bytes.is_empty() {
        return Err(Error::file(path, "an empty file", "a safetensors file"));
    }
    header::check(path, &bytes)?;
    let own = |loaded: Loaded| match reading.is_for_others() {
        true => {
            let message = format!("{}: it says its layers, activation and scaling itself", path.display());
            Err(Error::Usage(message).advise(&[Remedy::AsItIs]))
        }
        false => Ok(loaded),
    };
    let file = match SafeTensors::deserialize(&bytes) {
        Ok(file) => file,
        Err(broken) => match Exported::read(path, &bytes)? {
            Some(exported) if !exported.members.is_empty() => {
                return own(Loaded::Ensemble(ensemble::of_exported(path, exported)?));
            }
            Some(exported) => {
                let silent = exported.metadata.is_none() && exported.activation.is_none();
                let only_activation = Reading { activation: None, ..reading.clone() };
                return match reading.activation.filter(|_| silent && !only_activation.is_for_others()) {
                    Some(activation) => {
                        let exported = Exported { activation: Some(activation), ..exported };
                        Ok(of_exported(path, exported, reading.task)?.into())
                    }
                    None => own(of_exported(path, exported, reading.task)?.into()),
                };
            }
            None => return Err(foreign::kinds::error(path, &bytes, &broken)),
        },
    };
    let header = SafeTensors::read_metadata(&bytes).ok().and_then(|(_, header)| header.metadata().clone());
    let header = header.unwrap_or_default();
    match header.get(KEY) {
        Some(json) if ensemble::members_of(json).is_some() => own(Loaded::Ensemble(ensemble::read(path, &file, json)?)),
        Some(json) => own(of_file(path, &file, "", parse(path, json)?)?.into()),
        None => {
            let activation = header.get(ACTIVATION_KEY).and_then(|name| Activation::named(name));
            if let (Some(activation), 1..) = (activation, front::count(&file, "")) {
                return own(bare(path, &file, activation, reading.task)?.into());
            }
            let found = foreign::read(path, &file, reading)?;
            // The layers are put in order beside themselves: the file has served.
            drop(bytes);
            Ok(foreign::model(path, found, activation, reading)?.into())
        }
    }
}

/// The layers in a file: widths, front, and the parameters of both.
struct Layers {
    widths: Vec<usize>,
    front: Front,
    parameters: Vec<f32>,
}

/// The layers in `file`, which [`save`] wrote to `path`: the tensors with `before` before their names.
fn layers_of(path: &Path, file: &SafeTensors<'_>, before: &str) -> Result<Layers> {
    let bad = |found: String, expected: &str| Error::file(path, found, expected);
    let front = front::read(path, file, before)?;
    let (mut widths, mut parameters) = (Vec::<usize>::new(), front.parameters.clone());
    let names = file.names().into_iter().filter_map(|name| name.strip_prefix(before));
    let tensors = names.filter(|name| !name.starts_with(SLOT)).count() - front::count(file, before);
    for layer in 0..tensors.div_ceil(2) {
        let tensor = |part: &str| -> Result<_> {
            let name = format!("{before}{}.{part}", 2 * layer);
            let view = file.tensor(&name);
            let view =
                view.map_err(|_| bad(format!("no tensor {name}"), "a weight and a bias for each layer, and no others"));
            Ok((view?, move |(found, expected): (String, &str)| bad(format!("{name} {found}"), expected)))
        };
        let (weights, bad_weights) = tensor("weight")?;
        let (biases, bad_biases) = tensor("bias")?;
        let weights = Numbers::of(&weights, 2).map_err(bad_weights)?;
        let (outputs, inputs) = (weights.shape[0], weights.shape[1]);
        let (_, biases) = values(&biases, 1).map_err(bad_biases)?;
        if widths.last().is_some_and(|&width| width != inputs) || biases.len() != outputs {
            let found = format!("{before}{}.weight of {outputs} x {inputs} with {} biases", 2 * layer, biases.len());
            return Err(bad(found, "the inputs that the layer before it gives, and a bias for each output"));
        }
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
        parameters.reserve_exact((inputs + 1) * outputs);
        // Without a copy between the file and the parameters: weights may fill most of the memory.
        transpose_onto(&mut parameters, outputs, inputs, |index| weights.at(index));
        parameters.extend(biases);
    }
    if let Some(first) = widths.first_mut() {
        *first = front.inputs(*first).ok_or_else(|| front_unfit(path, *first))?;
    }
    Ok(Layers { widths, front: front.front, parameters })
}

/// A front that does not give the first layer its inputs.
fn front_unfit(path: &Path, inputs: usize) -> Error {
    Error::file(path, "an embedding and a scale of other inputs", format!("the {inputs} of the first layer"))
}

/// The model in `file`, which [`save`] wrote to `path` without metadata.
fn bare(path: &Path, file: &SafeTensors<'_>, activation: Activation, task: Option<Task>) -> Result<Checkpoint> {
    let Layers { widths, front, parameters } = layers_of(path, file, "")?;
    let exported = Exported { widths, front, parameters, activation: Some(activation), ..Exported::default() };
    of_exported(path, exported, task)
}

/// The model in `file`, which [`save`] wrote to `path` with `metadata`: the tensors with `before` before their names.
fn of_file(path: &Path, file: &SafeTensors<'_>, before: &str, metadata: Metadata) -> Result<Checkpoint> {
    let bad = |found: String, expected: &str| Error::file(path, found, expected);
    let mut checkpoint = described(path, layers_of(path, file, before)?, metadata)?;
    let Checkpoint { model, state, metadata: Some(metadata), .. } = &mut checkpoint else { return Ok(checkpoint) };
    state.step = metadata.training.step;
    let texts = std::mem::take(&mut metadata.training.slots);
    state.slots = texts.iter().map(|slot| decode(slot)).collect::<Option<_>>().unwrap_or_default();
    for number in 0..file.len() {
        let name = format!("{before}{SLOT}{number}");
        let Ok(view) = file.tensor(&name) else { break };
        let slot = values(&view, 1).map_err(|(found, expected)| bad(format!("{name} {found}"), expected))?;
        state.slots.push(slot.1);
    }
    let kind = metadata.recipe.optimizer.kind;
    if state.check(model, kind).is_err() {
        let found = format!("{} slots of the optimizer {}", state.slots.len(), kind.name());
        return Err(bad(found, &format!("{} of {} finite values", kind.slots(), model.parameters())));
    }
    Ok(checkpoint)
}

/// The model of these layers that `metadata` of the file at `path` describe; without slots.
fn described(path: &Path, layers: Layers, metadata: Metadata) -> Result<Checkpoint> {
    let unfit = |error: Error| Error::file(path, error.to_string(), "a network that can be run");
    let Layers { widths, front, parameters } = layers;
    // How its frequencies began is the recipe's.
    let front = Front { deviation: metadata.recipe.front(Vec::new()).deviation, ..front };
    let model = Mlp::new(&widths).and_then(|model| model.with_front(front)).map_err(unfit)?;
    if let Some((found, expected)) = metadata.fault(&model) {
        return Err(Error::file(path, found, expected));
    }
    let model = metadata.recipe.apply(model).map_err(unfit)?;
    let state = State { parameters, ..State::default() };
    let name = path.display().to_string();
    Ok(Checkpoint { name, model, state, metadata: Some(metadata), assumed: Vec::new() })
}

/// The model that was exported to `path`. Its training cannot go on: exports have no state of the optimizer.
fn of_exported(path: &Path, exported: Exported, task: Option<Task>) -> Result<Checkpoint> {
    let Exported { widths, front, parameters, metadata, activation, scaling, targets, members: _ } = exported;
    if let Some(json) = metadata {
        let metadata = Metadata { training: Training::default(), ..parse(path, &json)? };
        return described(path, Layers { widths, front, parameters }, metadata);
    }
    let unfit = |error: Error| Error::file(path, error.to_string(), "a network that can be run");
    let model = Mlp::new(&widths).and_then(|model| model.with_front(front)).map_err(unfit)?;
    let model = model.with_activation(activation.unwrap_or_default());
    let mut assumed = Vec::new();
    if activation.is_none() && widths.len() > 2 {
        assumed.push(foreign::relu());
    }
    foreign::undescribed(path, foreign::Bare { model, parameters, scaling, targets, assumed }, task)
}

/// Finite floats in base64.
fn decode(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text).ok()?;
    let words = bytes.chunks_exact(4);
    let values: Vec<f32> = words.clone().map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    (words.remainder().is_empty() && values.iter().all(|value| value.is_finite())).then_some(values)
}

/// The metadata that a file holds as `json`.
fn parse(path: &Path, json: &str) -> Result<Metadata> {
    if check_version(path, json, FORMAT_VERSION)? < WITHOUT_FRONT {
        return serde_json::from_str::<format1::Metadata>(json).map(Metadata::from).map_err(malformed(path));
    }
    serde_json::from_str(json).map_err(malformed(path))
}

/// The version of the description `json`, if it is at most `most`. To be asked first: a newer one may have another form altogether.
fn check_version(path: &Path, json: &str, most: u32) -> Result<u32> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
        version: String,
    }
    let Version { format_version, version } = serde_json::from_str(json).map_err(malformed(path))?;
    if format_version > most {
        let found = format!("format version {format_version} of mlp-gpu {version}");
        return Err(Error::file(path, found, format!("at most version {most}: use a newer mlp-gpu")));
    }
    Ok(format_version)
}

fn malformed(path: &Path) -> impl Fn(serde_json::Error) -> Error {
    move |error| Error::file(path, format!("metadata that does not parse ({error})"), "what mlp-gpu writes")
}

/// Shape and values of a tensor.
type Shaped = (Vec<usize>, Vec<f32>);

/// Shape and values of a tensor of so many dimensions; else what it is, and what was expected.
fn values(view: &TensorView<'_>, dimensions: usize) -> Result<Shaped, (String, &'static str)> {
    let numbers = Numbers::of(view, dimensions)?;
    Ok((numbers.shape.to_vec(), numbers.all().collect()))
}

/// The finite numbers of a tensor, as they lie in its file.
struct Numbers<'a> {
    shape: &'a [usize],
    dtype: Dtype,
    data: &'a [u8],
}

impl<'a> Numbers<'a> {
    /// Those of a tensor of so many dimensions; else what it is, and what was expected.
    fn of(view: &'a TensorView<'_>, dimensions: usize) -> Result<Self, (String, &'static str)> {
        let numbers = Self { shape: view.shape(), dtype: view.dtype(), data: view.data() };
        if view.shape().len() != dimensions {
            let expected =
                if dimensions == 2 { "outputs x inputs: a linear layer" } else { "a number for each output" };
            return Err((format!("of shape {:?}", view.shape()), expected));
        }
        if !matches!(numbers.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
            return Err((format!("of type {:?}", numbers.dtype), "F32, F16, BF16 or F64"));
        }
        let odd = numbers.all().enumerate().find(|(_, value)| !value.is_finite());
        match odd {
            Some((index, value)) => Err((format!("with {value} at {index}"), "finite numbers")),
            None => Ok(numbers),
        }
    }

    /// The number at place `index`.
    fn at(&self, index: usize) -> f32 {
        fn word<const N: usize>(data: &[u8], index: usize) -> [u8; N] {
            data.as_chunks().0[index]
        }
        match self.dtype {
            Dtype::F16 => f16::from_le_bytes(word(self.data, index)).to_f32(),
            Dtype::BF16 => bf16::from_le_bytes(word(self.data, index)).to_f32(),
            Dtype::F64 => f64::from_le_bytes(word(self.data, index)) as f32,
            _ => f32::from_le_bytes(word(self.data, index)),
        }
    }

    fn all(&self) -> impl Iterator<Item = f32> {
        (0..self.shape.iter().product()).map(|index| self.at(index))
    }
}

/// The transpose of a row-major `rows x columns` matrix.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut transposed = Vec::new();
    transpose_onto(&mut transposed, rows, columns, |index| values[index]);
    transposed
}

/// Adds the transpose of a row-major `rows x columns` matrix, of which `value` gives the value at a place, to `onto`.
fn transpose_onto(onto: &mut Vec<f32>, rows: usize, columns: usize, value: impl Fn(usize) -> f32) {
    // Whole lines of the cache are read and written: of a large matrix a single column touches a line per row.
    const TILE: usize = 32;
    let start = onto.len();
    onto.resize(start + rows * columns, 0.0);
    let transposed = &mut onto[start..];
    for column in (0..columns).step_by(TILE) {
        for row in (0..rows).step_by(TILE) {
            for column in column..(column + TILE).min(columns) {
                for row in row..(row + TILE).min(rows) {
                    transposed[column * rows + row] = value(row * columns + column);
                }
            }
        }
    }
}

pub(crate) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Init;

    #[test]
    fn an_export_without_metadata_is_of_what_the_task_says() {
        let exported = |outputs: usize, scaled: bool| Exported {
            widths: vec![2, outputs],
            parameters: vec![0.5; 3 * outputs],
            scaling: scaled.then(|| Scaling { offset: vec![0.0; 2], divisor: vec![1.0; 2], clip: None }),
            ..Exported::default()
        };
        let read = |outputs, scaled, task| of_exported("m.npz".as_ref(), exported(outputs, scaled), task);
        for scaled in [false, true] {
            assert_eq!(read(1, scaled, Some(Task::Values)).unwrap().model.head(), Head::Values);
            assert_eq!(read(3, scaled, None).unwrap().model.classes(), 3);
        }
        assert_eq!(read(1, false, None).unwrap().model.classes(), 2);
        assert!(read(1, true, None).err().unwrap().to_string().contains("a single output"));
    }

    pub(super) fn metadata(model: &Mlp) -> Metadata {
        let part = Samples::new(Inputs::U8(vec![]), model.inputs(), vec![]).unwrap();
        let dataset = Dataset {
            name: "some".into(),
            train: part.into(),
            test: None,
            validation: None,
            classes: numbered(model.classes()),
            target_scale: None,
            origin: Origin { rows: 9, checksum: 8, test: Some(0.1), validation: None, seed: Some(1) },
            columns: Some(Columns { count: model.inputs() + 1, label: 0, names: None }),
            schema: None,
            scaling: Some(Scaling {
                offset: vec![0.1; model.inputs()],
                divisor: vec![3.0; model.inputs()],
                clip: None,
            }),
            range: Some(Range::Signed),
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
            (make(&[("0.weight", &[2, 3]), ("1.weight", &[7, 5])]), "make no chain"),
            (make(&[("1.running_mean", &[2])]), "a tensor 1.running_mean"),
            (make(&[("0.weight", &[2, 3]), ("1.bias", &[2])]), "a tensor 1.bias"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[4])]), "with 4 biases"),
            (make(&[("0.weight", &[6]), ("0.bias", &[2])]), "shape [6]"),
            (make(&[("0.weight", &[2, 3]), ("0.bias", &[2]), ("2.weight", &[2, 4]), ("2.bias", &[2])]), "2 4 to 2"),
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
