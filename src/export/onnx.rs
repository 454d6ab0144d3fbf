//! A model as an ONNX graph. The messages are the part of onnx.proto3 that it takes, with its field numbers.

use std::collections::HashMap;

use prost::Message;

use super::read::{Exported, Floats};
use crate::activation::{Activation, Operand, Operator};
use crate::checkpoint::{Checkpoint, Ensemble, ensemble, little_endian};
use crate::error::{Error, Remedy, Result};

/// The software that writes the file, as it says, and the key under which it describes its model.
const PRODUCER: &str = "mlp-gpu";
const DESCRIPTION: &str = "mlp-gpu";
/// The operator of a linear layer.
const PRODUCT: &str = "Gemm";

/// Version of the format of the file, and of its operators: ONNX 1.12 (2022).
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;
/// The element type float32.
const FLOAT: i32 = 1;
/// The largest message that readers take.
const MAX_BYTES: usize = i32::MAX as usize;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<Property>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Property {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}

/// The ONNX model: `input` (`batch x inputs`, float32) to `probabilities` (`batch x classes`, float32), for batches of any
/// size. Its inputs are raw features where the model scales them, which the graph does first; pixels / 255, from 0 to 1, for a
/// model of images of bytes. Of an ensemble it gives the weighted mean over all members, each of which scales its inputs itself.
/// The metadata has `classes`, a JSON array of their names in the order of the probabilities, `features`, one of the names of the
/// inputs for a model of tables, and `mlp-gpu`, what the model's own file says of it.
///
/// # Errors
/// [`Error::Data`] for a model of 2 GiB and more: the format cannot hold it. Or for members that make different features of the
/// columns of tables: a graph has one input.
pub fn onnx(ensemble: &Ensemble) -> Result<Vec<u8>> {
    let (first, count) = (ensemble.first(), ensemble.len());
    let metadata = first.metadata.as_ref();
    let schema = |of: &Checkpoint| of.metadata.as_ref().and_then(|metadata| metadata.schema.clone());
    let features = schema(first);
    if let Some(number) = ensemble.members().iter().position(|member| schema(member) != features) {
        let name = ensemble.name();
        let error = Error::Data(format!(
            "members 0 and {number} of {name} make different features of the columns, and a graph has one input"
        ));
        return Err(error.advise(&[Remedy::Member]));
    }
    let mut parts = Parts::default();
    let output = if count == 1 { parts.member(first) } else { parts.mean(ensemble) };

    let failed = |error: serde_json::Error| Error::Data(format!("cannot describe the model: {error}"));
    let property = |key: &str, value| Property { key: key.to_owned(), value };
    let mut metadata_props = vec![property("classes", serde_json::to_string(&first.classes()).map_err(failed)?)];
    if let Some(schema) = features {
        metadata_props.push(property("features", serde_json::to_string(&schema.features).map_err(failed)?));
    }
    if count > 1 {
        let description = ensemble.description(|_, metadata, _| metadata.clone())?;
        metadata_props.push(property(DESCRIPTION, description));
    } else if let Some(metadata) = metadata {
        metadata_props.push(property(DESCRIPTION, serde_json::to_string(metadata).map_err(failed)?));
    }
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Graph {
            node: parts.node,
            name: if count > 1 { format!("{count} members") } else { first.model.to_string() },
            initializer: parts.initializer,
            input: vec![rows_of("input", first.model.inputs())],
            output: vec![rows_of(output, first.model.outputs())],
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPERATORS }],
        metadata_props,
    };
    match model.encoded_len() {
        length if length > MAX_BYTES => {
            Err(Error::Data(format!("{length} bytes are more than an ONNX file holds (2 GiB)")))
        }
        _ => Ok(model.encode_to_vec()),
    }
}

/// What a graph is made of.
#[derive(Default)]
struct Parts {
    node: Vec<Node>,
    initializer: Vec<Tensor>,
    /// What stands before all names but that of the input.
    before: String,
    /// The value that the next operator takes.
    last: String,
}

impl Parts {
    /// Adds an operator of the last value and of `others`, whose value is `output`.
    fn step(&mut self, op_type: &str, others: &[&str], output: &str) {
        let output = format!("{}{output}", self.before);
        let last = std::mem::replace(&mut self.last, output.clone());
        let others = others.iter().map(|name| format!("{}{name}", self.before));
        let input = std::iter::once(last).chain(others).collect();
        let name = format!("{op_type} to {output}");
        self.node.push(Node { input, output: vec![output], name, op_type: op_type.to_owned() });
    }

    fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let dims = dims.iter().map(|&length| length as i64).collect();
        let (name, raw_data) = (format!("{}{name}", self.before), little_endian(values));
        self.initializer.push(Tensor { dims, data_type: FLOAT, name, raw_data });
    }

    /// Adds a model. Its output, but for what stands before it: `probabilities` or `values`.
    fn member(&mut self, checkpoint: &Checkpoint) -> &'static str {
        self.last = "input".to_owned();
        let metadata = checkpoint.metadata.as_ref();
        if let Some(scaling) = metadata.and_then(|metadata| metadata.scaling.as_ref()) {
            self.constant("offset", &[scaling.offset.len()], &scaling.offset);
            self.constant("divisor", &[scaling.divisor.len()], &scaling.divisor);
            self.step("Sub", &["offset"], "centred");
            self.step("Div", &["divisor"], "scaled");
            if let Some(clip) = scaling.clip {
                // x / sqrt(1 + (x / clip)^2)
                self.constant("clip", &[1], &[clip]);
                self.constant("one", &[1], &[1.0]);
                self.step("Div", &["clip"], "parts");
                self.step("Mul", &["parts"], "squares");
                self.step("Add", &["one"], "sums");
                self.step("Sqrt", &[], "roots");
                self.step("Reciprocal", &[], "shares");
                self.step("Mul", &["scaled"], "held");
            }
        }
        let layers = checkpoint.model.layers();
        for (number, layer) in (1..).zip(layers) {
            let (weights, biases) = (format!("W{number}"), format!("b{number}"));
            let parameters = &checkpoint.state.parameters;
            self.constant(&weights, &[layer.inputs, layer.outputs], &parameters[layer.weights.clone()]);
            self.constant(&biases, &[layer.outputs], &parameters[layer.biases.clone()]);
            let (f, h) = (format!("f{number}"), format!("h{number}"));
            self.step(PRODUCT, &[&weights, &biases], &f);
            if number == layers.len() {
                break;
            }
            let operators = layer.activation.operators();
            for (part, operator) in (1..).zip(operators) {
                let output = if part == operators.len() { h.clone() } else { format!("{h}.{part}") };
                match operator.operand {
                    None => self.step(operator.name, &[], &output),
                    Some(Operand::Input) => self.step(operator.name, &[&f], &output),
                    Some(Operand::Number(number)) => {
                        let operand = format!("{output}.operand");
                        self.constant(&operand, &[1], &[number]);
                        self.step(operator.name, &[&operand], &output);
                    }
                }
            }
        }
        match metadata.and_then(|metadata| metadata.target_scale.as_ref()) {
            None => {
                self.step("Softmax", &[], "probabilities");
                "probabilities"
            }
            Some(scale) => {
                let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
                self.constant("deviation", &[scale.deviation.len()], &single(&scale.deviation));
                self.constant("mean", &[scale.mean.len()], &single(&scale.mean));
                self.step("Mul", &["deviation"], "deviations");
                self.step("Add", &["mean"], "values");
                "values"
            }
        }
    }

    /// Adds all members and their weighted mean.
    fn mean(&mut self, ensemble: &Ensemble) -> &'static str {
        let total: f64 = ensemble.weights().iter().copied().map(f64::from).sum();
        let (mut shares, mut output) = (Vec::new(), "");
        for (number, (member, weight)) in ensemble.members().iter().zip(ensemble.weights()).enumerate() {
            self.before = ensemble::before(number);
            output = self.member(member);
            self.constant("weight", &[1], &[(f64::from(*weight) / total) as f32]);
            self.step("Mul", &["weight"], "share");
            shares.push(self.last.clone());
        }
        let (name, op_type) = (format!("Sum to {output}"), "Sum".to_owned());
        self.node.push(Node { input: shares, output: vec![output.to_owned()], name, op_type });
        output
    }
}

/// The number of operators of the ONNX model in `bytes`; 0 where they are none.
pub(super) fn nodes(bytes: &[u8]) -> usize {
    let model = Model::decode(bytes).ok().filter(|model| (1..1000).contains(&model.ir_version));
    model.and_then(|model| model.graph).map_or(0, |graph| graph.node.len())
}

