//! A step as data: an ordered list of kernel launches with the buffers they bind. No wgpu in it.

use crate::backend::gpu::kernels::{self, Launch};
use crate::model::Mlp;

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
    /// A training step of elementary kernels: the textbook.
    pub fn elementary_step(model: &Mlp, element: Element, rows: usize) -> Self {
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
    pub fn evaluation(model: &Mlp, element: Element, rows: usize) -> Self {
        let mut plan = Self::forward(model, element, rows);
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
            for element in [Element::U8, Element::F32] {
                let plans = [Plan::elementary_step(&model, element, 64), Plan::evaluation(&model, element, 512)];
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
    fn a_step_of_the_notebook_is_fifteen_dispatches() {
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
