//! The way back from what [`super`] writes.

use std::io::Cursor;
use std::path::Path;

use zip::ZipArchive;

use super::onnx;
use crate::checkpoint::ensemble;
use crate::checkpoint::front::Read;
use crate::data::arrays::Array;
use crate::data::{Inputs, Scaling};
use crate::error::{Error, Result};
use crate::model::{Activation, Front};

/// What an exported file holds of a model.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Exported {
    /// The widths of a row, of its hidden layers and its output.
    pub(crate) widths: Vec<usize>,
    /// What the features pass before the first layer.
    pub(crate) front: Front,
    /// Its parameters as [`crate::model::Mlp`] lays them out.
    pub(crate) parameters: Vec<f32>,
    /// What its own file said of it, JSON.
    pub(crate) metadata: Option<String>,
    /// Its activation, where nothing else says it.
    pub(crate) activation: Option<Activation>,
    /// The scaling of its inputs, where there is an array of it.
    pub(crate) scaling: Option<Scaling>,
    /// Means and deviations of the values that it predicts, where there are arrays of them.
    pub(crate) targets: Option<(Vec<f32>, Vec<f32>)>,
    /// The members of an ensemble, which has layers in nothing but them.
    pub(crate) members: Vec<Exported>,
}

/// A float32 array: its shape and values.
pub(super) type Floats = (Vec<usize>, Vec<f32>);

/// Whether `bytes` are an ONNX model, of whatever software.
pub(crate) fn is_onnx(bytes: &[u8]) -> bool {
    onnx::nodes(bytes) > 0
}

impl Exported {
    /// What `bytes` of the file at `path` hold; none where they are no export of this program.
    ///
    /// # Errors
    /// [`Error::File`] for an array that is missing or malformed.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Option<Self>> {
        if bytes.starts_with(b"PK") {
            return Self::npz(path, bytes);
        }
        let Some((found, layers, mut arrays)) = onnx::read(bytes) else { return Ok(None) };
        let Some(count) = found.metadata.as_deref().and_then(ensemble::members_of) else {
            return found.with_layers(path, layers, |name| Ok(arrays.remove(name))).map(Some);
        };
        let members = (0..count).map(|number| {
            let before = ensemble::before(number);
            let weights = format!("{before}W");
            let layers = arrays.keys().filter(|name| name.starts_with(&weights)).count();
            Self::default()
                .with_layers(path, layers, |name| Ok(arrays.remove(&format!("{before}{name}"))))
                .map_err(ensemble::of_member(number))
        });
        Ok(Some(Self { members: members.collect::<Result<_>>()?, ..found }))
    }

    fn npz(path: &Path, bytes: &[u8]) -> Result<Option<Self>> {
        let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else { return Ok(None) };
        if archive.index_for_name("W1.npy").is_none() {
            return Ok(None);
        }
        let layers = archive.file_names().flatten().filter(|name| name.starts_with('W')).count();
        let mut array = |name: &str| -> Result<Option<(Vec<usize>, Inputs)>> {
            let Some(index) = archive.index_for_name(&format!("{name}.npy")) else { return Ok(None) };
            let damaged = |error| Error::file(path, format!("a damaged {name} ({error})"), "a whole NumPy array");
            let array = Array::read(path, name, archive.by_index(index).map_err(damaged)?)?;
            let shape = array.shape.clone();
            let values =
                array.inputs().map_err(|found| Error::file(path, format!("{name} {found}"), "finite numbers"))?;
            Ok(Some((shape, values)))
        };
        let mut text = |name: &str| -> Result<Option<String>> {
            Ok(match array(name)? {
                Some((_, Inputs::U8(bytes))) => String::from_utf8(bytes).ok(),
                _ => None,
            })
        };
        let (metadata, activation) = (text("metadata")?, text("activation")?);
        let activation = activation.and_then(|name| Activation::named(&name));
        let mut floats = |name: &str| -> Result<Option<Floats>> {
            Ok(array(name)?.map(|(shape, values)| match values {
                Inputs::F32(values) => (shape, values),
                Inputs::U8(values) => (shape, values.into_iter().map(f32::from).collect()),
            }))
        };
        let clip = floats("clip")?.and_then(|(_, values)| values.first().copied()).filter(|clip| *clip > 0.0);
        let mut pair = |one: &str, other: &str| -> Result<Option<(Vec<f32>, Vec<f32>)>> {
            Ok(floats(one)?.zip(floats(other)?).map(|((_, one), (_, other))| (one, other)))
        };
        let scaling = pair("offset", "divisor")?.map(|(offset, divisor)| Scaling { offset, divisor, clip });
        let targets = pair("target_mean", "target_deviation")?;
        let found = Self { metadata, activation, scaling, targets, ..Self::default() };
        found.with_layers(path, layers, floats).map(Some)
    }

    /// The same with so many layers, whose arrays are `W1`, `b1`, `W2`, ...
    pub(super) fn with_layers(
        mut self,
        path: &Path,
        layers: usize,
        mut array: impl FnMut(&str) -> Result<Option<Floats>>,
    ) -> Result<Self> {
        let front = Read::new(path, &mut array)?;
        self.parameters.clone_from(&front.parameters);
        for number in 1..=layers {
            let name = format!("W{number}");
            let Some((shape, weights)) = array(&name)? else {
                return Err(Error::file(path, format!("no array {name}"), format!("W1 to W{layers} of a model")));
            };
            let before = self.widths.last().copied();
            let [inputs, outputs] = shape[..] else {
                return Err(Error::file(path, format!("{name} of shape {shape:?}"), "inputs x outputs"));
            };
            if before.is_some_and(|before| before != inputs) {
                let expected = format!("{} inputs, as the layer before it has outputs", before.unwrap_or_default());
                return Err(Error::file(path, format!("{name} of {inputs} x {outputs}"), expected));
            }
            let biases = match array(&format!("b{number}"))? {
                Some((_, biases)) if biases.len() == outputs => biases,
                Some((_, biases)) => {
                    return Err(Error::file(
                        path,
                        format!("{} values in b{number}", biases.len()),
                        format!("{outputs}"),
                    ));
                }
                None => vec![0.0; outputs],
            };
            if before.is_none() {
                self.widths.push(inputs);
            }
            self.widths.push(outputs);
            self.parameters.extend(weights);
            self.parameters.extend(biases);
        }
        if let Some(first) = self.widths.first_mut() {
            let expected = || format!("an embedding and a scale for the {first} inputs of W1");
            let found = "an embedding or a scale of other inputs";
            *first = front.inputs(*first).ok_or_else(|| Error::file(path, found, expected()))?;
        }
        self.front = front.front;
        match self.parameters.iter().position(|value| !value.is_finite()) {
            Some(index) => {
                Err(Error::file(path, format!("a parameter that is {}", self.parameters[index]), "finite numbers"))
            }
            None if self.widths.is_empty() => Err(Error::file(path, "no array W1", "W1, b1, W2, ... of a model")),
            None => Ok(self),
        }
    }
}
