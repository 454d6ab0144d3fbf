//! How much an engine's buffers hold, and how many members a device has room for.

use std::collections::BTreeMap;

use crate::backend::cpu::squares::BLOCK;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::launch::ahead::sums;
use crate::backend::gpu::launch::stride;
use crate::backend::gpu::plan::{Buffer, Element, Plan, PlanName};
use crate::backend::gpu::submit::{Batch, MAX_STEPS, MOST_MEMBERS};
use crate::error::{Error, Remedy, Result};
use crate::memory::Bytes;
use crate::model::{Mlp, most};
use crate::recipe::Recipe;

/// Rows of a member evaluated at a time, at most.
const EVALUATION_ROWS: usize = 4096;
/// Bytes of one activation buffer at most, as far as evaluation decides it.
const EVALUATION_BYTES: usize = 64 << 20;
/// Bytes of the buffers of a pack, at most: no adapter tells how much memory it has.
const PACK_BYTES: u64 = 2 << 30;
/// Floating-point operations of one submission, so that it ends long before a desktop's watchdog (2 s) does: half a
/// second on the slowest hardware worth the name, and on a software driver.
const HARDWARE_WORK: f64 = 2e10;
const SOFTWARE_WORK: f64 = 5e8;

/// Floating-point operations of one submission.
pub(super) fn work(device: &Device) -> f64 {
    if device.hardware.software { SOFTWARE_WORK } else { HARDWARE_WORK }
}

/// What decides the size of an engine's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) members: usize,
    /// Rows of a member evaluated at a time. They decide how losses are summed up, so they do not depend on the members.
    pub(super) evaluation_rows: usize,
    /// Members evaluated at a time.
    pub(super) at_once: usize,
    /// Rows that a buffer of activations has room for: those of a step or an evaluation of all members.
    pub(super) rows: usize,
}

impl Sizes {
    /// For `members` members that train `model` with batches of `batch_size` rows on `device`.
    pub(super) fn new(device: &Device, model: &Mlp, batch_size: usize, members: usize) -> Self {
        let widest = (0..model.widths().len()).map(|index| model.width(index)).max().unwrap_or(1);
        let flops = 2.0 * model.parameters() as f64;
        let rows_by_work = (work(device) / flops) as usize;
        let evaluation_rows = EVALUATION_ROWS.min(EVALUATION_BYTES / 4 / widest).min(rows_by_work).max(64);
        // As many as there is room for anyway, or as the bytes allow.
        let trained = members * batch_size / evaluation_rows;
        let most = device.most_bound();
        let allowed = EVALUATION_BYTES.min(usize::try_from(most).unwrap_or(usize::MAX)) / 4 / widest / evaluation_rows;
        let at_once = trained.max(allowed).clamp(1, members);
        let rows = (members * batch_size).max(at_once * evaluation_rows);
        Self { members, evaluation_rows, at_once, rows }
    }

    /// Name and bytes of the buffers of the plan `plan`, but for those of a data set and for uniforms.
    pub(super) fn buffers(self, device: &Device, plan: PlanName, model: &Mlp, recipe: &Recipe) -> Sized {
        let hardware = &device.hardware;
        let step = Plan::step(plan, model, recipe, Element::U8, recipe.batch_size, hardware);
        let evaluation = Plan::evaluation(plan, model, recipe, Element::U8, self.evaluation_rows, hardware);
        let (members, rows, stride) = (self.members, self.rows, stride(model.parameters()));
        let of = |buffer| -> Option<(String, usize)> {
            Some(match buffer {
                Buffer::Parameters => ("parameters".into(), members * stride),
                Buffer::Gradients => ("gradients".into(), members * stride),
                Buffer::Squares => ("squares of the gradients".into(), members * model.parameters().div_ceil(BLOCK)),
                Buffer::ClipNorms => ("norms to clip to".into(), members),
                Buffer::ClipFactor => ("factors of the gradients".into(), members),
                Buffer::Rows => ("rows of a batch".into(), rows * model.inputs()),
                Buffer::Columns => ("embedded features".into(), model.front().embedded.len()),
                Buffer::Embedded => ("embedded rows".into(), rows * model.width(0)),
                Buffer::InputGradient => ("gradients at the inputs".into(), rows * model.width(0)),
                Buffer::Activations(index) => (format!("activations of layer {index}"), rows * model.width(index)),
                Buffer::Saved(index) => (format!("sums of layer {index}"), rows * model.widths()[index]),
                Buffer::Sums => {
                    // Tuning tries all ways.
                    let ways = step.pieces().flat_map(|piece| [&piece.launch].into_iter().chain(&piece.others));
                    let values = ways.filter_map(sums).max().unwrap_or(0);
                    ("parts of the next batch".into(), members * values)
                }
                Buffer::Slots => ("optimizer's slots".into(), members * recipe.optimizer.kind.slots() * stride),
                Buffer::Deltas(index) => (format!("gradients at layer {index}"), rows * model.widths()[index + 1]),
                Buffer::Losses => ("losses".into(), rows),
                Buffer::Confusion => ("confusion matrix's counts".into(), members * model.classes().pow(2)),
                Buffer::Steps => ("numbers of the steps".into(), members * MAX_STEPS * size_of::<Batch>() / 4),
                Buffer::Unused => ("unused buffer".into(), 1),
                Buffer::Data | Buffer::Targets | Buffer::Weights | Buffer::Order | Buffer::Totals => return None,
                Buffer::Drops(_) => return None,
            })
        };
        let used = step.buffers().chain(evaluation.buffers());
        used.filter_map(|buffer| of(buffer).map(|(name, values)| (buffer, (name, 4 * values as u64)))).collect()
    }
}

