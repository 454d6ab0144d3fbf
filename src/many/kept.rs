//! Trained networks as files of their own, and what makes a job the one that it is: by both, what several processes trained is put
//! together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Job, Trained};
use crate::checkpoint::{little_endian, serialize};
use crate::data::{Inputs, Samples, Targets};
use crate::error::{Error, Result};
use crate::files;
use crate::hex::hex;
use crate::state::State;
use crate::train::{Epoch, Outcome};

/// The key of the metadata.
const KEY: &str = "mlp-gpu network";
const PARAMETERS: &str = "parameters";

/// Tells jobs apart by all that decides their bits: the shape, the recipe, the rows, the state at the start, the version of the
/// program and the kind of device. Data that jobs share are read once.
pub struct Identity {
    device: String,
    /// The samples that were read. Holding them keeps their addresses from being used again.
    seen: HashMap<*const Samples, (Arc<Samples>, Hash)>,
}

type Hash = [u8; 32];

impl Identity {
    /// Jobs on `device`, such as `cpu`.
    pub fn on(device: &str) -> Self {
        Self { device: device.to_owned(), seen: HashMap::new() }
    }

    /// The SHA-256 of `job`, in hexadecimal.
    ///
    /// # Errors
    /// [`Error::Data`] for a recipe that JSON cannot say.
    pub fn of(&mut self, job: &Job) -> Result<String> {
        let Job { model, recipe, data, state, done } = job;
        let recipe = serde_json::to_string(recipe).map_err(|error| Error::Data(format!("the recipe: {error}")))?;
        let mut hash = Sha256::new();
        for text in [env!("CARGO_PKG_VERSION"), &self.device, &format!("{model:?}"), &recipe] {
            add(&mut hash, text.as_bytes());
        }
        for (split, view) in data.each() {
            add(&mut hash, split.name().as_bytes());
            hash.update(self.samples(&view.samples));
            add(&mut hash, bytemuck::cast_slice(view.rows.as_deref().unwrap_or_default()));
        }
        [&state.parameters]
            .into_iter()
            .chain(&state.slots)
            .for_each(|values| add(&mut hash, bytemuck::cast_slice(values)));
        hash.update(state.step.to_le_bytes());
        hash.update(done.to_le_bytes());
        Ok(hex(&hash.finalize()))
    }

    fn samples(&mut self, samples: &Arc<Samples>) -> Hash {
        let (_, hash) =
            self.seen.entry(Arc::as_ptr(samples)).or_insert_with(|| (Arc::clone(samples), hash_of(samples)));
        *hash
    }
}

fn hash_of(samples: &Samples) -> Hash {
    let Samples { inputs, width, targets, image, weights } = samples;
    let mut hash = Sha256::new();
    add(&mut hash, format!("{width} {image:?}").as_bytes());
    match inputs {
        Inputs::U8(values) => add(&mut hash, values),
        Inputs::F32(values) => add(&mut hash, bytemuck::cast_slice(values)),
    }
    match targets {
        Targets::Classes(labels) => add(&mut hash, bytemuck::cast_slice(labels)),
        Targets::Values(values) => add(&mut hash, bytemuck::cast_slice(values)),
    }
    add(&mut hash, bytemuck::cast_slice(weights.as_deref().unwrap_or_default()));
    hash.finalize().into()
}

/// Adds `bytes` and how many they are, so that no two lists of texts run into the same bytes.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// What a file says of a network beside its tensors.
#[derive(Serialize, Deserialize)]
struct Description {
    step: u64,
    slots: usize,
    outcome: Outcome,
    epochs: Vec<Epoch>,
}

