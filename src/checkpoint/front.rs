//! The front of a model in files: tensors of the names that [`FrontTensor`] has, and [`FEATURES`], the columns that are embedded.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use super::values;
use crate::error::{Error, Result};
use crate::model::front::{VALUES, WAVES};
use crate::model::{Front, FrontTensor, Mlp};

/// The name of the tensor that says which features are embedded: whole numbers from 0.
pub const FEATURES: &str = "embedding.features";

/// A front as a file has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Read {
    /// What it does.
    pub(crate) front: Front,
    /// Its parameters in the order of the flat buffer.
    pub(crate) parameters: Vec<f32>,
}

impl Read {
    /// What arrays hold: `array` gives shape and values of one by its name, if there is such an array.
    ///
    /// # Errors
    /// [`Error::File`] for an array that is missing, or is not as the others say.
    pub(crate) fn new(path: &Path, mut array: impl FnMut(&str) -> Result<Option<Floats>>) -> Result<Self> {
        let features = array(FEATURES)?.map(|(_, features)| features).unwrap_or_default();
        if let Some(at) = features.iter().position(|at| !(0.0..16_777_216.0).contains(at) || at.fract() != 0.0) {
            let found = format!("{FEATURES} with {}", features[at]);
            return Err(Error::file(path, found, "numbers of columns"));
        }
        let embedded: Vec<u32> = features.iter().map(|&at| at as u32).collect();
        let mut read = Self { front: Front { embedded, ..Front::default() }, parameters: Vec::new() };
        let [rest @ .., factors] = read.front.tensors(0);
        for FrontTensor { name, shape, .. } in rest {
            match array(name)? {
                None if read.front.embedded.is_empty() => {}
                Some((found, values)) if found == shape => read.parameters.extend(values),
                found => {
                    let found = found.map_or("no".into(), |(shape, _)| format!("{shape:?}"));
                    let expected = format!("{shape:?}: {} features are embedded", read.front.embedded.len());
                    return Err(Error::file(path, format!("a tensor {name} of shape {found}"), expected));
                }
            }
        }
        if let Some((_, values)) = array(factors.name)? {
            read.front.scaled = true;
            read.parameters.extend(values);
        }
        Ok(read)
    }

    /// Features of a row where the first layer has so many inputs.
    pub(crate) fn inputs(&self, first: usize) -> Option<usize> {
        let inputs = first.checked_sub(VALUES * self.front.embedded.len())?;
        let factors = self.parameters.len() - (2 * WAVES + VALUES * WAVES + VALUES) * self.front.embedded.len();
        (!self.front.scaled || factors == first).then_some(inputs)
    }
}

/// Shape and values.
pub(crate) type Floats = (Vec<usize>, Vec<f32>);

/// The front that `file` at `path` has in tensors with `before` before their names.
pub(super) fn read(path: &Path, file: &SafeTensors<'_>, before: &str) -> Result<Read> {
    Read::new(path, |name| {
        let Ok(view) = file.tensor(&format!("{before}{name}")) else { return Ok(None) };
        if view.dtype() == Dtype::I64 && name == FEATURES {
            let words = view.data().as_chunks::<8>().0;
            return Ok(Some((
                view.shape().to_vec(),
                words.iter().map(|word| i64::from_le_bytes(*word) as f32).collect(),
            )));
        }
        let found = values(&view, view.shape().len());
        found.map(Some).map_err(|(found, expected)| Error::file(path, format!("{name} {found}"), expected))
    })
}

/// How many tensors of `file` are those of a front, with `before` before their names.
pub(super) fn count(file: &SafeTensors<'_>, before: &str) -> usize {
    let names = Front::default().tensors(0).map(|tensor| tensor.name);
    let own = file.names().into_iter().filter_map(|name| name.strip_prefix(before));
    own.filter(|name| *name == FEATURES || names.contains(name)).count()
}

/// The columns that `model` embeds, if any, and those tensors of its front that it has, with their values among `parameters`.
pub(crate) fn tensors<'a>(
    model: &'a Mlp,
    parameters: &'a [f32],
) -> (Option<&'a [u32]>, impl Iterator<Item = (&'a FrontTensor, &'a [f32])>) {
    let tensors = model.front_tensors().iter().filter(|tensor| !tensor.place.is_empty());
    let embedded = Some(&model.front().embedded[..]).filter(|embedded| !embedded.is_empty());
    (embedded, tensors.map(|tensor| (tensor, &parameters[tensor.place.clone()])))
}
