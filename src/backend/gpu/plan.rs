//! A step as data: an ordered list of kernel launches with the buffers they bind. No wgpu in it.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;

use crate::backend::Precision;
use crate::backend::cpu::augment::Warper;
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels;
use crate::backend::gpu::launch::dense::{Dense, Product, Source};
use crate::backend::gpu::launch::narrow::Narrow;
use crate::backend::gpu::launch::output::Pass;
use crate::backend::gpu::launch::{
    Launch, Within, WorkgroupMemory, ahead, dense, elementary, narrow, output, resident, stride,
};
use crate::backend::gpu::link::{Dropping, HeadKind, Link};
use crate::data::Inputs;
use crate::error::{Error, Remedy, Result};
use crate::model::{Head, Mlp};
use crate::recipe::{OptimizerKind, Recipe};

mod front;

/// What a network with one hidden layer, or none, is made with.
fn link(model: &Mlp, recipe: &Recipe) -> Link {
    Link {
        activation: model.activation(),
        head: HeadKind::of(model, recipe),
        optimizer: recipe.optimizer.kind,
        dropout: Dropping::of(model, 0),
        weights: recipe.weighs_rows(),
        ..Link::default()
    }
}

/// Whether a training step makes the rows of a batch before anything else, in [`Buffer::Activations`] of 0: where they
/// are not what the data set has. Otherwise the fused kernels read the data set themselves.
fn makes_inputs(model: &Mlp, recipe: &Recipe) -> bool {
    model.input_dropout() > 0.0 || !recipe.augment.is_none() || !model.front().is_none()
}

/// The ways in which a step can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanName {
    /// A kernel for each elementary operation
    Elementary,
    /// Few kernels that do several operations each
    Fused,
    /// The same in fewer launches, for one hidden layer on a hardware GPU: each step begins the next one
    Ahead,
    /// One kernel for many steps, for a small network with one hidden layer
    Resident,
}

impl PlanName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Elementary, Self::Fused, Self::Ahead, Self::Resident];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elementary => "elementary",
            Self::Fused => "fused",
            Self::Ahead => "ahead",
            Self::Resident => "resident",
        }
    }

    /// The plan of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.name() == name)
    }

    /// The plans that can train `model` by `recipe` on `hardware`.
    pub fn fitting(model: &Mlp, recipe: &Recipe, hardware: &Hardware) -> Vec<Self> {
        Self::ALL.into_iter().filter(|plan| plan.check(model, recipe, hardware).is_ok()).collect()
    }

    /// What a plan is chosen for, in words: what of a network and its recipe decides how fast each is.
    pub fn subject(model: &Mlp, recipe: &Recipe) -> String {
        let (optimizer, rows) = (recipe.optimizer.kind.name(), recipe.batch_size);
        format!("plan of {model}, {}, {optimizer}, {rows} rows", model.activation().name())
    }

    /// Whether it can train `model` by `recipe` on `hardware`; if not, why.
    ///
    /// # Errors
    /// [`Error::PlanUnfit`] saying what it can run, with what to use instead.
    pub fn check(self, model: &Mlp, recipe: &Recipe, hardware: &Hardware) -> Result<()> {
        let unfit = |why: String, remedies: &[Remedy]| Err(Error::PlanUnfit { plan: self, why }.advise(remedies));
        let batch_size = recipe.batch_size;
        match self {
            Self::Elementary => Ok(()),
            // Their kernels step a parameter as soon as they have its gradient, and clipping needs all of them first.
            Self::Fused | Self::Ahead | Self::Resident if recipe.optimizer.clip_norm.is_some() => {
                unfit("does not clip gradients".into(), &[Remedy::Plan(Self::Elementary)])
            }
            Self::Fused if model.outputs() <= output::MAX_OUTPUTS => Ok(()),
            Self::Fused => unfit(
                format!("runs networks of at most {} outputs, not {model}", output::MAX_OUTPUTS),
                &[Remedy::Plan(Self::Elementary)],
            ),
            Self::Ahead if hardware.software => {
                unfit("is for hardware GPUs, where launches are what costs".into(), &[Remedy::Plan(Self::Fused)])
            }
            Self::Ahead if makes_inputs(model, recipe) => {
                let why =
                    "reads the data set, without dropped inputs, augmented images, embedded numbers or trained factors";
                unfit(why.into(), &[Remedy::Plan(Self::Fused)])
            }
            Self::Ahead if Plan::step_ahead(model, recipe, Element::U8, batch_size, hardware).is_none() => {
                let why = format!(
                    "runs networks with one hidden layer for which the adapter has room, not {model} with batches of \
                     {batch_size} rows"
                );
                unfit(why, &[Remedy::Plan(Self::Fused)])
            }
            Self::Ahead => Ok(()),
            Self::Resident if !recipe.augment.is_none() => {
                unfit("does not augment images".into(), &[Remedy::Plan(Self::Fused)])
            }
            Self::Resident if !model.front().is_none() => {
                unfit("does not embed numbers or train factors of inputs".into(), &[Remedy::Plan(Self::Fused)])
            }
            Self::Resident if model.input_dropout() > 0.0 || model.layers().iter().any(|layer| layer.dropout > 0.0) => {
                unfit("trains without dropout only".into(), &[Remedy::Plan(Self::Fused)])
            }
            // The rows' weights are in none of its gradients.
            Self::Resident if recipe.weighs_rows() => unfit("does not weigh rows".into(), &[Remedy::Plan(Self::Fused)]),
            Self::Resident => {
                let shape = narrow_shape(model, Element::U8).filter(|shape| shape.hidden <= resident::MAX_HIDDEN);
                let Some(shape) = shape else {
                    let (hidden, outputs) = (resident::MAX_HIDDEN, narrow::MAX_OUTPUTS);
                    let why = format!(
                        "runs networks with one hidden layer of at most {hidden} units and at most {outputs} outputs, \
                         not {model}"
                    );
                    return unfit(why, &[Remedy::Plan(Self::Fused)]);
                };
                if batch_size > resident::LANES {
                    let why = format!("takes batches of at most {} rows, not {batch_size}", resident::LANES);
                    return unfit(why, &[Remedy::SmallerBatch, Remedy::Plan(Self::Fused)]);
                }
                let needed = resident::workgroup_bytes(shape, batch_size, link(model, recipe));
                let has = hardware.workgroup_bytes as usize;
                if needed > has {
                    let why = format!(
                        "needs {needed} bytes of workgroup memory for {model} with batches of {batch_size} rows, and the \
                         adapter has {has}"
                    );
                    return unfit(why, &[Remedy::SmallerBatch, Remedy::Plan(Self::Fused)]);
                }
                Ok(())
            }
        }
    }

    /// The most steps of a dispatch where the loops of an invocation may make so many rounds in all; none where a dispatch does
    /// not do several.
    pub(super) fn most_steps(self, model: &Mlp, batch_size: usize, rounds: usize) -> Option<usize> {
        let shape = narrow_shape(model, Element::U8).filter(|_| self == Self::Resident)?;
        // The parameters are loaded and stored too.
        let around = 2 * model.parameters().div_ceil(8);
        Some((rounds.saturating_sub(around) / resident::rounds(shape, batch_size)).max(1))
    }

    /// The plan `wanted`, or the best one for `model` on `hardware`; and why.
    ///
    /// # Errors
    /// As [`PlanName::check`].
    pub fn choose(
        model: &Mlp,
        recipe: &Recipe,
        hardware: &Hardware,
        wanted: Option<Self>,
    ) -> Result<(Self, &'static str)> {
        if let Some(plan) = wanted {
            return plan.check(model, recipe, hardware).map(|()| (plan, "it was asked for"));
        }
        let tuned = hardware.tuning.plan(model, recipe);
        if let Some(plan) = tuned.filter(|plan| plan.check(model, recipe, hardware).is_ok()) {
            return Ok((plan, "the fastest as it was measured on this adapter"));
        }
        let quick = narrow_shape(model, Element::U8)
            .filter(|&shape| resident::is_quick(shape, recipe.batch_size, link(model, recipe), hardware));
        // Only the plan fused has products of mixed precision.
        if quick.is_some() && hardware.cooperative.is_none() && Self::Resident.check(model, recipe, hardware).is_ok() {
            return Ok((Self::Resident, "packs of a network this small are fastest with one workgroup for each"));
        }
        if hardware.cooperative.is_none() && Self::Ahead.check(model, recipe, hardware).is_ok() {
            return Ok((Self::Ahead, "one hidden layer: each step begins the next one, which saves launches"));
        }
        Ok(match Self::Fused.check(model, recipe, hardware) {
            Ok(()) => (Self::Fused, "the fewest dispatches per step for this network"),
            Err(_) => {
                let clips = recipe.optimizer.clip_norm.is_some();
                let why =
                    if clips { "the only plan that clips gradients" } else { "too many outputs for the plan fused" };
                (Self::Elementary, why)
            }
        })
    }
}