impl Trained {
    /// Writes it to a safetensors file, from which [`Trained::load`] has all of it again, to the bit.
    ///
    /// # Errors
    /// [`Error::Io`] where that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let Trained { outcome, state, epochs } = self;
        let description =
            Description { step: state.step, slots: state.slots.len(), outcome: *outcome, epochs: epochs.clone() };
        let text = serde_json::to_string(&description)
            .map_err(|error| Error::Data(format!("cannot describe a network: {error}")))?;
        let names = std::iter::once(PARAMETERS.to_owned()).chain((0..state.slots.len()).map(slot));
        let values = std::iter::once(&state.parameters).chain(&state.slots);
        let tensors: Vec<_> = names
            .zip(values)
            .map(|(name, values)| (name, Dtype::F32, vec![values.len()], little_endian(values)))
            .collect();
        files::write(path, &serialize(&tensors, KEY, text)?)
    }

    /// The network in the file `path`, which [`Trained::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::File`] where it is something else.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let bad = |error: &dyn std::fmt::Display| Error::file(path, error.to_string(), "a trained network");
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| bad(&error))?;
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let text = text.ok_or_else(|| bad(&format!("no metadata {KEY:?}")))?;
        let Description { step, slots, outcome, epochs } = serde_json::from_str(text).map_err(|error| bad(&error))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| bad(&error))?;
        let values = |name: &str| -> Result<Vec<f32>> {
            let tensor = tensors.tensor(name).map_err(|error| bad(&error))?;
            if tensor.dtype() != Dtype::F32 {
                return Err(bad(&format!("a tensor {name} of {:?}", tensor.dtype())));
            }
            let (floats, _) = tensor.data().as_chunks::<4>();
            Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
        let parameters = values(PARAMETERS)?;
        let slots = (0..slots).map(|number| values(&slot(number))).collect::<Result<_>>()?;
        Ok(Trained { outcome, state: State { parameters, slots, step }, epochs })
    }
}

/// The name of the optimizer's slot `number`.
fn slot(number: usize) -> String {
    format!("slot.{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Parts, Split};
    use crate::data::View;
    use crate::metrics::{Errors, Evaluation};
    use crate::model::Mlp;
    use crate::recipe::Recipe;
    use crate::train::End;

    #[test]
    fn a_network_is_read_back_to_the_bit_even_where_its_errors_are_not_finite() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("network.safetensors");
        let odd =
            Errors { squared: f64::INFINITY, absolute: f64::NEG_INFINITY, targets: 0.1 + 0.2, squared_targets: 1e-300 };
        let part = Evaluation { rows: 3, loss_sum: 1.0 / 3.0, errors: vec![odd], ..Evaluation::empty(0) };
        let epoch = Epoch {
            number: 2,
            learning_rate: 0.1,
            rows: 7,
            train: None,
            test: Some(part),
            validation: Some(Evaluation { loss_sum: f64::NAN, ..Evaluation::empty(2) }),
            train_seconds: 0.3,
            eval_seconds: 0.07,
        };
        let state = State { parameters: vec![0.1, -0.0, f32::MIN_POSITIVE], slots: vec![vec![1.5; 3]; 2], step: 9 };
        let trained = Trained { outcome: Outcome { epoch: 2, end: End::NoBetter }, state, epochs: vec![epoch] };
        trained.save(&path).expect("it is written");
        let again = Trained::load(&path).expect("it is read");
        // NaN is unlike itself.
        assert_eq!(format!("{again:?}"), format!("{trained:?}"));
        std::fs::write(&path, b"something else").expect("written");
        let error = Trained::load(&path).expect_err("that is no network").to_string();
        assert!(error.contains("network.safetensors") && error.contains("a trained network"), "{error}");
    }

    #[test]
    fn jobs_are_told_apart_by_all_that_decides_their_bits() {
        let samples =
            |first: u8| Arc::new(Samples::new(Inputs::U8(vec![first, 2, 3, 4]), 2, vec![0, 1]).expect("samples"));
        let job = |first: u8, rows: Option<Vec<u32>>| {
            let recipe = Recipe { hidden: vec![3], ..Recipe::default() };
            let model = Mlp::new(&[2, 3, 2]).expect("a model");
            let mut data = Parts::default();
            data.set(Split::Train, View { samples: samples(first), rows: rows.map(Into::into) });
            Job {
                state: State::new(vec![0.5; model.parameters()], recipe.optimizer.kind),
                model,
                recipe,
                data,
                done: 0,
            }
        };
        let plain = job(1, None);
        let mut others = vec![job(9, None), job(1, Some(vec![1, 0])), Job { done: 1, ..plain.clone() }, plain.clone()];
        others[3].recipe.seed += 1;
        others.push(plain.clone());
        others[4].state.parameters[2] = 0.25;
        let mut identity = Identity::on("cpu");
        let own = identity.of(&plain).expect("a hash");
        assert_eq!(own, identity.of(&job(1, None)).expect("a hash"));
        assert_ne!(own, Identity::on("gpu").of(&plain).expect("a hash"));
        for (number, other) in others.iter().enumerate() {
            assert_ne!(own, identity.of(other).expect("a hash"), "job {number}");
        }
    }
}
