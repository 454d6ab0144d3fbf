//! Several models in one file. The tensors of member `i` are `members.i.0.weight`, `members.i.0.bias`, ..., so that PyTorch
//! loads them into a module whose `members` are an `nn.ModuleList` of `nn.Sequential`.

use std::path::Path;

use safetensors::tensor::SafeTensors;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Checkpoint, KEY, Loaded, MOST_IN_METADATA, Metadata, Reading, Training};
use crate::data::{TargetScale, classes, numbered};
use crate::error::{Error, Remedy, Result};
use crate::export::Exported;
use crate::files;
use crate::model::Head;
use crate::state::State;

/// The version of the description of several models. That of each single one has its own.
const VERSION: u32 = 3;
/// The most values of all slots together that are text in the metadata: of Adam as many as a single model's.
const MOST_SLOTS: usize = 2 * MOST_IN_METADATA;
/// Bytes of names, shapes and metadata from which on readers refuse a safetensors file.
const MOST_BYTES: u64 = 100_000_000;

/// Models that predict together: the mean of their probabilities, or of the values that they predict, in the unit of the
/// targets. They have the same task, the same classes or values, and the same kind of inputs; layers, scaling and what
/// columns become may differ from member to member.
///
/// ```no_run
/// use mlp_gpu::{Ensemble, Inputs, Mlp, Recipe, Request, Result, Trainer, data};
///
/// fn main() -> Result<()> {
///     let (digits, _notes) = data::load("digits", &data::Options::default())?;
///     let train = |seed| Trainer::new(Mlp::new(&[784, 16, 10])?, &digits).recipe(Recipe { seed, ..Recipe::default() }).run();
///     let members = (0..3).map(|seed| Ok(train(seed)?.checkpoint)).collect::<Result<_>>()?;
///     Ensemble::new(members)?.save("digits.safetensors".as_ref())?;
///     let ensemble = Ensemble::load("digits.safetensors".as_ref())?;
///     let mean = ensemble.on(&Request::default().select()?).predict(&[Inputs::U8(vec![0; 784])])?;
///     println!("an empty image: {:?}", mean.of);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    name: String,
    members: Vec<Checkpoint>,
    weights: Vec<u32>,
    /// For each member the number of the way in which data are read for it.
    readings: Vec<usize>,
}

/// What a file says of an ensemble.
#[derive(Serialize, Deserialize)]
struct Description {
    format_version: u32,
    version: String,
    /// How much each member counts.
    weights: Vec<Value>,
    /// What the descriptions of all members have in common; hundreds of them would not fit otherwise.
    shared: Map<String, Value>,
    /// The rest of each member's description.
    members: Vec<Map<String, Value>>,
}

/// Number of the members of the ensemble that the metadata `json` describe; none where they describe a single model.
pub(crate) fn members_of(json: &str) -> Option<usize> {
    #[derive(Deserialize)]
    struct Parts {
        members: Vec<IgnoredAny>,
    }
    serde_json::from_str::<Parts>(json).ok().map(|parts| parts.members.len())
}

impl Ensemble {
    /// An ensemble of `members` that all count alike.
    ///
    /// # Errors
    /// [`Error::Data`] for no members, or some that do not predict the same from the same kind of inputs.
    pub fn new(members: Vec<Checkpoint>) -> Result<Self> {
        let weights = vec![1; members.len()];
        Self::weighted(members, weights)
    }

    /// An ensemble in whose mean each of `members` counts as often as `weights` says.
    ///
    /// # Errors
    /// As [`Ensemble::new`], and for other than one weight from 1 on for each member.
    pub fn weighted(members: Vec<Checkpoint>, weights: Vec<u32>) -> Result<Self> {
        match fault(&members, &weights) {
            Some((found, expected)) => Err(Error::Data(format!("an ensemble: found {found}, expected {expected}"))),
            None => Ok(Self::joined("the ensemble".into(), members, weights)),
        }
    }

    fn joined(name: String, members: Vec<Checkpoint>, weights: Vec<u32>) -> Self {
        let mut firsts: Vec<&Checkpoint> = Vec::new();
        let mut readings = Vec::new();
        for member in &members {
            let known = firsts.iter().position(|first| member.reads_as(first));
            readings.push(known.unwrap_or(firsts.len()));
            firsts.extend(known.is_none().then_some(member));
        }
        Self { name, members, weights, readings }
    }