/// Name and bytes of buffers.
pub(super) type Sized = BTreeMap<Buffer, (String, u64)>;

/// How many members of a pack that trains `model` by `recipe` fit on `device` at once: at least one, which may fail for itself, and
/// at most [`MOST_MEMBERS`].
///
/// # Errors
/// As [`PlanName::check`] for the plan `wanted`.
pub(crate) fn capacity(device: &Device, model: &Mlp, recipe: &Recipe, wanted: Option<PlanName>) -> Result<usize> {
    let (plan, _) = PlanName::choose(model, recipe, &device.hardware, wanted)?;
    let fits = |members: usize| {
        let sizes = Sizes::new(device, model, recipe.batch_size.max(1), members);
        let buffers = sizes.buffers(device, plan, model, recipe);
        total(&buffers) <= PACK_BYTES && buffers.values().all(|&(_, bytes)| bytes <= device.most_bound())
    };
    // More members never take less.
    Ok(most(MOST_MEMBERS, fits).unwrap_or(1))
}

/// Bytes of `buffers` together. Parameters and slots are there twice: as an evaluation is of them.
fn total(buffers: &Sized) -> u64 {
    let twice = [Buffer::Parameters, Buffer::Slots].iter().filter_map(|buffer| buffers.get(buffer));
    buffers.values().chain(twice).map(|(_, bytes)| bytes).sum()
}

/// The buffers of `members` networks as `model` that `recipe` trains by the plan `plan`, if `device` has room for them.
///
/// # Errors
/// [`Error::Gpu`] saying what is too large and what there is, with the batch or the layers that would fit.
pub(super) fn check(device: &Device, plan: PlanName, model: &Mlp, recipe: &Recipe, members: usize) -> Result<Sized> {
    let (name, most_bound, memory) = (&device.info.name, device.most_bound(), device.memory.unwrap_or(u64::MAX));
    let sized = |model: &Mlp, batch_size: usize| {
        let recipe = Recipe { batch_size, ..recipe.clone() };
        Sizes::new(device, model, batch_size, members).buffers(device, plan, model, &recipe)
    };
    let excess = |buffers: &Sized| {
        let (largest, bytes) = buffers.values().max_by_key(|(_, bytes)| *bytes)?;
        if *bytes > most_bound {
            let (bytes, most) = (Bytes(*bytes), Bytes(most_bound));
            return Some(format!("the {largest} need a buffer of {bytes}, but adapter {name} binds at most {most}"));
        }
        let (bytes, has) = (total(buffers), Bytes(memory));
        (bytes > memory).then(|| format!("the network takes {} in all, but adapter {name} has {has}", Bytes(bytes)))
    };
    let buffers = sized(model, recipe.batch_size);
    let Some(why) = excess(&buffers) else { return Ok(buffers) };
    let batch = most(recipe.batch_size, |rows| excess(&sized(model, rows)).is_none()).map(Remedy::BatchOf);
    let layers = || model.widest(|model| excess(&sized(model, recipe.batch_size)).is_none()).map(Remedy::LayersOf);
    let remedy = batch.or_else(layers).unwrap_or(Remedy::FewerInputs);
    Err(Error::Gpu(why).advise(&[remedy, Remedy::Cpu]))
}
