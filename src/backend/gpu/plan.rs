//! A step as data: an ordered list of kernel launches with the buffers they bind. No wgpu in it.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::backend::Precision;
use crate::backend::cpu::augment::Warper;
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels;
use crate::backend::gpu::launch::dense::{Dense, Product, Source};
use crate::backend::gpu::launch::narrow::Narrow;
use crate::backend::gpu::launch::{Launch, dense, elementary, narrow, output, resident};
use crate::backend::gpu::link::{Dropping, HeadKind, Link};
use crate::data::Inputs;
use crate::error::{Error, Remedy, Result};
use crate::model::{Head, Mlp};
use crate::recipe::{Loss, OptimizerKind, Recipe};

/// What a network with one hidden layer, or none, is made with.
fn link(model: &Mlp, optimizer: OptimizerKind) -> Link {
    let dropout = Dropping::of(model, 0);
    Link { activation: model.activation(), head: HeadKind::Classes, optimizer, dropout }
}

/// The ways in which a step can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanName {
    /// A kernel for each elementary operation
    Elementary,
    /// Few kernels that do several operations each
    Fused,
    /// One kernel for many steps, for a small network with one hidden layer
    Resident,
}

impl PlanName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Elementary, Self::Fused, Self::Resident];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elementary => "elementary",
            Self::Fused => "fused",
            Self::Resident => "resident",
        }
    }

    /// The plan of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.name() == name)
    }

    /// Whether it can train `model` by `recipe` on `hardware`; if not, why.
    ///
    /// # Errors
    /// [`Error::PlanUnfit`] saying what it can run, with what to use instead.
    pub fn check(self, model: &Mlp, recipe: &Recipe, hardware: &Hardware) -> Result<()> {
        let unfit = |why: String, remedies: &[Remedy]| Err(Error::PlanUnfit { plan: self, why }.advise(remedies));
        let (kind, batch_size) = (recipe.optimizer.kind, recipe.batch_size);
        if model.head() != Head::Classes || recipe.loss != Loss::CrossEntropy {
            return unfit("trains classes by their cross-entropy only".into(), &[Remedy::Cpu]);
        }
        if model.input_dropout() > 0.0 {
            return unfit("drops no inputs".into(), &[Remedy::Cpu]);
        }
        if recipe.label_smoothing > 0.0 {
            return unfit("does not smooth labels".into(), &[Remedy::Cpu]);
        }
        if !recipe.class_weight.is_empty() {
            return unfit("does not weigh classes".into(), &[Remedy::Cpu]);
        }
        if recipe.optimizer.clip_norm.is_some() {
            return unfit("does not clip gradients".into(), &[Remedy::Cpu]);
        }
        match self {
            Self::Elementary => Ok(()),
            _ if !recipe.augment.is_none() => {
                unfit("does not augment images".into(), &[Remedy::Plan(Self::Elementary)])
            }
            Self::Fused if model.classes() <= output::MAX_CLASSES => Ok(()),
            Self::Fused => unfit(
                format!("runs networks of at most {} classes, not {model}", output::MAX_CLASSES),
                &[Remedy::Plan(Self::Elementary)],
            ),
            // It takes the numbers of all its steps from the first: Adam's differ.
            Self::Resident if matches!(kind, OptimizerKind::Adam | OptimizerKind::AdamW) => unfit(
                format!("trains by sgd, momentum or nesterov, not by {}", kind.name()),
                &[Remedy::Plan(Self::Fused)],
            ),
            Self::Resident if model.layers().iter().any(|layer| layer.dropout > 0.0) => {
                unfit("trains without dropout only".into(), &[Remedy::Plan(Self::Fused)])
            }
            Self::Resident => {
                let shape = narrow_shape(model, Element::U8).filter(|shape| shape.hidden <= resident::MAX_HIDDEN);
                let Some(shape) = shape else {
                    let (hidden, classes) = (resident::MAX_HIDDEN, narrow::MAX_CLASSES);
                    let why = format!(
                        "runs networks with one hidden layer of at most {hidden} units and at most {classes} classes, not \
                         {model}"
                    );
                    return unfit(why, &[Remedy::Plan(Self::Fused)]);
                };
                if batch_size > resident::LANES {
                    let why = format!("takes batches of at most {} rows, not {batch_size}", resident::LANES);
                    return unfit(why, &[Remedy::SmallerBatch, Remedy::Plan(Self::Fused)]);
                }
                let needed = resident::workgroup_bytes(shape, batch_size, link(model, kind));
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
        Ok(match Self::Fused.check(model, recipe, hardware) {
            Ok(()) if narrow_shape(model, Element::U8).is_some() => {
                (Self::Fused, "one narrow hidden layer: two dispatches a step")
            }
            Ok(()) => (Self::Fused, "the fewest dispatches a step for this network"),
            Err(_) => {
                Self::Elementary.check(model, recipe, hardware)?;
                let many = "too many classes for the plan fused";
                let why = if recipe.augment.is_none() { many } else { "the plan fused does not augment images" };
                (Self::Elementary, why)
            }
        })
    }
}

/// The shape for the narrow kernels, where they can run `model`.
fn narrow_shape(model: &Mlp, element: Element) -> Option<Narrow> {
    match *model.widths() {
        [inputs, hidden, classes] if hidden <= narrow::MAX_HIDDEN && classes <= narrow::MAX_CLASSES => {
            Some(Narrow { inputs, hidden, classes, floats: element == Element::F32 })
        }
        _ => None,
    }
}

/// Layer `index` of `model` as the dense kernels take it.
fn layer(model: &Mlp, element: Element, index: usize) -> Dense {
    let layer = &model.layers()[index];
    let source = match (index, element) {
        (0, Element::U8) => Source::Bytes,
        (0, Element::F32) => Source::Floats,
        _ => Source::Activations,
    };
    Dense { inputs: layer.inputs, outputs: layer.outputs, offset: layer.weights.start, source }
}

/// A buffer on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Buffer {
    /// The rows of the data set that the step works on.
    Data,
    /// Their labels.
    Labels,
    /// The row numbers, batch after batch.
    Order,
    /// The flat parameters.
    Parameters,
    /// The flat gradients.
    Gradients,
    /// The input rows (0), and each layer's output before its softmax.
    Activations(usize),
    /// What the slope of the activation that made [`Buffer::Activations`] is computed from, where those do not suffice.
    Saved(usize),
    /// The optimizer's slots: those of a parameter side by side.
    Slots,
    /// The gradient at each layer's output before its activation; for the last, first its probabilities.
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

/// One dispatch: what runs and what it binds, by the shader's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The kernel, its sizes and grid: of the ways to do it the fastest that is known.
    pub launch: Launch,
    /// The other ways.
    pub others: Vec<Launch>,
    /// The shader's name of each storage buffer.
    pub bindings: Vec<(&'static str, Buffer)>,
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
}

/// An ordered list of dispatches, for batches of up to `rows` rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The most rows of a batch.
    pub rows: usize,
    /// What runs, in order.
    pub dispatches: Vec<Dispatch>,
}