    /// Reads what [`Ensemble::load_as`] does, with nothing said of files that other software wrote.
    ///
    /// # Errors
    /// As [`Ensemble::load_as`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_as(path, &Reading::default())
    }

    /// Reads a file of [`Ensemble::save`]; a single model, which [`super::load_as`] reads, is an ensemble of one.
    ///
    /// # Errors
    /// As [`super::load_as`], and [`Error::File`] naming the member that is missing or does not fit the others.
    pub fn load_as(path: &Path, reading: &Reading) -> Result<Self> {
        Ok(match super::read(path, reading)? {
            Loaded::Ensemble(ensemble) => ensemble,
            Loaded::Single(checkpoint) => Self::from(*checkpoint),
        })
    }

    /// Writes all members to `path`, whole or not at all, with what it takes to use each of them and to go on training it. The
    /// same ensemble gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written, [`Error::Data`] for a member that has no metadata, or more of them than a
    /// safetensors file holds.
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write(path, &self.bytes(MOST_SLOTS)?)
    }

    /// The bytes of its file. Slots of more than `most` values together are tensors, else they are text.
    fn bytes(&self, most: usize) -> Result<Vec<u8>> {
        let slots: usize = self.members.iter().flat_map(|member| &member.state.slots).map(Vec::len).sum();
        let most = if slots > most { 0 } else { usize::MAX };
        let mut tensors = Vec::new();
        let text = self.description(|number, metadata, state| {
            let (before, member) = (before(number), &self.members[number]);
            tensors.extend(super::layers(&before, &member.model, &state.parameters));
            metadata.with_state(&before, state, most, &mut tensors)
        })?;
        let bytes = super::serialize(&tensors, KEY, text)?;
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > MOST_BYTES {
            let megabytes = header / 1_000_000;
            return Err(Error::Data(format!(
                "the descriptions of {} members take {megabytes} MB, and a safetensors file holds 100 MB: keep fewer members",
                self.len()
            )));
        }
        Ok(bytes)
    }

    /// The description of the ensemble in JSON, with what `of` makes of each member's number, metadata and state.
    pub(crate) fn description(&self, mut of: impl FnMut(usize, &Metadata, &State) -> Metadata) -> Result<String> {
        let failed = |error: serde_json::Error| super::undescribable(&error);
        let mut members = Vec::new();
        for (number, member) in self.members.iter().enumerate() {
            let Some(metadata) = &member.metadata else {
                return Err(Error::Data(format!(
                    "member {number} of an ensemble, {}, has no metadata: its file does not say what it learnt from",
                    member.name
                )));
            };
            match serde_json::to_value(of(number, metadata, &member.state)).map_err(failed)? {
                Value::Object(object) => members.push(object),
                other => return Err(Error::Data(format!("cannot describe the model: {other} is no object"))),
            }
        }
        let mut shared = members.first().cloned().unwrap_or_default();
        shared.retain(|key, value| members.iter().all(|member| member.get(key) == Some(value)));
        members.iter_mut().for_each(|member| member.retain(|key, _| !shared.contains_key(key)));
        let version = env!("CARGO_PKG_VERSION").into();
        let weights = self.weights.iter().map(|weight| json!(weight)).collect();
        let description = Description { format_version: VERSION, version, weights, shared, members };
        serde_json::to_string(&description).map_err(failed)
    }

    /// Its name in messages: the file that it was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of its members.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one member")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Its members.
    pub fn members(&self) -> &[Checkpoint] {
        &self.members
    }

    /// How much each member counts.
    pub fn weights(&self) -> &[u32] {
        &self.weights
    }

    /// The first member: what all of them have in common can be asked of it.
    pub fn first(&self) -> &Checkpoint {
        &self.members[0]
    }

    /// Member `number`, counted from 0 as in the names of its tensors, as an ensemble of one.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no such member.
    pub fn member(mut self, number: usize) -> Result<Self> {
        if number >= self.len() {
            let (name, last) = (&self.name, self.len() - 1);
            let members = if last == 0 { "a single model, 0".into() } else { format!("the members 0 to {last}") };
            return Err(Error::Usage(format!("there is no member {number} in {name}: it has {members}")));
        }
        Ok(Self { name: self.name, ..Self::from(self.members.swap_remove(number)) })
    }

    /// The model of an ensemble of one.
    ///
    /// # Errors
    /// [`Error::File`] where there are more.
    pub fn into_single(mut self) -> Result<Checkpoint> {
        match self.len() {
            1 => Ok(self.members.swap_remove(0)),
            count => {
                let found = format!("an ensemble of {count} models");
                Err(Error::file(self.name.as_ref(), found, "a single one").advise(&[Remedy::Member]))
            }
        }
    }

    /// For each member the number of the way in which data are read for it: the place, in [`Ensemble::readers`], of a member
    /// with the same columns, features, scaling and parts.
    pub fn readings(&self) -> &[usize] {
        &self.readings
    }

    /// The first member of each way in which data are read.
    pub fn readers(&self) -> Vec<&Checkpoint> {
        let count = self.readings.iter().max().map_or(0, |most| most + 1);
        let first = |reading| self.readings.iter().position(|own| *own == reading);
        (0..count).filter_map(first).map(|member| &self.members[member]).collect()
    }

    /// How the values that its first member predicts were standardised; none where it tells classes apart.
    pub fn target_scale(&self) -> Option<&TargetScale> {
        self.first().target_scale()
    }
}

