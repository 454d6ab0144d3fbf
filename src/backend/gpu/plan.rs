//! A step as data: an ordered list of kernel launches with the buffers they bind. No wgpu in it.

use crate::backend::gpu::kernels::{self, Hardware, Launch, NARROW, NARROW_CLASSES, Narrow};
use crate::error::{Error, Result};
use crate::model::Mlp;

/// The ways in which a step can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanName {
    /// A kernel for each elementary operation: the textbook.
    Elementary,
    /// Few kernels that each do what several elementary ones do.
    Fused,
}

impl PlanName {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Elementary, Self::Fused];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elementary => "elementary",
            Self::Fused => "fused",
        }
    }

    /// Whether it can run `model`; if not, why.
    ///
    /// # Errors
    /// [`Error::Usage`] saying what it can run.
    pub fn check(self, model: &Mlp) -> Result<()> {
        match self {
            Self::Elementary => Ok(()),
            Self::Fused if narrow(model, Element::U8).is_some() => Ok(()),
            Self::Fused => Err(Error::Usage(format!(
                "--plan fused runs networks with one hidden layer of at most {NARROW} units and at most \
                 {NARROW_CLASSES} classes, not {model}: use --plan elementary"
            ))),
        }
    }

    /// The plan `wanted`, or the best one for `model`.
    ///
    /// # Errors
    /// As [`PlanName::check`].
    pub fn choose(model: &Mlp, wanted: Option<Self>) -> Result<Self> {
        match wanted {
            Some(plan) => plan.check(model).map(|()| plan),
            None => Ok(if Self::Fused.check(model).is_ok() { Self::Fused } else { Self::Elementary }),
        }
    }
}

/// The shape for the narrow kernels, where they can run `model`.
fn narrow(model: &Mlp, element: Element) -> Option<Narrow> {
    match *model.widths() {
        [inputs, hidden, classes] if hidden <= NARROW && classes <= NARROW_CLASSES => {
            Some(Narrow { inputs, hidden, classes, floats: element == Element::F32 })
        }
        _ => None,
    }
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
    /// The gradient at each layer's output before its ReLU; for the last, first its probabilities.
    Deltas(usize),
    /// Each row's loss.
    Losses,
    /// Each batch's loss.
    Totals,
    /// Labels by predicted classes.
    Confusion,
}

/// One dispatch: what runs and what it binds, by the shader's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The kernel, its sizes and grid.
    pub launch: Launch,
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

/// An ordered list of dispatches, for batches of up to `rows` rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The most rows of a batch.
    pub rows: usize,
    /// What runs, in order.
    pub dispatches: Vec<Dispatch>,
}