/// The shape for the narrow kernels, where they can run `model`.
fn narrow_shape(model: &Mlp, element: Element) -> Option<Narrow> {
    match *model.widths() {
        _ if !model.front().is_none() => None,
        [inputs, hidden, classes] if hidden <= narrow::MAX_HIDDEN && classes <= narrow::MAX_OUTPUTS => {
            Some(Narrow { inputs, hidden, classes, floats: element == Element::F32 })
        }
        _ => None,
    }
}

/// Layer `index` of `model` as the dense kernels take it, where the first one's input comes from `first`.
fn layer(model: &Mlp, first: Source, index: usize) -> Dense {
    let layer = &model.layers()[index];
    let source = if index == 0 { first } else { Source::Activations };
    Dense { inputs: layer.inputs, outputs: layer.outputs, weights: within(model, layer.weights.start), source }
}

/// What begins at `offset` of the parameters of `model`.
fn within(model: &Mlp, offset: usize) -> Within {
    Within { offset, stride: stride(model.parameters()) }
}

/// A buffer on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Buffer {
    /// The rows of the data set that the step works on.
    Data,
    /// Their labels, or the values that they should give.
    Targets,
    /// Their weights in the loss.
    Weights,
    /// The row numbers, batch after batch.
    Order,
    /// The numbers of each step of [`PlanName::Resident`], batch after batch.
    Steps,
    /// What each member drops of the outputs of a layer, from 1; of 0 of the inputs.
    Drops(usize),
    /// The flat parameters.
    Parameters,
    /// The flat gradients.
    Gradients,
    /// The sum of the squares of each block of them.
    Squares,
    /// The norm that each member's are clipped to.
    ClipNorms,
    /// What clipping multiplies all of them by.
    ClipFactor,
    /// The rows of the batch as they are, where the front embeds them.
    Rows,
    /// The features that the front embeds.
    Columns,
    /// What the front's factors are multiplied with, where it has any.
    Embedded,
    /// The gradient at the first layer's input, for the front.
    InputGradient,
    /// The input rows (0), and each layer's output before its softmax.
    Activations(usize),
    /// What the slope of the activation that made [`Buffer::Activations`] is computed from, where those do not suffice.
    Saved(usize),
    /// What a step has made for the next one: [`ahead::sums`].
    Sums,
    /// The optimizer's slots: those of a parameter side by side.
    Slots,
    /// The gradient at each layer's output before its activation; for the last, first its probabilities or values.
    Deltas(usize),
    /// Each row's loss.
    Losses,
    /// Each batch's loss.
    Totals,
    /// Labels by predicted classes.
    Confusion,
    /// Bound where a kernel declares a buffer that it does not touch here.
    Unused,
}

/// What a dispatch does, or a part of it: what runs and what it binds, by the shader's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The kernel, its sizes and grid: the fastest of the ways to do it that is known.
    pub launch: Launch,
    /// The other ways.
    pub others: Vec<Launch>,
    /// The shader's name of each storage buffer.
    pub bindings: Vec<(&'static str, Buffer)>,
}

/// One dispatch: a launch, or several none of which waits for another, joined by [`Joined`](super::join::Joined).
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// What it does.
    pub pieces: Vec<Piece>,
}

/// What a data set's rows are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Bytes, read as `value / 255`.
    U8,
    /// Floats.
    F32,
}

impl Element {
    /// What `inputs` are made of.
    pub fn of(inputs: &Inputs) -> Self {
        match inputs {
            Inputs::U8(_) => Self::U8,
            Inputs::F32(_) => Self::F32,
        }
    }

    /// Where kernels read rows of it.
    fn source(self) -> Source {
        match self {
            Self::U8 => Source::Bytes,
            Self::F32 => Source::Floats,
        }
    }
}

/// An ordered list of dispatches, for batches of up to `rows` rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The most rows of a batch.
    pub rows: usize,
    /// What runs, in order.
    pub dispatches: Vec<Dispatch>,
    /// What runs before the first step of a submission, where a step begins the next one, whose rows its entries tell then: that
    /// part of it, of no rows.
    pub lead: Vec<Dispatch>,
}

impl Dispatch {
    /// What it does, in words.
    pub fn label(&self) -> String {
        self.pieces.iter().map(|piece| piece.launch.label()).collect::<Vec<_>>().join(" + ")
    }
}

impl Piece {
    /// Of `buffers` those that it binds, by the shader's names.
    pub fn bound<'a, T>(&self, buffers: &'a BTreeMap<Buffer, T>) -> Vec<(&'static str, &'a T)> {
        self.bindings.iter().map(|(name, buffer)| (*name, &buffers[buffer])).collect()
    }
}