impl From<Checkpoint> for Ensemble {
    /// An ensemble of one.
    fn from(checkpoint: Checkpoint) -> Self {
        Self::joined(checkpoint.name.clone(), vec![checkpoint], vec![1])
    }
}

/// What stands before the names of the tensors of member `number`.
pub(crate) fn before(number: usize) -> String {
    format!("members.{number}.")
}

/// The ensemble in `file`, which [`Ensemble::save`] wrote to `path` with the metadata `json`.
pub(super) fn read(path: &Path, file: &SafeTensors<'_>, json: &str) -> Result<Ensemble> {
    let (described, weights) = parse(path, json)?;
    let count = described.len();
    let is_other = |name: &&str| (0..count).all(|number| !name.starts_with(&before(number)));
    if let Some(other) = file.names().into_iter().filter(is_other).min() {
        return Err(Error::file(path, format!("a tensor {other}"), format!("those of {count} members alone")));
    }
    let mut members = Vec::new();
    for (number, metadata) in described.into_iter().enumerate() {
        let before = before(number);
        if !file.names().iter().any(|name| name.starts_with(&before)) {
            return Err(Error::file(path, format!("no tensor {before}0.weight"), format!("those of {count} members")));
        }
        members.push(super::of_file(path, file, &before, metadata).map_err(of_member(number))?);
    }
    checked(path, members, weights)
}

/// The ensemble that was exported to `path`. No training of it can go on: exports have no state of the optimizer.
pub(super) fn of_exported(path: &Path, exported: Exported) -> Result<Ensemble> {
    let (described, weights) = parse(path, exported.metadata.as_deref().unwrap_or_default())?;
    let member = |(number, (Exported { widths, front, parameters, .. }, metadata)): (usize, (Exported, Metadata))| {
        let metadata = Metadata { training: Training::default(), ..metadata };
        super::described(path, super::Layers { widths, front, parameters }, metadata).map_err(of_member(number))
    };
    let members = exported.members.into_iter().zip(described).enumerate().map(member);
    checked(path, members.collect::<Result<_>>()?, weights)
}

fn checked(path: &Path, members: Vec<Checkpoint>, weights: Vec<u32>) -> Result<Ensemble> {
    match fault(&members, &weights) {
        Some((found, expected)) => Err(Error::file(path, found, expected)),
        None => Ok(Ensemble::joined(path.display().to_string(), members, weights)),
    }
}

/// The descriptions and the weights of the members that `json` describes.
fn parse(path: &Path, json: &str) -> Result<(Vec<Metadata>, Vec<u32>)> {
    super::check_version(path, json, VERSION)?;
    let description: Description = serde_json::from_str(json).map_err(super::malformed(path))?;
    let weight = |(number, weight): (usize, &Value)| {
        let whole = weight.as_u64().and_then(|weight| u32::try_from(weight).ok());
        whole.ok_or_else(|| Error::file(path, format!("the weight {weight} of member {number}"), WEIGHTS))
    };
    let weights = description.weights.iter().enumerate().map(weight).collect::<Result<_>>()?;
    let member = |(number, own): (usize, Map<String, Value>)| {
        let object: Map<String, Value> = description.shared.clone().into_iter().chain(own).collect();
        super::parse(path, &Value::Object(object).to_string()).map_err(of_member(number))
    };
    Ok((description.members.into_iter().enumerate().map(member).collect::<Result<_>>()?, weights))
}

/// Says of an error of a file that it is about member `number`.
pub(crate) fn of_member(number: usize) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::File { path, found, expected } => {
            Error::File { path, found: format!("in member {number}, {found}"), expected }
        }
        error => error,
    }
}

/// What weights are.
const WEIGHTS: &str = "a whole number from 1 on for each";

/// Why `members` with `weights` are no ensemble, if they are none: what was found, and what was expected.
fn fault(members: &[Checkpoint], weights: &[u32]) -> Option<(String, String)> {
    let Some((first, others)) = members.split_first() else {
        return Some(("no members".into(), "at least one model".into()));
    };
    if weights.len() != members.len() {
        return Some((format!("{} weights of {} members", weights.len(), members.len()), WEIGHTS.into()));
    }
    if let Some(number) = weights.iter().position(|weight| *weight == 0) {
        return Some((format!("the weight 0 of member {number}"), WEIGHTS.into()));
    }
    for aspect in [predicted, taken] {
        let (expected, words) = aspect(first);
        let differing = others.iter().map(aspect).zip(1..).find(|((found, _), _)| *found != expected);
        if let Some(((_, found), number)) = differing {
            return Some((format!("member {number} {found}"), format!("what member 0 does, which {words}")));
        }
    }
    None
}