/// What the file that [`onnx`] wrote says of its model, the number of its layers, and its arrays by name; none where `bytes` are no such file.
pub(super) fn read(bytes: &[u8]) -> Option<(Exported, usize, HashMap<String, Floats>)> {
    let model = Model::decode(bytes).ok().filter(|model| model.producer_name == PRODUCER)?;
    let mut properties = model.metadata_props.into_iter();
    let metadata = properties.find(|property| property.key == DESCRIPTION).map(|property| property.value);
    let graph = model.graph?;
    let floats = |tensor: &Tensor| {
        let shape: Vec<usize> = tensor.dims.iter().filter_map(|length| usize::try_from(*length).ok()).collect();
        let count = shape.iter().try_fold(1usize, |count, length| count.checked_mul(*length));
        let whole =
            tensor.data_type == FLOAT && count.and_then(|count| count.checked_mul(4)) == Some(tensor.raw_data.len());
        let values =
            tensor.raw_data.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        whole.then(|| (tensor.name.clone(), (shape, values.collect())))
    };
    let arrays: HashMap<String, Floats> = graph.initializer.iter().filter_map(floats).collect();
    let activation = activation(&graph.node, &arrays);
    let layers = graph.node.iter().filter(|node| node.op_type == PRODUCT).count();
    Some((Exported { metadata, activation, ..Exported::default() }, layers, arrays))
}

/// The activation whose operators stand between the first two products; none where there is but one, or another activation.
fn activation(nodes: &[Node], arrays: &HashMap<String, Floats>) -> Option<Activation> {
    let mut products = (0..nodes.len()).filter(|&index| nodes[index].op_type == PRODUCT);
    let between = nodes.get(products.next()? + 1..products.next()?)?;
    let is = |node: &Node, operator: &Operator| {
        let constant = node.input.get(1).and_then(|name| arrays.get(name)).and_then(|(_, values)| values.first());
        let operand = match operator.operand {
            None => node.input.len() == 1,
            Some(Operand::Input) => node.input.len() == 2 && constant.is_none(),
            Some(Operand::Number(number)) => constant == Some(&number),
        };
        node.op_type == operator.name && operand
    };
    let all = Activation::ALL.iter().copied();
    all.filter(|activation| activation.operators().len() == between.len())
        .find(|activation| between.iter().zip(activation.operators()).all(|(node, operator)| is(node, operator)))
}

