//! Whether a device computes rightly what it is about to compute: the first step of a run, by its own plan, network and rows, against
//! the CPU's.

use std::sync::Arc;

use crate::backend::cpu::Cpu;
use crate::backend::cpu::reference::Reference;
use crate::backend::{Backend, BackendExt, Precision, Split};
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::metrics::norm;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;

/// Rows of the step.
const ROWS: usize = 32;
/// The most products of a step that are worth their time: a tenth of a second on one thread.
const MOST_WORK: usize = 1 << 28;
/// How far a step may end from the CPU's, as a share of its length. Rounding turns a unit on or off and makes optimizers that divide by
/// the gradient's size follow what is nothing but rounding: 5 %; a kernel that is wrong is wrong throughout.
const APART: f64 = 0.05;
/// The same of products of 16 bits.
const APART_MIXED: f64 = 0.5;

/// Takes a step from `state` on `backend`, to which `train` was uploaded, and compares where it ends with where the CPU does. Afterwards
/// the backend has `state` again. False where the network is too large for that to be done quickly.
///
/// # Errors
/// [`Error::Check`] where the two are apart, and what the backend fails with.
pub fn first_step(
    backend: &mut dyn Backend,
    model: &Mlp,
    recipe: &Recipe,
    train: &Arc<Samples>,
    state: &State,
) -> Result<bool> {
    let rows = ROWS.min(train.len()).min(recipe.batch_size);
    if rows == 0 || 6 * rows * model.parameters() > MOST_WORK {
        return Ok(false);
    }
    let [actual, expected] = steps(backend, &mut Cpu::new(model.clone(), recipe, 1)?, recipe, train, state, rows)?;
    let (actual, expected) = (actual.parameters, expected.parameters);
    let between = |a: &[f32], b: &[f32]| norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>());
    let (apart, length) = (between(&actual, &expected), between(&expected, &state.parameters));
    let about = backend.about();
    let share = if about.precision == Precision::Mixed { APART_MIXED } else { APART };
    // Where nothing moves, as with all units dead, there is nothing to compare with but rounding.
    let rounding = 1e-6 * (1.0 + norm(&expected));
    if !length.is_finite() || apart <= share * length + rounding {
        return Ok(true);
    }
    Err(Error::Check(format!(
        "{}, by the plan {}, computes the first step wrongly: it ends {apart:.3e} from the CPU's, whose length is {length:.3e}",
        about.device, about.plan
    )))
}

/// Takes the same step on `backend`, which computes by the plan elementary, and by its plain twins, and compares all bits. Afterwards the
/// backend has `state` again.
///
/// # Errors
/// [`Error::Check`] where some bit is another, and what the backend fails with.
pub fn exactly(
    backend: &mut dyn Backend,
    model: &Mlp,
    recipe: &Recipe,
    train: &Arc<Samples>,
    state: &State,
) -> Result<()> {
    let rows = ROWS.min(train.len()).min(recipe.batch_size);
    let twins = &mut Reference::new(model.clone(), recipe);
    let [actual, expected] = steps(backend, twins, recipe, train, state, rows)?;
    let values =
        |state: &State| state.slots.iter().flatten().chain(&state.parameters).map(|value| value.to_bits()).collect();
    let (actual, expected): (Vec<u32>, Vec<u32>) = (values(&actual), values(&expected));
    let other = actual.iter().zip(&expected).filter(|(actual, expected)| actual != expected).count();
    if other == 0 {
        return Ok(());
    }
    let (device, all) = (backend.about().device, expected.len());
    Err(Error::Check(format!(
        "{device} rounds otherwise than the CPU: {other} of {all} parameters and slots have other bits after the first step"
    )))
}

/// The states after the same step of `rows` rows from `state` on both. Afterwards the first one has `state` again.
fn steps(
    backend: &mut dyn Backend,
    cpu: &mut dyn Backend,
    recipe: &Recipe,
    train: &Arc<Samples>,
    state: &State,
    rows: usize,
) -> Result<[State; 2]> {
    // Not all rows are prepared for one step.
    cpu.upload(Split::Train, &Arc::new(train.select(|row| row < rows)?))?;
    let order: Vec<u32> = (0..rows as u32).collect();
    // Long enough to stand out from the parameters' own rounding.
    let rate = recipe.schedule.lr.clamp(1e-4, 1e-1) as f32;
    let step = |backend: &mut dyn Backend| -> Result<State> {
        backend.set_state(state)?;
        backend.pass(&order, recipe.batch_size, rate)?;
        backend.state(None)
    };
    let found = [step(backend)?, step(cpu)?];
    backend.set_state(state)?;
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::faulty::{Fault, Faulty};
    use crate::data::Inputs;
    use crate::model::Init;

    #[test]
    fn a_device_that_computes_wrongly_is_found() {
        let model = Mlp::new(&[6, 5, 3]).unwrap();
        let recipe = Recipe { hidden: vec![5], batch_size: 8, ..Recipe::default() };
        let inputs = (0..120u32).map(|at| (at * 37 % 19) as f32 / 19.0).collect();
        let train = Arc::new(Samples::new(Inputs::F32(inputs), 6, (0..20).map(|row| row % 3).collect()).unwrap());
        let state = State::new(model.initial_parameters(Init::He, 1), recipe.optimizer.kind);
        let checked = |after, fault| {
            let mut cpu = Cpu::new(model.clone(), &recipe, 1).unwrap();
            cpu.upload(Split::Train, &train).unwrap();
            let mut faulty = Faulty { inner: &mut cpu, after, fault, calls: 0 };
            first_step(&mut faulty, &model, &recipe, &train, &state)
        };
        assert!(checked(usize::MAX, Fault::Wrong).unwrap());
        for fault in [Fault::Wrong, Fault::NotANumber] {
            let error = checked(0, fault).unwrap_err();
            assert!(error.to_string().contains("computes the first step wrongly"), "{error}");
        }
        assert!(checked(2, Fault::Lost).unwrap_err().to_string().contains("lost"));
    }
}
