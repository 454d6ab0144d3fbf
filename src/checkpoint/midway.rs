//! A run that is not at its end: the model as it is, how far in the epoch it is, and, where the run may stop early, the best state so
//! far. It is a file of a model, which can be evaluated as any other.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{KEY, Metadata, SLOT, layers, little_endian, serialize, undescribable, values};
use crate::error::{Error, Result};
use crate::files;
use crate::model::Mlp;
use crate::recipe::OptimizerKind;
use crate::state::State;
use crate::train::{Begun, Judged};

/// The names of the tensors of the best state, but for their number: first the parameters, then the slots. They lie as the flat
/// buffer does.
const BEST: &str = "best.";

/// What is said of the best state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Described {
    loss: f64,
    epoch: u32,
    since: u32,
    step: u64,
}

/// Writes `state` of `model` midway to `path`, whole or not at all; the file that was there is kept as `previous`. `metadata` say how
/// many epochs are done, `begun` how much more.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written.
pub fn save(
    path: &Path,
    previous: &Path,
    model: &Mlp,
    (state, begun): (&State, &Begun),
    metadata: &Metadata,
) -> Result<()> {
    let mut tensors = layers("", model, &state.parameters);
    let mut metadata = metadata.with_state("", state, 0, &mut tensors);
    if let Some(Judged { loss, epoch, since, state }) = &begun.judged {
        metadata.training.judged = Some(Described { loss: *loss, epoch: *epoch, since: *since, step: state.step });
        let all = [&state.parameters].into_iter().chain(&state.slots).enumerate();
        tensors.extend(all.map(|(number, values)| {
            (format!("{SLOT}{BEST}{number}"), Dtype::F32, vec![values.len()], little_endian(values))
        }));
    }
    let text = serde_json::to_string(&metadata).map_err(|error| undescribable(&error))?;
    files::write_keeping(path, &serialize(&tensors, KEY, text)?, previous)
}

/// How much of a run of `model` by an optimizer of `kind` is done beside the epochs that `metadata` of the file at `path` say.
///
/// # Errors
/// [`Error::File`] for a number of steps that is none of the next epoch, or a best state that is not whole.
pub fn begun(path: &Path, metadata: &Metadata, model: &Mlp, kind: OptimizerKind) -> Result<Begun> {
    let Metadata { training, recipe, epochs, .. } = metadata;
    let per_epoch = training.rows.div_ceil(recipe.batch_size.max(1)) as u64;
    let batches = training.step.checked_sub(u64::from(*epochs) * per_epoch).filter(|batches| *batches <= per_epoch);
    let Some(batches) = batches else {
        let found = format!("{} steps in {epochs} epochs of {per_epoch}", training.step);
        return Err(Error::file(path, found, "as many as the epochs have"));
    };
    let judged = training.judged.map(|said| best(path, said, model, kind)).transpose()?;
    Ok(Begun { batches: batches as usize, judged })
}

/// The best state in the file at `path`.
fn best(path: &Path, said: Described, model: &Mlp, kind: OptimizerKind) -> Result<Judged> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes);
    let file = file.map_err(|error| Error::file(path, format!("a broken file ({error})"), "a whole one"))?;
    let part = |number: usize| {
        let name = format!("{SLOT}{BEST}{number}");
        let view = file.tensor(&name).map_err(|_| Error::file(path, format!("no tensor {name}"), "the best state"))?;
        let found = values(&view, 1);
        found.map(|found| found.1).map_err(|(found, expected)| Error::file(path, format!("{name} {found}"), expected))
    };
    let parameters = part(0)?;
    let slots = (1..=kind.slots()).map(part).collect::<Result<_>>()?;
    let state = State { parameters, slots, step: said.step };
    state.check(model, kind).map_err(|error| Error::file(path, error.to_string(), "a best state of its network"))?;
    Ok(Judged { loss: said.loss, epoch: said.epoch, since: said.since, state })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::checkpoint::{self, tests::metadata};
    use crate::model::Init;

    #[test]
    fn what_is_saved_midway_goes_on_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, previous) = (folder.path().join("a"), folder.path().join("b"));
        let model = Mlp::new(&[5, 3, 4, 2]).unwrap();
        let state = |step| State {
            parameters: model.initial_parameters(Init::He, step),
            slots: vec![model.initial_parameters(Init::He, step + 1); 2],
            step,
        };
        let mut described = metadata(&model);
        described.recipe.optimizer.kind = OptimizerKind::Adam;
        (described.training.rows, described.recipe.batch_size, described.epochs) = (20, 2, 3);
        let judged = Judged { loss: 0.1 + 0.2, epoch: 2, since: 1, state: state(20) };
        let began = Begun { batches: 4, judged: Some(judged) };
        save(&path, &previous, &model, (&state(34), &began), &described).unwrap();
        let loaded = checkpoint::load(&path).unwrap();
        assert_eq!(loaded.state, state(34));
        let read = begun(&path, loaded.metadata.as_ref().unwrap(), &model, OptimizerKind::Adam).unwrap();
        assert_eq!(read, began);
        for step in [29, 41] {
            let mut other = loaded.metadata.clone().unwrap();
            other.training.step = step;
            assert!(begun(&path, &other, &model, OptimizerKind::Adam).is_err());
        }
    }
}