/// A value of any number of rows.
fn rows_of(name: &str, width: usize) -> Value {
    let rows = Dimension { dim_value: None, dim_param: Some("batch".into()) };
    let columns = Dimension { dim_value: Some(width as i64), dim_param: None };
    let shape = Some(Shape { dim: vec![rows, columns] });
    Value { name: name.into(), r#type: Some(Type { tensor_type: Some(TensorType { elem_type: FLOAT, shape }) }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::backend::cpu::Cpu;
    use crate::checkpoint::Metadata;
    use crate::data::{Inputs, Scaling, numbered};
    use crate::model::{Head, Init, Mlp};
    use crate::recipe::{Loss, OptimizerKind, Recipe};
    use crate::state::State;

    /// What the graph makes of one row, by the definitions of its operators.
    fn run(graph: &Graph, row: &[f32]) -> Vec<f32> {
        let constant = |tensor: &Tensor| {
            let values = tensor.raw_data.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
            (tensor.name.clone(), values.collect())
        };
        let mut values: HashMap<String, Vec<f32>> = graph.initializer.iter().map(constant).collect();
        values.insert("input".into(), row.to_vec());
        for node in &graph.node {
            let input = |index: usize| values[&node.input[index]].clone();
            let x = input(0);
            // One value on the right stands for as many as are on the left.
            let pairs = |with: fn(f32, f32) -> f32| -> Vec<f32> {
                x.iter().zip(input(1).iter().cycle()).map(|(x, y)| with(*x, *y)).collect()
            };
            let result = match &node.op_type[..] {
                "Gemm" => {
                    let (weights, mut sums) = (input(1), input(2));
                    for (x, weights) in x.iter().zip(weights.chunks_exact(sums.len())) {
                        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
                    }
                    sums
                }
                "Sum" => (0..x.len()).map(|at| node.input.iter().map(|name| values[name][at]).sum()).collect(),
                "Add" => pairs(|x, y| x + y),
                "Sub" => pairs(|x, y| x - y),
                "Mul" => pairs(|x, y| x * y),
                "Div" => pairs(|x, y| x / y),
                "Sqrt" => x.iter().map(|x| x.sqrt()).collect(),
                "Reciprocal" => x.iter().map(|x| x.recip()).collect(),
                "Relu" => x.iter().map(|x| x.max(0.0)).collect(),
                "Softmax" => {
                    let sum: f32 = x.iter().map(|x| x.exp()).sum();
                    x.iter().map(|x| x.exp() / sum).collect()
                }
                other => panic!("{other}"),
            };
            values.insert(node.output[0].clone(), result);
        }
        values[&graph.output[0].name].clone()
    }

    #[test]
    fn the_graph_scales_raw_inputs_and_gives_values_in_their_unit() {
        let model = Mlp::new(&[3, 4, 2]).unwrap().with_head(Head::Values);
        let state = State::new(model.initial_parameters(Init::He, 4), OptimizerKind::Sgd);
        let row = [-40.0, 2.5, 900.0];
        for clip in [None, Some(3.0)] {
            let scaling = Scaling { offset: vec![-3.0, 2.0, 500.0], divisor: vec![9.0, 0.5, 80.0], clip };
            let targets = (vec![1000.0, -7.0], vec![250.0, 0.5]);
            let metadata = Metadata::bare(&model, Some(scaling.clone()), Some(targets));
            let scale = metadata.target_scale.clone().unwrap();
            let checkpoint = Checkpoint {
                name: "m".into(),
                model: model.clone(),
                state: state.clone(),
                metadata: Some(metadata),
                assumed: Vec::new(),
            };
            let graph = Model::decode(&onnx(&checkpoint.clone().into()).unwrap()[..]).unwrap().graph.unwrap();
            let recipe = Recipe { loss: Loss::Mse, ..Recipe::default() };
            let mut backend = Cpu::new(model.clone(), &recipe, 1).unwrap();
            backend.set_state(&state).unwrap();
            let mut scaled = row;
            scaling.apply(&mut scaled);
            let expected = scale.undo(&backend.predict(&Inputs::F32(scaled.to_vec())).unwrap());
            for (found, expected) in run(&graph, &row).iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_graph_of_members_gives_the_weighted_mean_of_their_values() {
        let member = |seed: u32| {
            let shift = seed as f32;
            let model = Mlp::new(&[3, 2 + seed as usize, 2]).unwrap().with_head(Head::Values);
            let state = State::new(model.initial_parameters(Init::He, u64::from(seed)), OptimizerKind::Sgd);
            let scaling =
                Scaling { offset: vec![shift, 2.0, 0.5], divisor: vec![1.0 + shift, 0.5, 8.0], clip: Some(3.0) };
            let metadata =
                Metadata::bare(&model, Some(scaling), Some((vec![10.0 * shift, -7.0], vec![2.5, 1.0 + shift])));
            Checkpoint { name: "m".into(), model, state, metadata: Some(metadata), assumed: Vec::new() }
        };
        let graph = |ensemble: &Ensemble| Model::decode(&onnx(ensemble).unwrap()[..]).unwrap().graph.unwrap();
        let members: Vec<Checkpoint> = (0..3).map(member).collect();
        let row = [0.75, 2.5, -9.0];
        let each: Vec<_> = members.iter().map(|member| run(&graph(&member.clone().into()), &row)).collect();
        let found = run(&graph(&Ensemble::weighted(members, vec![5, 1, 2]).unwrap()), &row);
        for (output, found) in found.iter().enumerate() {
            let expected = (5.0 * each[0][output] + each[1][output] + 2.0 * each[2][output]) / 8.0;
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn the_graph_gives_the_probabilities_of_the_model() {
        for widths in [&[6, 3][..], &[6, 5, 3], &[6, 5, 4, 3]] {
            let model = Mlp::new(widths).unwrap();
            let state = State::new(model.initial_parameters(Init::He, 4), OptimizerKind::Sgd);
            let checkpoint = Checkpoint {
                name: "m".into(),
                model: model.clone(),
                state: state.clone(),
                metadata: None,
                assumed: Vec::new(),
            };
            let written = Model::decode(&onnx(&checkpoint.clone().into()).unwrap()[..]).unwrap();
            let graph = written.graph.unwrap();
            assert_eq!(graph.node.len(), 2 * (widths.len() - 1));
            assert_eq!(written.metadata_props[0].value, serde_json::to_string(&numbered(3)).unwrap());
            let mut backend = Cpu::new(model, &Recipe::default(), 1).unwrap();
            backend.set_state(&state).unwrap();
            let row: Vec<f32> = (0..6).map(|i| i as f32 * 0.7 - 2.0).collect();
            let expected = backend.predict(&Inputs::F32(row.clone())).unwrap();
            for (found, expected) in run(&graph, &row).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }
}