/// What a member predicts, and that in words.
fn predicted(member: &Checkpoint) -> (Value, String) {
    let names = match (member.target_scale(), member.model.head()) {
        (Some(scale), _) => scale.names.clone(),
        (None, Head::Classes) => member.classes().into_owned(),
        (None, Head::Values) => numbered(member.model.outputs()),
    };
    let what = if member.model.head() == Head::Values { "predicts the values" } else { "tells apart the classes" };
    (json!([what, names]), format!("{what} {}", classes::list(&names)))
}

/// The kind of a member's inputs, and that in words.
fn taken(member: &Checkpoint) -> (Value, String) {
    let (metadata, inputs) = (member.metadata.as_ref(), member.model.inputs());
    let image = metadata.and_then(|metadata| metadata.image);
    let columns = metadata.and_then(|metadata| metadata.columns.as_ref());
    let schema = metadata.and_then(|metadata| metadata.schema.as_ref());
    let what = match (image, columns, schema) {
        (Some((height, width)), ..) => format!("takes images of {height} x {width}, {inputs} values each"),
        // Each member makes features of its own of the columns.
        (None, Some(_), Some(_)) => "takes the columns of tables".into(),
        (None, Some(_), None) => format!("takes tables of {inputs} numbers per row"),
        (None, None, _) => format!("takes {inputs} features per row"),
    };
    let bytes = metadata.is_some_and(|metadata| metadata.scaling.is_none());
    let what = if bytes { what + ", as bytes" } else { what };
    (json!(what), what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::Scaling;
    use crate::model::{Init, Mlp};
    use crate::recipe::OptimizerKind;

    fn member(seed: u64) -> Checkpoint {
        let model = Mlp::new(&[3, 4 + seed as usize, 2]).unwrap();
        let scaling = Scaling { offset: vec![0.1, -2.7, 1e-7], divisor: vec![0.3, 1.0, 3e7], clip: Some(3.0) };
        let mut metadata = Metadata::bare(&model, Some(scaling), None);
        metadata.recipe.optimizer.kind = OptimizerKind::Adam;
        metadata.recipe.seed = seed;
        metadata.training.step = 7 * seed;
        let state = State::new(model.initial_parameters(Init::He, seed), OptimizerKind::Adam);
        let slots = state.slots.iter().map(|slot| (0..slot.len()).map(|i| i as f32 * 0.1 + seed as f32).collect());
        let state = State { slots: slots.collect(), step: 7 * seed, ..state };
        Checkpoint { name: "m".into(), model, state, metadata: Some(metadata), assumed: Vec::new() }
    }

    #[test]
    fn states_of_optimizers_are_kept_as_text_or_as_tensors() {
        let ensemble = Ensemble::weighted((0..3).map(member).collect(), vec![4, 1, 2]).unwrap();
        for (most, tensors) in [(usize::MAX, 12), (0, 18)] {
            let bytes = ensemble.bytes(most).unwrap();
            assert_eq!(bytes, ensemble.bytes(most).unwrap());
            let file = SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(file.len(), tensors);
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            let json = &header.metadata().as_ref().unwrap()[KEY];
            // Said once, as it is the same of all.
            assert_eq!(json.matches("\"scaling\"").count(), 1, "{json}");
            let back = read("m".as_ref(), &file, json).unwrap();
            assert_eq!(back.weights, ensemble.weights);
            for (found, kept) in back.members.iter().zip(&ensemble.members) {
                assert_eq!((&found.state, &found.metadata), (&kept.state, &kept.metadata));
            }
        }
    }

    #[test]
    fn members_of_one_draw_share_a_reading_whichever_their_seeds() {
        let drawn = |recipe: u64, seed: Option<u64>| {
            let mut member = member(0);
            let metadata = member.metadata.as_mut().unwrap();
            (metadata.recipe.seed, metadata.origin.seed) = (recipe, seed);
            member
        };
        let members = vec![drawn(5, None), drawn(6, Some(5)), drawn(7, None), drawn(8, Some(7)), drawn(5, Some(5))];
        let ensemble = Ensemble::new(members).unwrap();
        assert_eq!(ensemble.readings(), [0, 0, 1, 1, 0]);
        assert_eq!(ensemble.readers().len(), 2);
    }
}