impl Dispatch {
    /// Of `buffers` those that it binds, by the shader's names.
    pub fn bound<'a, T>(&self, buffers: &'a BTreeMap<Buffer, T>) -> Vec<(&'static str, &'a T)> {
        self.bindings.iter().map(|(name, buffer)| (*name, &buffers[buffer])).collect()
    }
}

fn dispatch(launch: Launch, bindings: &[(&'static str, Buffer)]) -> Dispatch {
    Dispatch { launch, others: Vec::new(), bindings: bindings.to_vec() }
}

/// The best of several ways, as far as `hardware` knows.
fn best(
    mut ways: Vec<Launch>,
    hardware: &Hardware,
    bindings: impl IntoIterator<Item = (&'static str, Buffer)>,
) -> Dispatch {
    let launch = ways.swap_remove(hardware.tuning.pick(&ways));
    Dispatch { launch, others: ways, bindings: bindings.into_iter().collect() }
}

/// What the slope of the activation that made the input of layer `index` is computed from.
fn saved(model: &Mlp, index: usize) -> Buffer {
    if model.layers()[index - 1].activation.saves_input() { Buffer::Saved(index) } else { Buffer::Activations(index) }
}

/// What a step by `optimizer` binds beside the parameters.
fn slots(optimizer: OptimizerKind) -> Option<(&'static str, Buffer)> {
    (optimizer.slots() > 0).then_some(("slots", Buffer::Slots))
}

impl Plan {
    /// A training step by the plan `name`, which must be able to run `model`; by [`PlanName::Resident`] as many steps as
    /// the uniform `batch` has batches of `rows` rows.
    pub fn step(
        name: PlanName,
        model: &Mlp,
        optimizer: OptimizerKind,
        element: Element,
        rows: usize,
        hardware: &Hardware,
    ) -> Self {
        let link = link(model, optimizer);
        match (name, narrow_shape(model, element)) {
            (PlanName::Resident, Some(shape)) => Self::resident_step(shape, rows, link),
            (PlanName::Fused, Some(shape)) => Self::narrow_step(shape, rows, link, hardware),
            (PlanName::Fused, None) => Self::fused_step(model, optimizer, element, rows, hardware),
            _ => Self::elementary_step(model, optimizer, element, rows),
        }
    }

    /// The same, augmenting the rows by `warper`: in place of the kernels that gather them.
    pub fn augmenting(mut self, warper: &Warper) -> Self {
        for dispatch in &mut self.dispatches {
            let floats = dispatch.launch.kernel == &kernels::GATHER_F32;
            if floats || dispatch.launch.kernel == &kernels::GATHER_U8 {
                dispatch.launch = elementary::augment(self.rows, warper, floats);
            }
        }
        self
    }

    fn resident_step(shape: Narrow, rows: usize, link: Link) -> Self {
        let mut bindings = vec![
            ("data", Buffer::Data),
            ("labels", Buffer::Labels),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
        ];
        bindings.extend(slots(link.optimizer));
        Self { rows, dispatches: vec![dispatch(resident::resident(shape, rows, link), &bindings)] }
    }

    /// Three dispatches a hidden layer and one more: its forward product, the gradient at its output and its update; for
    /// the last layer one that does all but the update.
    fn fused_step(model: &Mlp, optimizer: OptimizerKind, element: Element, rows: usize, hardware: &Hardware) -> Self {
        let mut plan = Self::fused_forward(model, element, rows, true, hardware);
        let last = model.layers().len() - 1;
        for index in (0..=last).rev() {
            let layer = layer(model, element, index);
            if 0 < index && index < last {
                let activation = model.layers()[index - 1].activation;
                let ways = dense::dense(
                    Product::InputGradient(activation, Dropping::of(model, index - 1)),
                    layer,
                    rows,
                    hardware,
                );
                let bindings = Self::product(
                    Buffer::Deltas(index),
                    Buffer::Parameters,
                    saved(model, index),
                    Buffer::Deltas(index - 1),
                );
                // It saves nothing, but its shader is the forward product's.
                let unused = activation.saves_input().then_some(("saved", Buffer::Unused));
                plan.dispatches.push(best(ways, hardware, bindings.into_iter().chain(unused)));
            }
            let ways = dense::dense(Product::Update(optimizer), layer, rows, hardware);
            let b = Buffer::Deltas(index);
            let bindings = Self::product(Self::input(index), b, b, Buffer::Parameters);
            plan.dispatches.push(best(ways, hardware, bindings.into_iter().chain(slots(optimizer))));
        }
        plan
    }

    /// The hidden layers' forward products, then the last layer up to its gradients, or when not training up to losses
    /// and confusion matrix.
    fn fused_forward(model: &Mlp, element: Element, rows: usize, training: bool, hardware: &Hardware) -> Self {
        let last = model.layers().len() - 1;
        let mut dispatches = Vec::new();
        for index in 0..last {
            let activation = model.layers()[index].activation;
            let dropout = Dropping::of(model, index).filter(|_| training);
            let ways =
                dense::dense(Product::Forward(activation, dropout), layer(model, element, index), rows, hardware);
            let b = Buffer::Parameters;
            let bindings = Self::product(Self::input(index), b, b, Buffer::Activations(index + 1));
            let save = activation.saves_input().then_some(("saved", Buffer::Saved(index + 1)));
            dispatches.push(best(ways, hardware, bindings.into_iter().chain(save)));
        }
        let link = match last.checked_sub(1) {
            Some(before) => {
                let (activation, dropout) = (model.layers()[before].activation, Dropping::of(model, before));
                Link { activation, dropout, ..Link::default() }
            }
            None => Link::default(),
        };
        let ways = output::output(rows, layer(model, element, last), training, link, hardware);
        let bindings = [
            ("a", Self::input(last)),
            ("b", Buffer::Parameters),
            ("labels", Buffer::Labels),
            ("order", Buffer::Order),
            ("p", Buffer::Deltas(last)),
            ("h", if last > 0 { saved(model, last) } else { Buffer::Data }),
            (
                "c",
                match (training, last) {
                    (false, _) => Buffer::Losses,
                    // Without a layer before it there is no gradient there.
                    (true, 0) => Buffer::Unused,
                    (true, _) => Buffer::Deltas(last - 1),
                },
            ),
            ("confusion", Buffer::Confusion),
        ];
        dispatches.push(best(ways, hardware, bindings));
        Self { rows, dispatches }
    }

    /// Where layer `index` reads its input.
    fn input(index: usize) -> Buffer {
        if index == 0 { Buffer::Data } else { Buffer::Activations(index) }
    }

    /// What a product of a dense layer binds; one that reads no `h` is given another buffer that it reads.
    fn product(a: Buffer, b: Buffer, h: Buffer, c: Buffer) -> [(&'static str, Buffer); 7] {
        [("a", a), ("a4", a), ("b", b), ("b4", b), ("order", Buffer::Order), ("h", h), ("c", c)]
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
        Self { rows, dispatches }
    }

    fn narrow_forward(shape: Narrow, rows: usize, training: bool, link: Link, hardware: &Hardware) -> Dispatch {
        let bindings = [
            ("data", Buffer::Data),
            ("labels", Buffer::Labels),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
            ("h", Buffer::Activations(1)),
            ("d0", Buffer::Deltas(0)),
            ("p", Buffer::Deltas(1)),
        ];
        best(narrow::forward(rows, shape, training, link, hardware), hardware, bindings)
    }

    /// A training step of elementary kernels: the textbook.
    fn elementary_step(model: &Mlp, optimizer: OptimizerKind, element: Element, rows: usize) -> Self {
        let mut plan = Self::forward(model, element, rows, true);
        let last = model.layers().len() - 1;
        plan.dispatches.push(dispatch(
            elementary::cross_entropy_gradient(rows, model.classes()),
            &[("labels", Buffer::Labels), ("order", Buffer::Order), ("outputs", Buffer::Deltas(last))],
        ));
        for (index, layer) in model.layers().iter().enumerate().rev() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            plan.dispatches.push(dispatch(
                elementary::matmul_at_b(inputs, outputs, layer.weights.start),
                &[("a", Buffer::Activations(index)), ("b", Buffer::Deltas(index)), ("c", Buffer::Gradients)],
            ));
            plan.dispatches.push(dispatch(
                elementary::reduce_rows(outputs, layer.biases.start),
                &[("d", Buffer::Deltas(index)), ("sums", Buffer::Gradients)],
            ));
            if index > 0 {
                plan.dispatches.push(dispatch(
                    elementary::matmul_a_bt(rows, inputs, outputs, layer.weights.start),
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
        for layer in model.layers() {
            let mut bindings = vec![("gradients", Buffer::Gradients), ("parameters", Buffer::Parameters)];
            bindings.extend(slots(optimizer));
            let (weights, biases) = (layer.weights.len(), layer.biases.len());
            plan.dispatches
                .push(dispatch(elementary::step(weights, biases, layer.weights.start, optimizer), &bindings));
        }
        plan
    }

    /// The forward pass, up to the probabilities in the last layer's [`Buffer::Deltas`].
    fn forward(model: &Mlp, element: Element, rows: usize, training: bool) -> Self {
        let gather = match element {
            Element::U8 => elementary::gather_u8(rows, model.inputs()),
            Element::F32 => elementary::gather_f32(rows, model.inputs()),
        };
        let bindings = [("data", Buffer::Data), ("order", Buffer::Order), ("x", Buffer::Activations(0))];
        let mut dispatches = vec![dispatch(gather, &bindings)];
        let last = model.layers().len() - 1;
        for (index, layer) in model.layers().iter().enumerate() {
            let (h, f) = (Buffer::Activations(index), Buffer::Activations(index + 1));
            dispatches.push(dispatch(
                elementary::matmul(rows, layer.inputs, layer.outputs, layer.weights.start),
                &[("a", h), ("b", Buffer::Parameters), ("c", f)],
            ));
            dispatches.push(dispatch(
                elementary::bias_add(rows, layer.outputs, layer.biases.start),
                &[("biases", Buffer::Parameters), ("f", f)],
            ));
            dispatches.push(if index < last {
                let mut bindings = vec![("f", f)];
                bindings.extend(layer.activation.saves_input().then_some(("saved", Buffer::Saved(index + 1))));
                let dropout = Dropping::of(model, index).filter(|_| training);
                dispatch(elementary::activate(rows, layer.outputs, layer.activation, dropout), &bindings)
            } else {
                dispatch(elementary::row_softmax(rows, layer.outputs), &[("f", f), ("outputs", Buffer::Deltas(last))])
            });
        }
        Self { rows, dispatches }
    }

    /// The forward pass, the loss and the confusion matrix; the probabilities are in the last layer's
    /// [`Buffer::Deltas`].
    pub fn evaluation(name: PlanName, model: &Mlp, element: Element, rows: usize, hardware: &Hardware) -> Self {
        let mut plan = match (name, narrow_shape(model, element)) {
            (PlanName::Elementary, _) => Self::forward(model, element, rows, false),
            (_, Some(shape)) => Self {
                rows,
                dispatches: vec![Self::narrow_forward(shape, rows, false, link(model, OptimizerKind::Sgd), hardware)],
            },
            (_, None) => Self::fused_forward(model, element, rows, false, hardware),
        };
        let counted = plan.dispatches.iter().any(|dispatch| dispatch.launch.kernel == &kernels::OUTPUT);
        if !counted {
            plan.dispatches.push(dispatch(
                elementary::cross_entropy(rows, model.classes()),
                &[
                    ("outputs", Buffer::Deltas(model.layers().len() - 1)),
                    ("labels", Buffer::Labels),
                    ("order", Buffer::Order),
                    ("losses", Buffer::Losses),
                    ("confusion", Buffer::Confusion),
                ],
            ));
        }
        plan.dispatches.push(dispatch(elementary::sum(), &[("values", Buffer::Losses), ("totals", Buffer::Totals)]));
        plan
    }

    /// What its products are computed in.
    pub fn precision(&self) -> Precision {
        let mixed = [&kernels::DENSE_COOPERATIVE, &kernels::DENSE_COOPERATIVE_SMALL];
        let is_mixed = self.dispatches.iter().any(|dispatch| mixed.contains(&dispatch.launch.kernel));
        if is_mixed { Precision::Mixed } else { Precision::F32 }
    }

    /// The buffers it binds.
    pub fn buffers(&self) -> impl Iterator<Item = Buffer> {
        self.dispatches.iter().flat_map(|dispatch| dispatch.bindings.iter().map(|&(_, buffer)| buffer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::gpu::kernels::BindingKind;
    use crate::model::Activation;

    fn roomy() -> Hardware {
        Hardware { workgroup_bytes: 32_768, ..Hardware::GPU }
    }

    #[test]
    fn every_dispatch_binds_what_its_shader_declares_and_writes_nothing_it_also_reads() {
        for (activation, kind) in [
            (Activation::Relu, OptimizerKind::Sgd),
            (Activation::Gelu, OptimizerKind::Momentum),
            (Activation::Mish, OptimizerKind::AdamW),
        ] {
            check_bindings(activation, kind);
        }
    }

    fn check_bindings(activation: Activation, kind: OptimizerKind) {
        let mut recipe = Recipe::default();
        recipe.optimizer.kind = kind;
        let subgroups = Hardware { subgroup: 8, ..Hardware::SOFTWARE };
        for widths in [&[784, 10][..], &[784, 7, 10], &[784, 128, 10], &[20, 9, 8, 3], &[784, 512, 512, 10]] {
            let share = if kind == OptimizerKind::Momentum { 0.5 } else { 0.0 };
            let hidden = vec![share; widths.len() - 2];
            let model = Mlp::new(widths).unwrap().with_activation(activation).with_dropout(0.0, &hidden).unwrap();
            let names = PlanName::ALL.into_iter().filter(|name| name.check(&model, &recipe, &roomy()).is_ok());
            let elements = [Element::U8, Element::F32];
            let cases = names.flat_map(|name| elements.map(|element| (element, name)));
            for ((element, name), hardware) in cases
                .flat_map(|case| [&roomy(), &Hardware::SOFTWARE, &subgroups].map(|hardware| (case, hardware.clone())))
            {
                let warper = Warper::new("elastic".parse().unwrap(), (1, widths[0]));
                let plans = [
                    Plan::step(name, &model, kind, element, 64, &hardware),
                    Plan::step(name, &model, kind, element, 64, &hardware).augmenting(&warper),
                    Plan::evaluation(name, &model, element, 512, &hardware),
                ];
                for dispatch in plans.iter().flat_map(|plan| &plan.dispatches) {
                    let reflection = dispatch.launch.kernel.reflect(dispatch.launch.link).unwrap();
                    let mut bound: Vec<&str> = dispatch.bindings.iter().map(|(name, _)| *name).collect();
                    bound.push("batch");
                    bound.sort_unstable();
                    assert_eq!(
                        bound,
                        reflection.bindings.keys().collect::<Vec<_>>(),
                        "{}",
                        dispatch.launch.kernel.name
                    );
                    let mut constants: Vec<&str> = dispatch.launch.constants.iter().map(|(name, _)| *name).collect();
                    constants.sort_unstable();
                    let mut declared = reflection.constants.clone();
                    declared.sort_unstable();
                    assert_eq!(constants, declared, "{}", dispatch.launch.kernel.name);
                    for (name, buffer) in &dispatch.bindings {
                        if reflection.bindings[*name].1 == BindingKind::Write {
                            assert_eq!(dispatch.bindings.iter().filter(|(_, other)| other == buffer).count(), 1);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fused_step_is_two_dispatches_for_a_narrow_network_and_at_most_three_a_hidden_layer_and_one() {
        for (widths, dispatches) in [
            (&[784, 10][..], 2),
            (&[784, 7, 10], 2),
            (&[784, 128, 10], 4),
            (&[784, 512, 512, 10], 7),
            (&[784, 64, 64, 64, 10], 10),
        ] {
            let model = Mlp::new(widths).unwrap();
            let step = Plan::step(PlanName::Fused, &model, OptimizerKind::Sgd, Element::U8, 64, &Hardware::GPU);
            assert_eq!(step.dispatches.len(), dispatches, "{model}");
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
        assert!(refuses(resident, &notebook, &|recipe| recipe.optimizer.kind = OptimizerKind::Adam));
        assert!(refuses(resident, &notebook.clone().with_dropout(0.0, &[0.5]).unwrap(), &|_| {}));
        for plan in PlanName::ALL {
            assert!(refuses(plan, &notebook, &|recipe| recipe.optimizer.clip_norm = Some(1.0)));
            assert!(refuses(plan, &notebook.clone().with_dropout(0.1, &[0.0]).unwrap(), &|_| {}));
            assert!(refuses(plan, &notebook.clone().with_head(Head::Values), &|recipe| recipe.loss = Loss::Mse));
        }
        let augmenting = Recipe { augment: "shift:2".parse().unwrap(), ..Recipe::default() };
        for plan in [fused, resident] {
            let error = plan.check(&notebook, &augmenting, &roomy()).unwrap_err().to_string();
            assert!(error.contains("does not augment images: use the plan elementary"), "{error}");
        }
        let chosen = PlanName::choose(&notebook, &augmenting, &roomy(), None).unwrap();
        assert_eq!(chosen, (PlanName::Elementary, "the plan fused does not augment images"));
        assert!(resident.check(&notebook, &Recipe::default(), &roomy()).is_ok());
        assert_eq!(PlanName::choose(&notebook, &Recipe::default(), &roomy(), None).unwrap().0, fused);
        let wide = Mlp::new(&[4, 3000]).unwrap();
        assert_eq!(PlanName::choose(&wide, &Recipe::default(), &roomy(), None).unwrap().0, PlanName::Elementary);
    }

    #[test]
    fn an_elementary_step_of_the_notebook_is_sixteen_dispatches() {
        let model = Mlp::new(&[784, 7, 10]).unwrap();
        let names: Vec<_> = Plan::elementary_step(&model, OptimizerKind::Sgd, Element::U8, 64)
            .dispatches
            .iter()
            .map(|dispatch| dispatch.launch.kernel.name)
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
                "cross_entropy_gradient",
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
