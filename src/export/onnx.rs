//! A model as an ONNX graph. The messages are the part of onnx.proto3 that it takes, with its field numbers.

use std::collections::HashMap;

use prost::Message;

use super::read::{Exported, Floats};
use crate::activation::{Activation, Operand, Operator};
use crate::checkpoint::front::{self, FEATURES};
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
/// The element types float32 and int64.
const FLOAT: i32 = 1;
const INT64: i32 = 7;
/// The type of an attribute that is a whole number.
const WHOLE: i32 = 2;
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
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int32, tag = "20")]
    r#type: i32,
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
        let others = others.iter().map(|name| format!("{}{name}", self.before));
        let input = std::iter::once(self.last.clone()).chain(others).collect();
        self.operator(op_type, input, output, None);
    }

    /// Adds an operator of `input`, whose value is `output`, with an attribute that is a whole number.
    fn operator(&mut self, op_type: &str, input: Vec<String>, output: &str, attribute: Option<(&str, i64)>) {
        let output = format!("{}{output}", self.before);
        self.last.clone_from(&output);
        let attribute = attribute.map(|(name, i)| Attribute { name: name.to_owned(), i, r#type: WHOLE });
        let (name, attribute) = (format!("{op_type} to {output}"), attribute.into_iter().collect());
        self.node.push(Node { input, output: vec![output], name, op_type: op_type.to_owned(), attribute });
    }

    /// Adds a list of whole numbers, and returns its name.
    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let (dims, name) = (vec![values.len() as i64], format!("{}{name}", self.before));
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer.push(Tensor { dims, data_type: INT64, name: name.clone(), raw_data });
        name
    }

    /// Adds the front of a model: what its features pass before the first layer.
    fn front(&mut self, checkpoint: &Checkpoint) {
        let (embedded, front) = front::tensors(&checkpoint.model, &checkpoint.state.parameters);
        for (tensor, values) in front {
            self.constant(tensor.name, &tensor.shape, values);
        }
        if let Some(embedded) = embedded {
            let features: Vec<i64> = embedded.iter().map(|&feature| i64::from(feature)).collect();
            let features = self.integers(FEATURES, &features);
            let last = self.integers("last", &[-1]);
            self.integers("axis", &[2]);
            self.constant("tau", &[1], &[std::f32::consts::TAU]);
            // numbers: batch x features; turns, waves: batch x features x waves; products: batch x features x values x waves.
            let x = self.last.clone();
            self.operator("Gather", vec![x.clone(), features], "numbers", Some(("axis", 1)));
            self.step("Unsqueeze", &["axis"], "columns");
            self.step("Mul", &["embedding.frequencies"], "turns");
            self.step("Mul", &["tau"], "angles");
            self.step("Add", &["embedding.phases"], "shifted");
            self.step("Cos", &[], "waves");
            self.step("Unsqueeze", &["axis"], "rows");
            self.step("Mul", &["embedding.weight"], "products");
            self.operator("ReduceSum", vec![self.last.clone(), last], "weighted", Some(("keepdims", 0)));
            self.step("Add", &["embedding.bias"], "embedded");
            self.step("Flatten", &[], "flat");
            self.operator("Concat", vec![x, self.last.clone()], "all", Some(("axis", 1)));
        }
        if checkpoint.model.front().scaled {
            self.step("Mul", &["scale"], "factored");
        }
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
        self.front(checkpoint);
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
        let attribute = Vec::new();
        self.node.push(Node { input: shares, output: vec![output.to_owned()], name, op_type, attribute });
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
    let mut arrays: HashMap<String, Floats> = graph.initializer.iter().filter_map(floats).collect();
    for Tensor { name, raw_data, .. } in graph.initializer.iter().filter(|tensor| tensor.name.ends_with(FEATURES)) {
        let features: Vec<f32> = raw_data.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word) as f32).collect();
        arrays.insert(name.clone(), (vec![features.len()], features));
    }
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
    use crate::model::{Front, Head, Init, Mlp};
    use crate::recipe::{Loss, OptimizerKind, Recipe};
    use crate::state::State;

    /// Lengths and values.
    type Array = (Vec<usize>, Vec<f32>);

    /// `with` of two arrays, one of which may have length 1, or no length, where the other has more.
    fn broadcast((a_shape, a): &Array, (b_shape, b): &Array, with: fn(f32, f32) -> f32) -> Array {
        let dimensions = a_shape.len().max(b_shape.len());
        let padded = |shape: &[usize]| [vec![1; dimensions - shape.len()], shape.to_vec()].concat();
        let (a_shape, b_shape) = (padded(a_shape), padded(b_shape));
        let shape: Vec<usize> = a_shape.iter().zip(&b_shape).map(|(a, b)| *a.max(b)).collect();
        let at = |own: &[usize], mut index: usize| {
            let (mut place, mut step) = (0, 1);
            for (&length, &all) in own.iter().zip(&shape).rev() {
                place += index % all % length * step;
                (index, step) = (index / all, step * length);
            }
            place
        };
        let count = shape.iter().product();
        let values = (0..count).map(|index| with(a[at(&a_shape, index)], b[at(&b_shape, index)])).collect();
        (shape, values)
    }

    /// What the graph makes of one row, by the definitions of its operators.
    fn run(graph: &Graph, row: &[f32]) -> Vec<f32> {
        let constant = |tensor: &Tensor| {
            let whole = |word: &[u8]| i64::from_le_bytes(word.try_into().unwrap()) as f32;
            let values: Vec<f32> = match tensor.data_type {
                INT64 => tensor.raw_data.chunks_exact(8).map(whole).collect(),
                _ => tensor.raw_data.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect(),
            };
            (tensor.name.clone(), (tensor.dims.iter().map(|&length| length as usize).collect(), values))
        };
        let mut values: HashMap<String, Array> = graph.initializer.iter().map(constant).collect();
        values.insert("input".into(), (vec![1, row.len()], row.to_vec()));
        for node in &graph.node {
            let input = |index: usize| values[&node.input[index]].clone();
            let (shape, x) = input(0);
            let pairs = |with| broadcast(&input(0), &input(1), with);
            let each = |with: fn(f32) -> f32| (shape.clone(), x.iter().map(|x| with(*x)).collect());
            let result = match &node.op_type[..] {
                "Gemm" => {
                    let ((_, weights), (_, mut sums)) = (input(1), input(2));
                    for (x, weights) in x.iter().zip(weights.chunks_exact(sums.len())) {
                        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
                    }
                    (vec![1, sums.len()], sums)
                }
                "Sum" => {
                    let sums = (0..x.len()).map(|at| node.input.iter().map(|name| values[name].1[at]).sum());
                    (shape, sums.collect())
                }
                "Add" => pairs(|x, y| x + y),
                "Sub" => pairs(|x, y| x - y),
                "Mul" => pairs(|x, y| x * y),
                "Div" => pairs(|x, y| x / y),
                "Sqrt" => each(f32::sqrt),
                "Reciprocal" => each(f32::recip),
                "Cos" => each(f32::cos),
                "Relu" => each(|x| x.max(0.0)),
                "Gather" => {
                    let (_, columns) = input(1);
                    (vec![1, columns.len()], columns.iter().map(|&column| x[column as usize]).collect())
                }
                "Unsqueeze" => {
                    let mut shape = shape;
                    shape.insert(input(1).1[0] as usize, 1);
                    (shape, x)
                }
                "ReduceSum" => {
                    let (last, rest) = shape.split_last().unwrap();
                    (rest.to_vec(), x.chunks(*last).map(|values| values.iter().sum()).collect())
                }
                "Flatten" => (vec![1, x.len()], x),
                "Concat" => (vec![1, x.len() + input(1).1.len()], [x, input(1).1].concat()),
                "Softmax" => {
                    let sum: f32 = x.iter().map(|x| x.exp()).sum();
                    (shape, x.iter().map(|x| x.exp() / sum).collect())
                }
                other => panic!("{other}"),
            };
            values.insert(node.output[0].clone(), result);
        }
        values[&graph.output[0].name].1.clone()
    }

    fn checkpoint(model: &Mlp, state: &State, metadata: Option<Metadata>) -> Checkpoint {
        let (model, state) = (model.clone(), state.clone());
        Checkpoint { name: "m".into(), model, state, metadata, assumed: Vec::new() }
    }

    #[test]
    fn the_graph_embeds_numbers_and_scales_inputs_as_the_model() {
        for (embedded, scaled) in [(vec![0, 2, 3], true), (vec![1], false), (Vec::new(), true)] {
            let front = Front { embedded, deviation: 0.5, scaled };
            let model = Mlp::new(&[5, 4, 3]).unwrap().with_front(front).unwrap();
            let mut state = State::new(model.initial_parameters(Init::He, 4), OptimizerKind::Sgd);
            let factors = model.front_tensors()[4].place.clone();
            state.parameters[factors].iter_mut().enumerate().for_each(|(at, factor)| *factor = 0.2 * at as f32 - 0.5);
            let checkpoint = checkpoint(&model, &state, None);
            let bytes = onnx(&checkpoint.into()).unwrap();
            let graph = Model::decode(&bytes[..]).unwrap().graph.unwrap();
            let mut backend = Cpu::new(model.clone(), &Recipe::default(), 1).unwrap();
            backend.set_state(&state).unwrap();
            let row = [-2.0, 0.3, 1.7, -0.4, 5.0];
            let expected = backend.predict(&Inputs::F32(row.to_vec())).unwrap();
            for (found, expected) in run(&graph, &row).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
            let (exported, layers, mut arrays) = read(&bytes).unwrap();
            let back = exported.with_layers("m".as_ref(), layers, |name| Ok(arrays.remove(name))).unwrap();
            let front = Front { deviation: 0.0, ..model.front().clone() };
            assert_eq!((back.front, back.parameters), (front, state.parameters));
        }
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
            let checkpoint = checkpoint(&model, &state, Some(metadata));
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
            checkpoint(&model, &state, Some(metadata))
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
            let checkpoint = checkpoint(&model, &state, None);
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