fn dispatch(launch: Launch, bindings: &[(&'static str, Buffer)]) -> Dispatch {
    let bindings = bindings.iter().copied().chain(drops(&launch)).collect();
    Dispatch { pieces: vec![Piece { launch, others: Vec::new(), bindings }] }
}

/// What a launch with dropout binds for it.
fn drops(launch: &Launch) -> Option<(&'static str, Buffer)> {
    launch.link.dropout.map(|dropping| ("drops", Buffer::Drops(dropping.layer as usize)))
}

/// The best of several ways, as far as `hardware` knows.
fn best(
    mut ways: Vec<Launch>,
    hardware: &Hardware,
    bindings: impl IntoIterator<Item = (&'static str, Buffer)>,
) -> Dispatch {
    let launch = ways.swap_remove(hardware.tuning.pick(&ways));
    let bindings = bindings.into_iter().chain(drops(&launch)).collect();
    Dispatch { pieces: vec![Piece { launch, others: ways, bindings }] }
}

/// The ways to do something, and what they bind.
type Ways = (Vec<Launch>, Vec<(&'static str, Buffer)>);

/// As few dispatches as `hardware` can do `pieces` in, none of which waits for another: one, if they have ways with as many
/// invocations, and their buffers and workgroup memory are not too many.
fn together(pieces: Vec<Ways>, hardware: &Hardware) -> Vec<Dispatch> {
    let joined = (!hardware.software && pieces.len() > 1).then(|| joined(&pieces, hardware)).flatten();
    let apart = |(ways, bindings)| best(ways, hardware, bindings);
    joined.map_or_else(|| pieces.into_iter().map(apart).collect(), |dispatch| vec![dispatch])
}

fn joined(pieces: &[Ways], hardware: &Hardware) -> Option<Dispatch> {
    let bound: BTreeSet<_> = pieces.iter().flat_map(|(_, bindings)| bindings).collect();
    if bound.len() > hardware.storage_buffers as usize {
        return None;
    }
    // The piece with the most work comes first: it says how many invocations a workgroup has, and takes the memory that it wants.
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by(|&a, &b| pieces[b].0[0].work.flop.total_cmp(&pieces[a].0[0].work.flop));
    let mut sizes = Vec::new();
    for lanes in pieces[order[0]].0.iter().filter(|way| way.joins.is_some()).filter_map(|way| way.constant("lanes")) {
        if !sizes.contains(&lanes) {
            sizes.push(lanes);
        }
    }
    sizes.into_iter().find_map(|lanes| {
        let mut memory = WorkgroupMemory::default();
        let mut of_size = BTreeMap::new();
        for &number in &order {
            let (ways, bindings) = &pieces[number];
            let in_all = |own: &WorkgroupMemory| memory.clone().with(own).bytes();
            let fits = |way: &&Launch| {
                way.joins.as_ref().is_some_and(|own| in_all(own) <= hardware.workgroup_bytes as usize)
                    && way.constant("lanes") == Some(lanes)
            };
            let ways: Vec<_> = ways.iter().filter(fits).cloned().collect();
            let piece = (!ways.is_empty()).then(|| best(ways, hardware, bindings.iter().copied()))?.pieces.pop()?;
            memory = memory.with(piece.launch.joins.as_ref()?);
            of_size.insert(number, piece);
        }
        Some(Dispatch { pieces: of_size.into_values().collect() })
    })
}

/// What the slope of the activation that made the input of layer `index` is computed from.
fn saved(model: &Mlp, index: usize) -> Buffer {
    if model.layers()[index - 1].activation.saves_input() { Buffer::Saved(index) } else { Buffer::Activations(index) }
}

/// What the gradient of the loss binds beside the targets, where rows have weights.
const ROW_WEIGHTS: (&str, Buffer) = ("row_weights", Buffer::Weights);
/// What counts the rows of an evaluation.
const CONFUSION: (&str, Buffer) = ("confusion", Buffer::Confusion);

/// What a step by `optimizer` binds beside the parameters.
fn slots(optimizer: OptimizerKind) -> Option<(&'static str, Buffer)> {
    (optimizer.slots() > 0).then_some(("slots", Buffer::Slots))
}

impl Plan {
    /// A training step by the plan `name`, which must be able to run `model`; by [`PlanName::Resident`] a run of steps, which
    /// [`Buffer::Steps`] has.
    pub fn step(
        name: PlanName,
        model: &Mlp,
        recipe: &Recipe,
        element: Element,
        rows: usize,
        hardware: &Hardware,
    ) -> Self {
        let link = link(model, recipe);
        match (name, narrow_shape(model, element).filter(|_| !makes_inputs(model, recipe))) {
            (PlanName::Resident, Some(shape)) => Self::resident_step(shape, rows, link, hardware),
            (PlanName::Fused, Some(shape)) => Self::narrow_step(shape, rows, link, hardware),
            (PlanName::Fused, None) => Self::fused_step(model, recipe, element, rows, hardware),
            (PlanName::Ahead, _) => Self::step_ahead(model, recipe, element, rows, hardware)
                .unwrap_or_else(|| Self::step(PlanName::Fused, model, recipe, element, rows, hardware)),
            _ => Self::elementary_step(model, recipe, element, rows),
        }
    }

    /// The same, augmenting the rows by `warper`: in place of the kernels that gather them.
    pub fn augmenting(mut self, warper: &Warper) -> Self {
        for launch in
            self.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.pieces).map(|piece| &mut piece.launch)
        {
            let floats = launch.kernel == &kernels::GATHER_F32;
            if floats || launch.kernel == &kernels::GATHER_U8 {
                *launch = elementary::augment(self.rows, warper, floats, launch.link.dropout);
            }
        }
        self
    }

    fn resident_step(shape: Narrow, rows: usize, link: Link, hardware: &Hardware) -> Self {
        let mut bindings = vec![
            ("data", Buffer::Data),
            ("targets", Buffer::Targets),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
            ("steps", Buffer::Steps),
        ];
        bindings.extend(slots(link.optimizer));
        let ways = resident::resident(shape, rows, link, hardware);
        Self { rows, dispatches: vec![best(ways, hardware, bindings)], lead: Vec::new() }
    }

    /// For each hidden layer its forward product and the gradient at its output; for the last layer one dispatch that does all but
    /// the update; then the updates, of all layers together where hardware can. Before them what makes the rows, where the data
    /// set has others.
    fn fused_step(model: &Mlp, recipe: &Recipe, element: Element, rows: usize, hardware: &Hardware) -> Self {
        let (source, mut dispatches) = if makes_inputs(model, recipe) {
            (Source::Activations, Self::inputs(model, element, rows, true))
        } else {
            (element.source(), Vec::new())
        };
        dispatches.extend(Self::fused_forward(model, recipe, source, rows, true, hardware).dispatches);
        let optimizer = recipe.optimizer.kind;
        let last = model.layers().len() - 1;
        for index in (1..last).rev() {
            let (activation, dropout) = (model.layers()[index - 1].activation, Dropping::of(model, index - 1));
            let product = Product::InputGradient(activation, dropout);
            let ways = dense::dense(product, layer(model, source, index), rows, hardware);
            let (deltas, result) = (Buffer::Deltas(index), Buffer::Deltas(index - 1));
            let bindings = Self::product(deltas, Buffer::Parameters, saved(model, index), result);
            // It saves nothing, but its shader is the forward product's.
            let unused = activation.saves_input().then_some(("saved", Buffer::Unused));
            dispatches.push(best(ways, hardware, bindings.into_iter().chain(unused)));
        }
        dispatches.extend(Self::front_gradients(model, rows));
        dispatches.extend(Self::front_step(model, optimizer, None));
        let update = |index: usize| {
            let layer = layer(model, source, index);
            let deltas = Buffer::Deltas(index);
            let bindings = Self::product(Self::input(layer, index), deltas, Buffer::Order, Buffer::Parameters);
            let ways = dense::dense(Product::Update(optimizer), layer, rows, hardware);
            (ways, bindings.into_iter().chain(slots(optimizer)).collect())
        };
        dispatches.extend(together((0..=last).rev().map(update).collect(), hardware));
        Self { rows, dispatches, lead: Vec::new() }
    }

    /// Of a network with one hidden layer that reads the data set: one dispatch for a narrow layer. Else the last layer from the parts
    /// of the first one's sums, up to the gradients at both outputs; then the updates, and the parts for the next step. None where
    /// hardware cannot.
    fn step_ahead(model: &Mlp, recipe: &Recipe, element: Element, rows: usize, hardware: &Hardware) -> Option<Self> {
        if model.layers().len() != 2 || makes_inputs(model, recipe) {
            return None;
        }
        if let Some(shape) = narrow_shape(model, element) {
            return Self::narrow_step_ahead(shape, rows, link(model, recipe), hardware);
        }
        let source = element.source();
        let (first, last) = (layer(model, source, 0), layer(model, source, 1));
        let optimizer = recipe.optimizer.kind;
        let ways = ahead::dense_ahead(rows, first, optimizer, hardware);
        if ways.is_empty() {
            return None;
        }
        let update = [
            ("data", Buffer::Data),
            ("order", Buffer::Order),
            ("deltas", Buffer::Deltas(0)),
            ("deltas4", Buffer::Deltas(0)),
            ("c", Buffer::Parameters),
            ("sums", Buffer::Sums),
        ];
        let first = (ways, update.into_iter().chain(slots(optimizer)).collect());
        let ways = dense::dense(Product::Update(optimizer), last, rows, hardware);
        let bindings = Self::product(Buffer::Activations(1), Buffer::Deltas(1), Buffer::Order, Buffer::Parameters);
        let mut dispatches =
            together(vec![first, (ways, bindings.into_iter().chain(slots(optimizer)).collect())], hardware);
        let made = dispatches
            .iter()
            .flat_map(|dispatch| &dispatch.pieces)
            .find(|piece| piece.launch.kernel == &kernels::DENSE_AHEAD)?;
        let lead = vec![Dispatch { pieces: vec![made.clone()] }];
        let (parts, units) = ahead::division(&made.launch)?;
        let ways = output::output_ahead(rows, last, (parts, units?), link(model, recipe), hardware);
        let bindings = [
            ("sums", Buffer::Sums),
            ("b", Buffer::Parameters),
            ("targets", Buffer::Targets),
            ("order", Buffer::Order),
            ("p", Buffer::Deltas(1)),
            ("a", Buffer::Activations(1)),
            ("c", Buffer::Deltas(0)),
        ];
        let weights = recipe.weighs_rows().then_some(ROW_WEIGHTS);
        if ways.is_empty() {
            return None;
        }
        dispatches.insert(0, best(ways, hardware, bindings.into_iter().chain(weights)));
        Some(Self { rows, dispatches, lead })
    }

    /// The hidden layers' forward products, then the last layer up to its gradients, or when not training up to its
    /// outputs, and losses and confusion matrix of classes. The first layer's input comes from `source`.
    fn fused_forward(
        model: &Mlp,
        recipe: &Recipe,
        source: Source,
        rows: usize,
        training: bool,
        hardware: &Hardware,
    ) -> Self {
        let last = model.layers().len() - 1;
        let mut dispatches = Vec::new();
        for index in 0..last {
            let activation = model.layers()[index].activation;
            let dropout = Dropping::of(model, index).filter(|_| training);
            let layer = layer(model, source, index);
            let ways = dense::dense(Product::Forward(activation, dropout), layer, rows, hardware);
            let b = Buffer::Parameters;
            let bindings = Self::product(Self::input(layer, index), b, b, Buffer::Activations(index + 1));
            let save = activation.saves_input().then_some(("saved", Buffer::Saved(index + 1)));
            dispatches.push(best(ways, hardware, bindings.into_iter().chain(save)));
        }
        let head = HeadKind::of(model, recipe);
        let link = Link { head, weights: recipe.weighs_rows(), ..Link::default() };
        let link = match last.checked_sub(1) {
            Some(before) => {
                let (activation, dropout) = (model.layers()[before].activation, Dropping::of(model, before));
                Link { activation, dropout, ..link }
            }
            None => link,
        };
        // Without a layer before it there is no gradient there.
        let pass = if training { Pass::Training { backward: last > 0 } } else { Pass::Evaluation };
        let layer = layer(model, source, last);
        let ways = output::output(rows, layer, pass, link, hardware);
        let bindings = [
            ("a", Self::input(layer, last)),
            ("b", Buffer::Parameters),
            ("targets", Buffer::Targets),
            ("order", Buffer::Order),
            ("p", Buffer::Deltas(last)),
            ("h", if last > 0 { saved(model, last) } else { Self::input(layer, last) }),
            (
                "c",
                match pass {
                    Pass::Evaluation if head.is_classes() => Buffer::Losses,
                    Pass::Training { backward: true } => Buffer::Deltas(last - 1),
                    _ => Buffer::Unused,
                },
            ),
        ];
        let beside = match pass {
            Pass::Training { .. } => link.weights.then_some(ROW_WEIGHTS),
            Pass::Evaluation => head.is_classes().then_some(CONFUSION),
        };
        dispatches.push(best(ways, hardware, bindings.into_iter().chain(beside)));
        Self { rows, dispatches, lead: Vec::new() }
    }

    /// Where `layer`, the network's layer `index`, reads its input.
    fn input(layer: Dense, index: usize) -> Buffer {
        if layer.source == Source::Activations { Buffer::Activations(index) } else { Buffer::Data }
    }

    /// What a product of a dense layer binds; one that reads no `h` is given another buffer that it reads.
    fn product(a: Buffer, b: Buffer, h: Buffer, c: Buffer) -> [(&'static str, Buffer); 7] {
        [("a", a), ("a4", a), ("b", b), ("b4", b), ("order", Buffer::Order), ("h", h), ("c", c)]
    }

    fn narrow_step_ahead(shape: Narrow, rows: usize, link: Link, hardware: &Hardware) -> Option<Self> {
        let ways = ahead::narrow_step(rows, shape, link, hardware);
        if ways.is_empty() {
            return None;
        }
        let bindings = [
            ("data", Buffer::Data),
            ("targets", Buffer::Targets),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
            ("sums", Buffer::Sums),
        ];
        let weights = link.weights.then_some(ROW_WEIGHTS);
        let bindings = bindings.into_iter().chain(weights).chain(slots(link.optimizer));
        let dispatches = vec![best(ways, hardware, bindings)];
        Some(Self { rows, lead: dispatches.clone(), dispatches })
    }

    fn narrow_step(shape: Narrow, rows: usize, link: Link, hardware: &Hardware) -> Self {
        let update = [
            ("data", Buffer::Data),
            ("order", Buffer::Order),
            ("h", Buffer::Activations(1)),
            ("d0", Buffer::Deltas(0)),
            ("d1", Buffer::Deltas(1)),
            ("parameters", Buffer::Parameters),
        ];
        let dispatches = vec![
            Self::narrow_forward(shape, rows, true, link, hardware),
            best(
                narrow::update(rows, shape, link.optimizer, hardware),
                hardware,
                update.into_iter().chain(slots(link.optimizer)),
            ),
        ];
        Self { rows, dispatches, lead: Vec::new() }
    }

    fn narrow_forward(shape: Narrow, rows: usize, training: bool, link: Link, hardware: &Hardware) -> Dispatch {
        let bindings = [
            ("data", Buffer::Data),
            ("targets", Buffer::Targets),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
            ("h", Buffer::Activations(1)),
            ("d0", Buffer::Deltas(0)),
            ("p", Buffer::Deltas(1)),
        ];
        let weights = (link.weights && training).then_some(ROW_WEIGHTS);
        let ways = narrow::forward(rows, shape, training, link, hardware);
        best(ways, hardware, bindings.into_iter().chain(weights))
    }

    /// A training step of elementary kernels: the textbook.
    fn elementary_step(model: &Mlp, recipe: &Recipe, element: Element, rows: usize) -> Self {
        let mut plan = Self::forward(model, element, rows, true);
        let last = model.layers().len() - 1;
        let (head, has_weights) = (HeadKind::of(model, recipe), recipe.weighs_rows());
        let bindings = [("targets", Buffer::Targets), ("order", Buffer::Order), ("outputs", Buffer::Deltas(last))];
        let bindings: Vec<_> = bindings.into_iter().chain(has_weights.then_some(ROW_WEIGHTS)).collect();
        plan.dispatches.push(dispatch(elementary::loss_gradient(rows, model.outputs(), head, has_weights), &bindings));
        for (index, layer) in model.layers().iter().enumerate().rev() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            plan.dispatches.push(dispatch(
                elementary::matmul_at_b(rows, inputs, outputs, within(model, layer.weights.start)),
                &[("a", Buffer::Activations(index)), ("b", Buffer::Deltas(index)), ("c", Buffer::Gradients)],
            ));
            plan.dispatches.push(dispatch(
                elementary::reduce_rows(rows, outputs, within(model, layer.biases.start)),
                &[("d", Buffer::Deltas(index)), ("sums", Buffer::Gradients)],
            ));
            if index > 0 {
                plan.dispatches.push(dispatch(
                    elementary::matmul_a_bt(rows, inputs, outputs, within(model, layer.weights.start)),
                    &[("a", Buffer::Deltas(index)), ("b", Buffer::Parameters), ("c", Buffer::Deltas(index - 1))],
                ));
                plan.dispatches.push(dispatch(
                    elementary::activate_backward(
                        rows,
                        inputs,
                        model.layers()[index - 1].activation,
                        Dropping::of(model, index - 1),
                    ),
                    &[("h", saved(model, index)), ("d", Buffer::Deltas(index - 1))],
                ));
            }
        }
        plan.dispatches.extend(Self::front_gradients(model, rows));
        let clipping = recipe.optimizer.clip_norm.map(|_| {
            let (count, sums) = (model.parameters(), ("sums", Buffer::Squares));
            let squares = elementary::squares(count, stride(count));
            plan.dispatches.push(dispatch(squares, &[("gradients", Buffer::Gradients), sums]));
            let bindings = [sums, ("clip_norms", Buffer::ClipNorms), ("factor", Buffer::ClipFactor)];
            plan.dispatches.push(dispatch(elementary::clip(count), &bindings));
            ("clip_factor", Buffer::ClipFactor)
        });
        let optimizer = recipe.optimizer.kind;
        plan.dispatches.extend(Self::front_step(model, optimizer, clipping));
        for layer in model.layers() {
            let mut bindings = vec![("gradients", Buffer::Gradients), ("parameters", Buffer::Parameters)];
            bindings.extend(clipping.into_iter().chain(slots(optimizer)));
            let (weights, biases) = (layer.weights.len(), layer.biases.len());
            let step =
                elementary::step(weights, biases, within(model, layer.weights.start), optimizer, clipping.is_some());
            plan.dispatches.push(dispatch(step, &bindings));
        }
        plan
    }

    /// The forward pass, up to the probabilities or values in the last layer's [`Buffer::Deltas`].
    fn forward(model: &Mlp, element: Element, rows: usize, training: bool) -> Self {
        let mut dispatches = Self::inputs(model, element, rows, training);
        let last = model.layers().len() - 1;
        for (index, layer) in model.layers().iter().enumerate() {
            // The last layer's sums are values already, or go through the softmax.
            let is_values = index == last && model.head() == Head::Values;
            let f = if is_values { Buffer::Deltas(last) } else { Buffer::Activations(index + 1) };
            let h = Buffer::Activations(index);
            dispatches.push(dispatch(
                elementary::matmul(rows, layer.inputs, layer.outputs, within(model, layer.weights.start)),
                &[("a", h), ("b", Buffer::Parameters), ("c", f)],
            ));
            dispatches.push(dispatch(
                elementary::bias_add(rows, layer.outputs, within(model, layer.biases.start)),
                &[("biases", Buffer::Parameters), ("f", f)],
            ));
            if index < last {
                let mut bindings = vec![("f", f)];
                bindings.extend(layer.activation.saves_input().then_some(("saved", Buffer::Saved(index + 1))));
                let dropout = Dropping::of(model, index).filter(|_| training);
                let activate = elementary::activate(rows, layer.outputs, layer.activation, dropout);
                dispatches.push(dispatch(activate, &bindings));
            } else if !is_values {
                let bindings = [("f", f), ("outputs", Buffer::Deltas(last))];
                dispatches.push(dispatch(elementary::row_softmax(rows, layer.outputs), &bindings));
            }
        }
        Self { rows, dispatches, lead: Vec::new() }
    }

    /// The forward pass, up to the probabilities or values in the last layer's [`Buffer::Deltas`]; of classes also the
    /// loss and the confusion matrix.
    pub fn evaluation(
        name: PlanName,
        model: &Mlp,
        recipe: &Recipe,
        element: Element,
        rows: usize,
        hardware: &Hardware,
    ) -> Self {
        let mut plan = match (name, narrow_shape(model, element)) {
            (PlanName::Elementary, _) => Self::forward(model, element, rows, false),
            (_, Some(shape)) => {
                let forward = Self::narrow_forward(shape, rows, false, link(model, recipe), hardware);
                Self { rows, dispatches: vec![forward], lead: Vec::new() }
            }
            (_, None) if !model.front().is_none() => {
                let mut dispatches = Self::inputs(model, element, rows, false);
                dispatches
                    .extend(Self::fused_forward(model, recipe, Source::Activations, rows, false, hardware).dispatches);
                Self { rows, dispatches, lead: Vec::new() }
            }
            (_, None) => Self::fused_forward(model, recipe, element.source(), rows, false, hardware),
        };
        if model.head() == Head::Values {
            return plan;
        }
        let counted = plan.launches().any(|launch| launch.kernel == &kernels::OUTPUT);
        if !counted {
            plan.dispatches.push(dispatch(
                elementary::cross_entropy(rows, model.classes()),
                &[
                    ("outputs", Buffer::Deltas(model.layers().len() - 1)),
                    ("targets", Buffer::Targets),
                    ("order", Buffer::Order),
                    ("losses", Buffer::Losses),
                    CONFUSION,
                ],
            ));
        }
        plan.dispatches
            .push(dispatch(elementary::sum(rows), &[("values", Buffer::Losses), ("totals", Buffer::Totals)]));
        plan
    }

    /// Whether what makes `what` runs before the first step of a submission, too.
    pub fn leads(&self, what: &str) -> bool {
        self.lead.iter().flat_map(|dispatch| &dispatch.pieces).any(|piece| piece.launch.what == what)
    }

    /// What its dispatches do.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.dispatches.iter().flat_map(|dispatch| &dispatch.pieces)
    }

    fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.pieces().map(|piece| &piece.launch)
    }

    /// What its products are computed in.
    pub fn precision(&self) -> Precision {
        if self.launches().any(|launch| launch.kernel.is_mixed()) { Precision::Mixed } else { Precision::F32 }
    }

    /// The buffers it binds.
    pub fn buffers(&self) -> impl Iterator<Item = Buffer> {
        self.pieces().flat_map(|piece| piece.bindings.iter().map(|&(_, buffer)| buffer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::backend::gpu::hardware::Cooperative;
    use crate::backend::gpu::join::Joined;
    use crate::backend::gpu::kernels::BindingKind;
    use crate::model::{Activation, Front};
    use crate::recipe::Loss;

    fn roomy() -> Hardware {
        Hardware { workgroup_bytes: 32_768, ..Hardware::GPU }
    }

    #[test]
    fn every_dispatch_binds_what_its_shader_declares_and_writes_nothing_it_also_reads() {
        for (activation, kind, loss) in [
            (Activation::Relu, OptimizerKind::Sgd, Loss::CrossEntropy),
            (Activation::Gelu, OptimizerKind::Momentum, Loss::CrossEntropy),
            (Activation::Mish, OptimizerKind::AdamW, Loss::Mse),
            (Activation::Relu, OptimizerKind::Adam, Loss::Huber),
        ] {
            let mut recipe = Recipe { loss, ..Recipe::default() };
            recipe.optimizer.kind = kind;
            check_bindings(activation, &recipe, 0.0);
            check_bindings(activation, &recipe, 0.2);
            recipe.optimizer.clip_norm = Some(1.0);
            check_bindings(activation, &recipe, 0.0);
            recipe.optimizer.clip_norm = None;
            if loss == Loss::CrossEntropy {
                (recipe.class_weight, recipe.label_smoothing) = (vec![1.0; 10], 0.1);
                check_bindings(activation, &recipe, 0.0);
            }
        }
    }

    fn check_bindings(activation: Activation, recipe: &Recipe, input_dropout: f64) {
        let kind = recipe.optimizer.kind;
        // Of each shader, which many dispatches share.
        let mut reflections = HashMap::new();
        let subgroups = Hardware { subgroup: 8, ..Hardware::SOFTWARE };
        let (none, both) = (Front::default(), Front { embedded: vec![0, 5], deviation: 0.1, scaled: true });
        for (widths, front) in [
            (&[784, 10][..], &none),
            (&[784, 7, 10], &none),
            (&[784, 128, 10], &none),
            (&[20, 9, 8, 3], &none),
            (&[20, 9, 8, 3], &both),
            (&[20, 9, 3], &Front { scaled: false, ..both.clone() }),
            (&[20, 3], &Front { embedded: Vec::new(), ..both.clone() }),
            (&[784, 512, 512, 10], &none),
        ] {
            let share = if kind == OptimizerKind::Momentum { 0.5 } else { 0.0 };
            let hidden = vec![share; widths.len() - 2];
            let model = Mlp::new(widths).unwrap().with_activation(activation).with_head(recipe.loss.head());
            let model = model.with_dropout(input_dropout, &hidden).unwrap().with_front(front.clone()).unwrap();
            let names = PlanName::ALL.into_iter().filter(|name| name.check(&model, recipe, &roomy()).is_ok());
            let elements = [Element::U8, Element::F32];
            let cases = names.flat_map(|name| elements.map(|element| (element, name)));
            for ((element, name), hardware) in cases
                .flat_map(|case| [&roomy(), &Hardware::SOFTWARE, &subgroups].map(|hardware| (case, hardware.clone())))
            {
                let augmenting = Recipe { augment: "elastic".parse().unwrap(), ..recipe.clone() };
                let warper = Warper::new(augmenting.augment, (1, widths[0]));
                let plans = [
                    Plan::step(name, &model, recipe, element, 64, &hardware),
                    Plan::step(name, &model, &augmenting, element, 64, &hardware).augmenting(&warper),
                    Plan::evaluation(name, &model, recipe, element, 512, &hardware),
                ];
                for piece in plans.iter().flat_map(Plan::pieces) {
                    let launch = &piece.launch;
                    let reflection = reflections
                        .entry(launch.shader())
                        .or_insert_with(|| launch.kernel.reflect(launch.link).unwrap());
                    let mut bound: Vec<&str> = piece.bindings.iter().map(|(name, _)| *name).collect();
                    bound.push("batches");
                    bound.sort_unstable();
                    assert_eq!(bound, reflection.bindings.keys().collect::<Vec<_>>(), "{}", launch.kernel.name);
                    let mut constants: Vec<&str> = launch.constants.iter().map(|(name, _)| *name).collect();
                    constants.sort_unstable();
                    let mut declared = reflection.constants.clone();
                    declared.sort_unstable();
                    assert_eq!(constants, declared, "{}", launch.kernel.name);
                    for (name, buffer) in &piece.bindings {
                        if reflection.bindings[*name].1 == BindingKind::Write {
                            assert_eq!(piece.bindings.iter().filter(|(_, other)| other == buffer).count(), 1);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fused_step_is_two_dispatches_for_a_narrow_network_and_two_a_hidden_layer_and_one_for_others() {
        let many = Hardware { workgroup_bytes: 49_152, storage_buffers: 64, ..Hardware::GPU };
        for (widths, together, apart) in [
            (&[784, 10][..], 2, 2),
            (&[784, 7, 10], 2, 2),
            (&[784, 128, 10], 3, 4),
            (&[784, 512, 512, 10], 5, 7),
            (&[784, 64, 64, 64, 10], 7, 10),
        ] {
            let model = Mlp::new(widths).unwrap();
            let dispatches = |model: &Mlp, hardware: &Hardware| {
                let step = Plan::step(PlanName::Fused, model, &Recipe::default(), Element::U8, 64, hardware);
                step.dispatches.len()
            };
            assert_eq!(dispatches(&model, &many), together, "{model}");
            // Where a kernel binds few buffers, or many invocations cost more than launches.
            assert_eq!(dispatches(&model, &Hardware::GPU), apart, "{model}");
            let software = Hardware { software: true, ..many.clone() };
            assert_eq!(dispatches(&model, &software), apart, "{model}");
            // Rows that are made first take one dispatch more than the dense layers.
            let dense = (3 * model.hidden().len() + 1).max(2);
            assert_eq!(dispatches(&model.with_dropout(0.2, &[]).unwrap(), &Hardware::GPU), dense + 1);
        }
    }

    #[test]
    fn a_step_that_begins_the_next_one_is_one_dispatch_for_a_narrow_layer_and_two_for_others() {
        let many = Hardware { workgroup_bytes: 49_152, storage_buffers: 64, ..Hardware::GPU };
        let many = Hardware { subgroup: 32, invocations: 1024, ..many };
        let dispatches = |widths: &[usize], hardware: &Hardware| {
            let (model, recipe) = (Mlp::new(widths).unwrap(), Recipe::default());
            PlanName::Ahead.check(&model, &recipe, hardware).ok()?;
            let step = Plan::step(PlanName::Ahead, &model, &recipe, Element::U8, 64, hardware);
            assert_eq!(step.lead.len(), 1, "{model}");
            assert!(step.lead[0].pieces.iter().all(|piece| step.leads(&piece.launch.what)));
            Some(step.dispatches.len())
        };
        for (widths, together, apart) in [
            (&[784, 7, 10][..], Some(1), None),
            (&[784, 128, 10], Some(2), Some(3)),
            // The parts of its sums are too many.
            (&[784, 1024, 10], None, None),
            // More than the last layer keeps in registers.
            (&[784, 128, 17], None, None),
            (&[784, 10], None, None),
            (&[784, 64, 64, 10], None, None),
        ] {
            // Where a kernel binds few buffers and subgroups are not known, and where launches are not what costs.
            let found = [&many, &Hardware::GPU, &Hardware { software: true, ..many.clone() }];
            assert_eq!(found.map(|hardware| dispatches(widths, hardware)), [together, apart, None], "{widths:?}");
        }
        let recipe = Recipe::default();
        let chosen = |widths: &[usize], hardware: &Hardware| {
            PlanName::choose(&Mlp::new(widths).unwrap(), &recipe, hardware, None).unwrap().0
        };
        assert_eq!(chosen(&[784, 128, 10], &many), PlanName::Ahead);
        assert_eq!(chosen(&[784, 12, 10], &many), PlanName::Ahead);
        // More invocations than a workgroup has.
        assert_eq!(chosen(&[784, 20, 10], &many), PlanName::Fused);
        assert_eq!(chosen(&[784, 64, 64, 10], &many), PlanName::Fused);
        let matrices = Hardware { cooperative: Some(Cooperative { side: 16, subgroup: 32 }), ..many };
        assert_eq!(chosen(&[784, 128, 10], &matrices), PlanName::Fused);
    }

    #[test]
    fn joined_shaders_hold_and_bind_a_buffer_once() {
        let many = Hardware { workgroup_bytes: 49_152, storage_buffers: 64, ..Hardware::GPU };
        let matrices = Hardware { cooperative: Some(Cooperative { side: 16, subgroup: 32 }), ..many.clone() };
        for (kind, hardware) in OptimizerKind::ALL.into_iter().flat_map(|kind| [(kind, &many), (kind, &matrices)]) {
            let mut recipe = Recipe::default();
            recipe.optimizer.kind = kind;
            for (name, widths, updates) in [
                (PlanName::Fused, &[784, 128, 10][..], 2),
                (PlanName::Ahead, &[784, 128, 10], 2),
                (PlanName::Fused, &[21, 513, 512, 30, 3], 4),
            ] {
                let step = Plan::step(name, &Mlp::new(widths).unwrap(), &recipe, Element::U8, 64, hardware);
                let pieces = &step.dispatches.last().unwrap().pieces;
                assert_eq!(pieces.len(), updates);
                let joined = Joined::new(pieces).unwrap();
                let reflection = joined.reflect().unwrap();
                let bound = joined.bindings.iter().map(|(name, _)| name.as_str()).chain([kernels::BATCHES]);
                let bound: BTreeSet<_> = bound.collect();
                assert_eq!(bound, reflection.bindings.keys().map(String::as_str).collect());
                // What is written is bound once, also where all pieces write it.
                let written =
                    joined.bindings.iter().filter(|(name, _)| reflection.bindings[name].1 == BindingKind::Write);
                let mut written: Vec<_> = written.map(|&(_, buffer)| buffer).collect();
                written.sort();
                let sums = (name == PlanName::Ahead).then_some(Buffer::Sums);
                let slots = slots(kind).map(|(_, slots)| slots);
                let expected: Vec<_> = [Buffer::Parameters].into_iter().chain(sums).chain(slots).collect();
                assert_eq!(written, expected);
                // The estimates by which the plan decided.
                let memories = pieces.iter().map(|piece| piece.launch.joins.as_ref().unwrap());
                let memory = memories.fold(WorkgroupMemory::default(), WorkgroupMemory::with);
                assert_eq!(reflection.workgroup_bytes as usize, memory.bytes());
                assert!(pieces.iter().all(|piece| piece.launch.lanes().unwrap() == reflection.invocations));
            }
        }
    }

    #[test]
    fn a_plan_that_cannot_run_a_network_says_why_and_names_another() {
        let refused = |plan: PlanName, widths: &[usize], batch_size, hardware: &Hardware| {
            let model = Mlp::new(widths).unwrap();
            plan.check(&model, &Recipe { batch_size, ..Recipe::default() }, hardware).unwrap_err().to_string()
        };
        let (fused, resident) = (PlanName::Fused, PlanName::Resident);
        assert!(refused(fused, &[4, 3000], 64, &roomy()).contains("use the plan elementary"));
        assert!(refused(resident, &[784, 17, 10], 64, &roomy()).contains("not 784-17-10: use the plan fused"));
        assert!(refused(resident, &[784, 7, 7, 10], 64, &roomy()).contains("use the plan fused"));
        assert!(refused(resident, &[20, 7, 10], 257, &roomy()).contains("at most 256 rows"));
        assert!(refused(resident, &[784, 7, 10], 64, &Hardware::GPU).contains("has 16384"));
        let refuses = |plan: PlanName, model: &Mlp, change: &dyn Fn(&mut Recipe)| {
            let mut recipe = Recipe::default();
            change(&mut recipe);
            plan.check(model, &recipe, &roomy()).is_err()
        };
        let notebook = Mlp::new(&[784, 7, 10]).unwrap();
        assert!(!refuses(resident, &notebook, &|recipe| recipe.optimizer.kind = OptimizerKind::Adam));
        assert!(refuses(resident, &notebook.clone().with_dropout(0.0, &[0.5]).unwrap(), &|_| {}));
        assert!(refuses(resident, &notebook.clone().with_dropout(0.1, &[0.0]).unwrap(), &|_| {}));
        assert!(refuses(resident, &notebook, &|recipe| recipe.class_weight = vec![1.0; 10]));
        for plan in [fused, resident] {
            assert!(refuses(plan, &notebook, &|recipe| recipe.optimizer.clip_norm = Some(1.0)));
        }
        let mut clipping = Recipe::default();
        clipping.optimizer.clip_norm = Some(1.0);
        let error = fused.check(&notebook, &clipping, &roomy()).unwrap_err().to_string();
        assert!(error.contains("does not clip gradients: use the plan elementary"), "{error}");
        let chosen = PlanName::choose(&notebook, &clipping, &roomy(), None).unwrap();
        assert_eq!(chosen, (PlanName::Elementary, "the only plan that clips gradients"));
        let augmenting = Recipe { augment: "shift:2".parse().unwrap(), ..Recipe::default() };
        let error = resident.check(&notebook, &augmenting, &roomy()).unwrap_err().to_string();
        assert!(error.contains("does not augment images: use the plan fused"), "{error}");
        let chosen = PlanName::choose(&notebook, &augmenting, &roomy(), None).unwrap();
        assert_eq!(chosen, (fused, "the fewest dispatches per step for this network"));
        assert!(resident.check(&notebook, &Recipe::default(), &roomy()).is_ok());
        assert_eq!(PlanName::choose(&notebook, &Recipe::default(), &roomy(), None).unwrap().0, fused);
        // One workgroup is about as fast where subgroups have 32 invocations and all fits, unless it has much to do or slots.
        let waves = Hardware { subgroup: 32, workgroup_bytes: 49_152, invocations: 1024, ..Hardware::GPU };
        let chosen = |widths: &[usize], batch_size, kind, hardware: &Hardware| {
            let mut recipe = Recipe { batch_size, ..Recipe::default() };
            recipe.optimizer.kind = kind;
            PlanName::choose(&Mlp::new(widths).unwrap(), &recipe, hardware, None).unwrap().0
        };
        let (sgd, adam, ahead) = (OptimizerKind::Sgd, OptimizerKind::Adam, PlanName::Ahead);
        assert_eq!(chosen(&[784, 7, 10], 64, sgd, &waves), resident);
        assert_eq!(chosen(&[21, 7, 3], 64, sgd, &waves), resident);
        assert_eq!(chosen(&[501, 7, 3], 64, sgd, &waves), ahead);
        assert_eq!(chosen(&[784, 7, 10], 64, adam, &waves), ahead);
        let matrices = Hardware { cooperative: Some(Cooperative { side: 16, subgroup: 32 }), ..waves.clone() };
        assert_eq!(chosen(&[784, 7, 10], 64, sgd, &matrices), fused);
        assert_eq!(chosen(&[784, 12, 10], 64, sgd, &waves), ahead);
        assert_eq!(chosen(&[784, 7, 10], 128, sgd, &waves), ahead);
        assert_eq!(chosen(&[784, 7, 10], 64, sgd, &Hardware { subgroup: 16, ..waves.clone() }), ahead);
        assert_eq!(chosen(&[784, 7, 10], 64, sgd, &Hardware { workgroup_bytes: 32_768, ..waves }), ahead);
        let wide = Mlp::new(&[4, 3000]).unwrap();
        let chosen = PlanName::choose(&wide, &Recipe::default(), &roomy(), None).unwrap();
        assert_eq!(chosen, (PlanName::Elementary, "too many outputs for the plan fused"));
    }

    #[test]
    fn a_plan_runs_what_it_does_not_refuse() {
        let notebook = Mlp::new(&[784, 7, 10]).unwrap();
        let runs = |model: &Mlp, recipe: &Recipe| {
            let plans = PlanName::ALL.into_iter().filter(|plan| plan.check(model, recipe, &roomy()).is_ok());
            plans.map(PlanName::name).collect::<Vec<_>>()
        };
        let values = Recipe { loss: Loss::Mse, ..Recipe::default() };
        assert_eq!(runs(&notebook.clone().with_head(Head::Values), &values), ["elementary", "fused", "resident"]);
        let smoothing = Recipe { label_smoothing: 0.1, ..Recipe::default() };
        assert_eq!(runs(&notebook, &smoothing), ["elementary", "fused", "resident"]);
        let weights = Recipe { class_weight: vec![1.0; 10], ..Recipe::default() };
        assert_eq!(runs(&notebook, &weights), ["elementary", "fused"]);
        let dropping = notebook.with_dropout(0.1, &[0.0]).unwrap();
        assert_eq!(runs(&dropping, &Recipe::default()), ["elementary", "fused"]);
    }

    #[test]
    fn an_elementary_step_of_the_notebook_is_sixteen_dispatches() {
        let model = Mlp::new(&[784, 7, 10]).unwrap();
        let names: Vec<_> = Plan::elementary_step(&model, &Recipe::default(), Element::U8, 64)
            .launches()
            .map(|launch| launch.kernel.name)
            .collect();
        assert_eq!(
            names,
            [
                "gather_u8",
                "matmul",
                "bias_add",
                "activate",
                "matmul",
                "bias_add",
                "row_softmax",
                "loss_gradient",
                "matmul_at_b",
                "reduce_rows",
                "matmul_a_bt",
                "activate_backward",
                "matmul_at_b",
                "reduce_rows",
                "step",
                "step"
            ]
        );
    }
}