fn dispatch(launch: Launch, bindings: &[(&'static str, Buffer)]) -> Dispatch {
    Dispatch { launch, bindings: bindings.to_vec() }
}

impl Plan {
    /// A training step by the plan `name`, which must be able to run `model`.
    pub fn step(name: PlanName, model: &Mlp, element: Element, rows: usize, hardware: Hardware) -> Self {
        match (name, narrow(model, element)) {
            (PlanName::Fused, Some(shape)) => Self::narrow_step(shape, rows, hardware),
            _ => Self::elementary_step(model, element, rows),
        }
    }

    fn narrow_step(shape: Narrow, rows: usize, hardware: Hardware) -> Self {
        let update = [
            ("data", Buffer::Data),
            ("order", Buffer::Order),
            ("h", Buffer::Activations(1)),
            ("d0", Buffer::Deltas(0)),
            ("d1", Buffer::Deltas(1)),
            ("parameters", Buffer::Parameters),
        ];
        let dispatches = vec![
            Self::narrow_forward(shape, rows, true, hardware),
            dispatch(kernels::narrow_update(shape, hardware), &update),
        ];
        Self { rows, dispatches }
    }

    fn narrow_forward(shape: Narrow, rows: usize, training: bool, hardware: Hardware) -> Dispatch {
        let bindings = [
            ("data", Buffer::Data),
            ("labels", Buffer::Labels),
            ("order", Buffer::Order),
            ("parameters", Buffer::Parameters),
            ("h", Buffer::Activations(1)),
            ("d0", Buffer::Deltas(0)),
            ("p", Buffer::Deltas(1)),
        ];
        dispatch(kernels::narrow_forward(rows, shape, training, hardware), &bindings)
    }

    /// A training step of elementary kernels: the textbook.
    fn elementary_step(model: &Mlp, element: Element, rows: usize) -> Self {
        let mut plan = Self::forward(model, element, rows);
        let last = model.layers().len() - 1;
        plan.dispatches.push(dispatch(
            kernels::cross_entropy_gradient(rows, model.classes()),
            &[("labels", Buffer::Labels), ("order", Buffer::Order), ("p", Buffer::Deltas(last))],
        ));
        for (index, layer) in model.layers().iter().enumerate().rev() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            plan.dispatches.push(dispatch(
                kernels::matmul_at_b(inputs, outputs, layer.weights.start),
                &[("a", Buffer::Activations(index)), ("b", Buffer::Deltas(index)), ("c", Buffer::Gradients)],
            ));
            plan.dispatches.push(dispatch(
                kernels::reduce_rows(outputs, layer.biases.start),
                &[("d", Buffer::Deltas(index)), ("sums", Buffer::Gradients)],
            ));
            if index > 0 {
                plan.dispatches.push(dispatch(
                    kernels::matmul_a_bt(rows, inputs, outputs, layer.weights.start),
                    &[("a", Buffer::Deltas(index)), ("b", Buffer::Parameters), ("c", Buffer::Deltas(index - 1))],
                ));
                plan.dispatches.push(dispatch(
                    kernels::relu_mask(rows, inputs),
                    &[("h", Buffer::Activations(index)), ("d", Buffer::Deltas(index - 1))],
                ));
            }
        }
        plan.dispatches.push(dispatch(
            kernels::sgd(model.parameters()),
            &[("gradients", Buffer::Gradients), ("parameters", Buffer::Parameters)],
        ));
        plan
    }

    /// The forward pass, up to the probabilities in the last layer's [`Buffer::Deltas`].
    pub fn forward(model: &Mlp, element: Element, rows: usize) -> Self {
        let gather = match element {
            Element::U8 => kernels::gather_u8(rows, model.inputs()),
            Element::F32 => kernels::gather_f32(rows, model.inputs()),
        };
        let bindings = [("data", Buffer::Data), ("order", Buffer::Order), ("x", Buffer::Activations(0))];
        let mut dispatches = vec![dispatch(gather, &bindings)];
        let last = model.layers().len() - 1;
        for (index, layer) in model.layers().iter().enumerate() {
            let (h, f) = (Buffer::Activations(index), Buffer::Activations(index + 1));
            dispatches.push(dispatch(
                kernels::matmul(rows, layer.inputs, layer.outputs, layer.weights.start),
                &[("a", h), ("b", Buffer::Parameters), ("c", f)],
            ));
            dispatches.push(dispatch(
                kernels::bias_add(rows, layer.outputs, layer.biases.start),
                &[("biases", Buffer::Parameters), ("f", f)],
            ));
            dispatches.push(if index < last {
                dispatch(kernels::relu(rows, layer.outputs), &[("f", f)])
            } else {
                dispatch(kernels::row_softmax(rows, layer.outputs), &[("f", f), ("p", Buffer::Deltas(last))])
            });
        }
        Self { rows, dispatches }
    }

    /// The forward pass, the loss and the confusion matrix.
    pub fn evaluation(name: PlanName, model: &Mlp, element: Element, rows: usize, hardware: Hardware) -> Self {
        let mut plan = match (name, narrow(model, element)) {
            (PlanName::Fused, Some(shape)) => {
                Self { rows, dispatches: vec![Self::narrow_forward(shape, rows, false, hardware)] }
            }
            _ => Self::forward(model, element, rows),
        };
        plan.dispatches.push(dispatch(
            kernels::cross_entropy(rows, model.classes()),
            &[
                ("p", Buffer::Deltas(model.layers().len() - 1)),
                ("labels", Buffer::Labels),
                ("order", Buffer::Order),
                ("losses", Buffer::Losses),
                ("confusion", Buffer::Confusion),
            ],
        ));
        plan.dispatches.push(dispatch(kernels::sum(), &[("values", Buffer::Losses), ("totals", Buffer::Totals)]));
        plan
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::gpu::kernels::BindingKind;

    #[test]
    fn every_dispatch_binds_what_its_shader_declares_and_writes_nothing_it_also_reads() {
        for widths in [&[784, 10][..], &[784, 7, 10], &[20, 9, 8, 3]] {
            let model = Mlp::new(widths).unwrap();
            let elements = [Element::U8, Element::F32];
            let names = PlanName::ALL.into_iter().filter(|name| name.check(&model).is_ok());
            for (element, name) in names.flat_map(|name| elements.map(|element| (element, name))) {
                let hardware = Hardware::Gpu;
                let plans = [
                    Plan::step(name, &model, element, 64, hardware),
                    Plan::evaluation(name, &model, element, 512, hardware),
                ];
                for dispatch in plans.iter().flat_map(|plan| &plan.dispatches) {
                    let reflection = dispatch.launch.kernel.reflect().unwrap();
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
    fn a_fused_step_of_a_narrow_network_is_two_dispatches() {
        let model = Mlp::new(&[784, 7, 10]).unwrap();
        let step = Plan::step(PlanName::Fused, &model, Element::U8, 64, Hardware::Gpu);
        assert_eq!(step.dispatches.len(), 2);
        let wide = Mlp::new(&[784, 33, 10]).unwrap();
        assert!(PlanName::Fused.check(&wide).unwrap_err().to_string().contains("784-33-10"));
        assert_eq!(PlanName::choose(&wide, None).unwrap(), PlanName::Elementary);
    }

    #[test]
    fn an_elementary_step_of_the_notebook_is_fifteen_dispatches() {
        let model = Mlp::new(&[784, 7, 10]).unwrap();
        let names: Vec<_> = Plan::elementary_step(&model, Element::U8, 64)
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
                "relu",
                "matmul",
                "bias_add",
                "row_softmax",
                "cross_entropy_gradient",
                "matmul_at_b",
                "reduce_rows",
                "matmul_a_bt",
                "relu_mask",
                "matmul_at_b",
                "reduce_rows",
                "sgd"
            ]
        );
    }
}
