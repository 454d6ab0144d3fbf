//! The front in a plan: kernels that make the first layer's input before all others, and those that train it after the gradients of
//! the layers are known. The same in every plan that has it.

use super::{Buffer, Dispatch, Dropping, Element, Plan, dispatch, slots, within};
use crate::backend::gpu::launch::{Within, elementary, front, stride};
use crate::model::Mlp;
use crate::recipe::OptimizerKind;

/// What clipping binds.
pub(super) type Clipping = Option<(&'static str, Buffer)>;

impl Plan {
    /// What makes the rows of a batch, in [`Buffer::Activations`] of 0: the features, then what the front makes of them.
    pub(super) fn inputs(model: &Mlp, element: Element, rows: usize, training: bool) -> Vec<Dispatch> {
        let dropout = Dropping::of_inputs(model).filter(|_| training);
        let (kind, inputs, x) = (model.front(), model.inputs(), Buffer::Activations(0));
        let gather = match element {
            Element::U8 => elementary::gather_u8(rows, inputs, dropout),
            Element::F32 => elementary::gather_f32(rows, inputs, dropout),
        };
        let embeds = !kind.embedded.is_empty();
        let raw = if embeds { Buffer::Rows } else { Self::before_factors(model) };
        let bindings = [("data", Buffer::Data), ("order", Buffer::Order), ("x", raw)];
        let mut dispatches = vec![dispatch(gather, &bindings)];
        if embeds {
            let bindings = [
                ("x", raw),
                ("parameters", Buffer::Parameters),
                ("columns", Buffer::Columns),
                ("e", Self::before_factors(model)),
            ];
            dispatches.push(dispatch(front::embed(rows, kind, inputs, stride(model.parameters())), &bindings));
        }
        if kind.scaled {
            let launch = front::scale(rows, kind.outputs(inputs), Self::factors(model));
            let bindings = [("factors", Buffer::Parameters), ("e", Self::before_factors(model)), ("x", x)];
            dispatches.push(dispatch(launch, &bindings));
        }
        dispatches
    }

    /// Where the factors of the inputs are.
    fn factors(model: &Mlp) -> Within {
        within(model, model.front_tensors()[4].place.start)
    }

    /// What the factors of the inputs are multiplied with; without factors the first layer's input.
    fn before_factors(model: &Mlp) -> Buffer {
        if model.front().scaled { Buffer::Embedded } else { Buffer::Activations(0) }
    }

    /// The front's gradients, from that of the first layer's output, before the first layer's weights change.
    pub(super) fn front_gradients(model: &Mlp, rows: usize) -> Vec<Dispatch> {
        let (kind, inputs) = (model.front(), model.inputs());
        if kind.is_none() {
            return Vec::new();
        }
        let layer = &model.layers()[0];
        let gradient = elementary::matmul_a_bt(rows, layer.inputs, layer.outputs, within(model, layer.weights.start));
        let dx = Buffer::InputGradient;
        let bindings = [("a", Buffer::Deltas(0)), ("b", Buffer::Parameters), ("c", dx)];
        let mut dispatches = vec![dispatch(gradient, &bindings)];
        if kind.scaled {
            let launch = front::scale_backward(rows, layer.inputs, Self::factors(model));
            let bindings =
                [("factors", Buffer::Parameters), ("e", Buffer::Embedded), ("dx", dx), ("sums", Buffer::Gradients)];
            dispatches.push(dispatch(launch, &bindings));
        }
        if !kind.embedded.is_empty() {
            let bindings = [
                ("x", Buffer::Rows),
                ("parameters", Buffer::Parameters),
                ("columns", Buffer::Columns),
                ("dx", dx),
                ("gradients", Buffer::Gradients),
            ];
            dispatches.push(dispatch(front::embed_backward(rows, kind, inputs, stride(model.parameters())), &bindings));
        }
        dispatches
    }

    /// The step of the front's parameters.
    pub(super) fn front_step(model: &Mlp, optimizer: OptimizerKind, clipping: Clipping) -> Option<Dispatch> {
        let kind = model.front();
        let count = model.front_tensors()[4].place.end;
        let launch = front::front_step(count, kind, stride(model.parameters()), optimizer, clipping.is_some());
        let bindings = [("gradients", Buffer::Gradients), ("parameters", Buffer::Parameters)];
        let bindings: Vec<_> = bindings.into_iter().chain(clipping).chain(slots(optimizer)).collect();
        (!kind.is_none()).then(|| dispatch(launch, &bindings))
    }
}
