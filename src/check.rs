//! The self-check: on the user's own adapter, every kernel against its CPU twin, and every plan against the CPU backend.
//! The test suite calls the same code.

use rand::Rng;
use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::backend::cpu::reference::{self, Reference};
use crate::backend::cpu::vector::Vectors;
use crate::backend::cpu::{self, Cpu};
use crate::backend::gpu::device::{Device, cooperative, values};
use crate::backend::gpu::kernels::{self, Dense, Hardware, Kernel, Launch, Narrow, Product, REGISTRY, Source};
use crate::backend::gpu::plan::{Element, Plan, PlanName};
use crate::backend::gpu::{self, Batch, Gpu};
use crate::backend::{Backend, Precision, Split};
use crate::compare::{Comparison, Tolerance, compare};
use crate::data::{Inputs, Samples};
use crate::error::{Error, Result};
use crate::metrics::norm;
use crate::model::{Init, Mlp};
use crate::random;

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The kernel, or the plan.
    pub name: String,
    /// Its sizes.
    pub shape: String,
    /// What was compared.
    pub what: &'static str,
    /// What it may differ by.
    pub tolerance: Tolerance,
    /// What was found.
    pub comparison: Comparison,
}

/// Rows, inner width and columns that kernels are tried at: 1, around a tile and a line of invocations, the notebook's,
/// a short batch's, and more rows than one line.
const SHAPES: &[(usize, usize, usize)] =
    &[(1, 1, 1), (31, 33, 32), (32, 784, 7), (33, 7, 10), (64, 784, 128), (64, 128, 10), (257, 31, 33), (5, 257, 2)];

/// The contents of a buffer.
#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    U32(Vec<u32>),
    Bytes(Vec<u8>),
}

impl Values {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self {
            Values::F32(values) => bytemuck::cast_slice(values).to_vec(),
            Values::U32(values) => bytemuck::cast_slice(values).to_vec(),
            Values::Bytes(bytes) => bytes.clone(),
        };
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// A launch, the buffers it starts with, and what its twin makes of them.
struct Case {
    launch: Launch,
    batch: Batch,
    before: Vec<(&'static str, Values)>,
    after: Vec<(&'static str, Values, Tolerance)>,
}

/// A source of test values.
struct Draw(ChaCha8Rng);

impl Draw {
    fn normal(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| StandardNormal.sample(&mut self.0)).collect()
    }

    fn below(&mut self, bound: usize, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.0.next_u32() % bound as u32).collect()
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.0.next_u32() as u8).collect()
    }
}

/// What is written beside a result must stay: each output buffer is this much longer on both sides.
const MARGIN: usize = 3;

/// Rows of the data set that batches are gathered from, and the place in the order where the batch starts.
const SOURCE_ROWS: usize = 300;
const FIRST: usize = 2;

/// The cases of `kernel` at one of [`SHAPES`]; fused kernels have several, one for each way to launch them.
fn cases(
    kernel: &'static Kernel,
    hardware: &Hardware,
    (rows, inner, columns): (usize, usize, usize),
) -> Result<Vec<Case>> {
    let mut draw = Draw(random::weights((rows * 1_000_003 + inner * 1009 + columns) as u64));
    let mut batch = Batch { first: FIRST as u32, rows: rows as u32, index: 1, learning_rate: 0.15 };
    let order = draw.below(SOURCE_ROWS, FIRST + rows + 1);
    let picked = order[FIRST..FIRST + rows].to_vec();
    let labels = draw.below(columns, SOURCE_ROWS);
    let exact = Tolerance::EXACT;
    let f32s = Values::F32;
    // exp() of x may err by 3 + 2 |x| units in the last place in Vulkan, division by 2.5, log() by 3, or 2^-21 near 1.
    let functions = Tolerance { absolute: 1e-6, relative: 1e-5 };
    let one_rounding = Tolerance { absolute: 0.0, relative: 4.0 * f64::from(f32::EPSILON) };
    // An operand or result in the middle of a larger buffer, as layers lie in the parameters.
    let padded = |values: &[f32]| {
        let mut all = vec![7.0; MARGIN];
        all.extend_from_slice(values);
        all.extend([7.0; MARGIN]);
        all
    };

    let case = match kernel.name {
        "gather_u8" => {
            let data = draw.bytes(SOURCE_ROWS * inner);
            let mut x = vec![0.0; rows * inner];
            cpu::gather_u8::gather_u8(&data, &picked, inner, &mut x);
            Case {
                launch: kernels::gather_u8(rows, inner),
                batch,
                before: vec![
                    ("data", Values::Bytes(data)),
                    ("order", Values::U32(order)),
                    ("x", f32s(vec![7.0; rows * inner])),
                ],
                after: vec![("x", f32s(x), one_rounding)],
            }
        }
        "gather_f32" => {
            let data = draw.normal(SOURCE_ROWS * inner);
            let mut x = vec![0.0; rows * inner];
            cpu::gather_f32::gather_f32(&data, &picked, inner, &mut x);
            Case {
                launch: kernels::gather_f32(rows, inner),
                batch,
                before: vec![("data", f32s(data)), ("order", Values::U32(order)), ("x", f32s(vec![7.0; rows * inner]))],
                after: vec![("x", f32s(x), exact)],
            }
        }
        "matmul" => {
            let (a, b) = (draw.normal(rows * inner), draw.normal(inner * columns));
            let mut c = vec![0.0; rows * columns];
            cpu::matmul::matmul(&a, &b, inner, columns, &mut c);
            Case {
                launch: kernels::matmul(rows, inner, columns, MARGIN),
                batch,
                before: vec![("a", f32s(a)), ("b", f32s(padded(&b))), ("c", f32s(vec![7.0; rows * columns]))],
                after: vec![("c", f32s(c), Tolerance::of_sum(inner))],
            }
        }
        "matmul_at_b" => {
            let (a, b) = (draw.normal(rows * inner), draw.normal(rows * columns));
            let mut c = vec![0.0; inner * columns];
            cpu::matmul_at_b::matmul_at_b(&a, &b, inner, columns, &mut c);
            Case {
                launch: kernels::matmul_at_b(inner, columns, MARGIN),
                batch,
                before: vec![("a", f32s(a)), ("b", f32s(b)), ("c", f32s(vec![7.0; inner * columns + 2 * MARGIN]))],
                after: vec![("c", f32s(padded(&c)), Tolerance::of_sum(rows))],
            }
        }
        "matmul_a_bt" => {
            let (a, b) = (draw.normal(rows * columns), draw.normal(inner * columns));
            let mut c = vec![0.0; rows * inner];
            cpu::matmul_a_bt::matmul_a_bt(&a, &b, inner, columns, &mut c);
            Case {
                launch: kernels::matmul_a_bt(rows, inner, columns, MARGIN),
                batch,
                before: vec![("a", f32s(a)), ("b", f32s(padded(&b))), ("c", f32s(vec![7.0; rows * inner]))],
                after: vec![("c", f32s(c), Tolerance::of_sum(columns))],
            }
        }
        "bias_add" => {
            let (biases, f) = (draw.normal(inner), draw.normal(rows * inner));
            let mut sums = f.clone();
            cpu::bias_add::bias_add(&biases, &mut sums);
            Case {
                launch: kernels::bias_add(rows, inner, MARGIN),
                batch,
                before: vec![("biases", f32s(padded(&biases))), ("f", f32s(f))],
                after: vec![("f", f32s(sums), exact)],
            }
        }
        "relu" => {
            let mut f = draw.normal(rows * inner);
            f[0] = -0.0;
            let mut h = f.clone();
            cpu::relu::relu(&mut h);
            Case {
                launch: kernels::relu(rows, inner),
                batch,
                before: vec![("f", f32s(f))],
                after: vec![("f", f32s(h), exact)],
            }
        }
        "relu_mask" => {
            let (mut h, d) = (draw.normal(rows * inner), draw.normal(rows * inner));
            cpu::relu::relu(&mut h);
            let mut masked = d.clone();
            cpu::relu_mask::relu_mask(&h, &mut masked);
            Case {
                launch: kernels::relu_mask(rows, inner),
                batch,
                before: vec![("h", f32s(h)), ("d", f32s(d))],
                after: vec![("d", f32s(masked), exact)],
            }
        }
        "row_softmax" => {
            // Values far apart: without the maximum subtracted some overflow, with it some underflow.
            let f: Vec<f32> = draw.normal(rows * inner).into_iter().map(|f| 100.0 + 30.0 * f).collect();
            let mut p = f.clone();
            cpu::row_softmax::row_softmax(inner, &mut p);
            Case {
                launch: kernels::row_softmax(rows, inner),
                batch,
                before: vec![("f", f32s(f)), ("p", f32s(vec![7.0; rows * inner]))],
                after: vec![("p", f32s(p), functions)],
            }
        }
        "cross_entropy" => {
            let mut p = draw.normal(rows * columns);
            cpu::row_softmax::row_softmax(columns, &mut p);
            // One row is all zero, as an underflow makes it.
            p[..columns].fill(0.0);
            let mut losses = vec![0.0; rows];
            let mut confusion = vec![1; columns * columns];
            let start = Values::U32(confusion.clone());
            cpu::cross_entropy::cross_entropy(&p, &labels, &picked, columns, &mut losses, &mut confusion);
            Case {
                launch: kernels::cross_entropy(rows, columns),
                batch,
                before: vec![
                    ("p", f32s(p)),
                    ("labels", Values::U32(labels)),
                    ("order", Values::U32(order)),
                    ("losses", f32s(vec![7.0; rows])),
                    ("confusion", start),
                ],
                after: vec![("losses", f32s(losses), functions), ("confusion", Values::U32(confusion), exact)],
            }
        }
        "cross_entropy_gradient" => {
            let p = draw.normal(rows * columns);
            let mut df = p.clone();
            cpu::cross_entropy_gradient::cross_entropy_gradient(&labels, &picked, columns, &mut df);
            Case {
                launch: kernels::cross_entropy_gradient(rows, columns),
                batch,
                before: vec![("labels", Values::U32(labels)), ("order", Values::U32(order)), ("p", f32s(p))],
                after: vec![("p", f32s(df), exact)],
            }
        }
        "reduce_rows" => {
            let d = draw.normal(rows * inner);
            let mut sums = vec![0.0; inner];
            cpu::reduce_rows::reduce_rows(&d, &mut sums);
            Case {
                launch: kernels::reduce_rows(inner, MARGIN),
                batch,
                before: vec![("d", f32s(d)), ("sums", f32s(vec![7.0; inner + 2 * MARGIN]))],
                after: vec![("sums", f32s(padded(&sums)), Tolerance::of_sum(rows))],
            }
        }
        "sum" => {
            batch.rows = (rows * inner) as u32;
            let values = draw.normal(rows * inner);
            let total = cpu::sum::sum(&values) as f32;
            Case {
                launch: kernels::sum(),
                batch,
                before: vec![("values", f32s(values)), ("totals", f32s(vec![7.0; 3]))],
                after: vec![("totals", f32s(vec![7.0, total, 7.0]), Tolerance::of_sum(rows * inner))],
            }
        }
        "sgd" => {
            let (gradients, parameters) = (draw.normal(rows * inner), draw.normal(rows * inner));
            let mut updated = parameters.clone();
            cpu::sgd::sgd(&gradients, rows, batch.learning_rate, &mut updated);
            let near_one = Tolerance { absolute: f64::from(f32::EPSILON), relative: 4.0 * f64::from(f32::EPSILON) };
            Case {
                launch: kernels::sgd(rows * inner),
                batch,
                before: vec![("gradients", f32s(gradients)), ("parameters", f32s(parameters))],
                after: vec![("parameters", f32s(updated), near_one)],
            }
        }
        "narrow_forward" | "narrow_update" | "narrow_forward_subgroup" | "narrow_update_subgroup" => {
            narrow_case(kernel, &mut draw, batch, (rows, inner, columns), &order[..FIRST + rows])?
        }
        "dense" | "dense_subgroup" | "dense_cooperative" | "dense_cooperative_small" => {
            let sizes = (rows, inner, columns);
            let shape = SHAPES.iter().position(|&shape| shape == sizes).unwrap_or(0);
            return Ok(dense_cases(kernel, hardware, shape, &mut draw, batch, sizes, &order[..FIRST + rows]));
        }
        "output" => return Ok(output_cases(&mut draw, batch, (rows, inner, columns), &order[..FIRST + rows])),
        "resident" => resident_case(&mut draw, (rows, inner, columns), &order[..FIRST + rows])?,
        name => return Err(Error::Check(format!("kernel {name} has no test case"))),
    };
    Ok(vec![case])
}

/// Hardware on which every way to launch a kernel can be taken.
fn any_hardware() -> Hardware {
    Hardware { subgroup: 8, ..Hardware::SOFTWARE }
}

/// Of the `ways` those of `kernel`, by turns: each is taken at some shape.
fn turn(kernel: &Kernel, ways: Vec<Launch>, number: usize) -> Launch {
    let mut fitting: Vec<Launch> = ways.into_iter().filter(|way| way.kernel.name == kernel.name).collect();
    fitting.swap_remove(number % fitting.len())
}

/// A case of a kernel for one narrow hidden layer: expected is what the elementary twins make, one after the other.
fn narrow_case(
    kernel: &Kernel,
    draw: &mut Draw,
    batch: Batch,
    (rows, inner, columns): (usize, usize, usize),
    order: &[u32],
) -> Result<Case> {
    let classes = columns.clamp(2, kernels::NARROW_CLASSES);
    let hidden = 1 + (rows + columns) % kernels::NARROW;
    let floats = rows % 4 == 1;
    let model = Mlp::new(&[inner, hidden, classes])?;
    let inputs = match floats {
        true => Inputs::F32(draw.normal(SOURCE_ROWS * inner)),
        false => Inputs::U8(draw.bytes(SOURCE_ROWS * inner)),
    };
    let samples = Samples::new(inputs, inner, draw.below(classes, SOURCE_ROWS))?;
    let scale = 1.0 / (inner as f32).sqrt();
    let parameters: Vec<f32> = draw.normal(model.parameters()).into_iter().map(|value| scale * value).collect();
    let picked = &order[FIRST..];

    let mut activations = reference::forward(&model, &parameters, &samples.inputs, picked);
    let (mut d1, h) = (activations.swap_remove(2), activations.swap_remove(1));
    cpu::cross_entropy_gradient::cross_entropy_gradient(samples.labels(), picked, classes, &mut d1);
    let mut d0 = vec![0.0; rows * hidden];
    let w1 = &parameters[model.layers()[1].weights.clone()];
    cpu::matmul_a_bt::matmul_a_bt(&d1, w1, hidden, classes, &mut d0);
    cpu::relu_mask::relu_mask(&h, &mut d0);

    let data = match &samples.inputs {
        Inputs::U8(bytes) => Values::Bytes(bytes.clone()),
        Inputs::F32(values) => Values::F32(values.clone()),
    };
    let shape = Narrow { inputs: inner, hidden, classes, floats };
    let f32s = Values::F32;
    let fill = |values: &[f32]| Values::F32(vec![7.0; values.len()]);
    let mut before = vec![("data", data), ("order", Values::U32(order.to_vec()))];
    let sums = Tolerance::of_sum(inner);
    Ok(match kernel.name {
        "narrow_forward" | "narrow_forward_subgroup" => {
            before.extend([
                ("labels", Values::U32(samples.labels().to_vec())),
                ("parameters", f32s(parameters)),
                ("h", fill(&h)),
                ("d0", fill(&d0)),
                ("p", fill(&d1)),
            ]);
            Case {
                launch: turn(kernel, kernels::narrow_forward(rows, shape, true, &any_hardware()), rows + inner),
                batch,
                before,
                after: vec![("h", f32s(h), sums), ("d0", f32s(d0), sums), ("p", f32s(d1), sums)],
            }
        }
        _ => {
            let gradients = reference::gradient(&model, &parameters, &samples, picked);
            let mut updated = parameters.clone();
            cpu::sgd::sgd(&gradients, rows, batch.learning_rate, &mut updated);
            before.extend([("h", f32s(h)), ("d0", f32s(d0)), ("d1", f32s(d1)), ("parameters", f32s(parameters))]);
            let after = vec![("parameters", f32s(updated), Tolerance::of_sum(rows))];
            let ways = kernels::narrow_update(rows, shape, &any_hardware());
            Case { launch: turn(kernel, ways, rows + inner), batch, before, after }
        }
    })
}

/// The products of a dense layer: expected is what the elementary twins make, one after the other.
fn dense_cases(
    kernel: &Kernel,
    hardware: &Hardware,
    shape: usize,
    draw: &mut Draw,
    batch: Batch,
    (rows, inputs, outputs): (usize, usize, usize),
    order: &[u32],
) -> Vec<Case> {
    let picked = &order[FIRST..];
    let f32s = Values::F32;
    // The layer lies where its rows start at whole vectors, and where they do not.
    let offset = if rows % 2 == 0 { 4 } else { MARGIN };
    let scale = 1.0 / (inputs as f32).sqrt();
    let cooperative = hardware.cooperative.filter(|_| kernel.name.starts_with("dense_cooperative"));
    // Operands that 16 bits hold exactly: then the products are exact too, however a driver rounds.
    let operand = |values: Vec<f32>| match cooperative {
        Some(_) => values.into_iter().map(|value| (value * 256.0).round() / 256.0).collect(),
        None => values,
    };
    let weights = operand(draw.normal(inputs * outputs).into_iter().map(|weight| scale * weight).collect());
    let biases = draw.normal(outputs);
    let flat = |weights: &[f32], biases: &[f32]| {
        let mut all = vec![7.0; offset];
        all.extend_from_slice(weights);
        all.extend_from_slice(biases);
        all.extend([7.0; MARGIN]);
        all
    };
    let parameters = flat(&weights, &biases);
    let mut bytes = draw.bytes(SOURCE_ROWS * inputs);
    if cooperative.is_some() {
        bytes.iter_mut().for_each(|byte| *byte = 255 * (*byte & 1));
    }
    let floats = operand(draw.normal(SOURCE_ROWS * inputs));
    let activations = operand(draw.normal(rows * inputs));
    let (df, mut h) = (operand(draw.normal(rows * outputs)), draw.normal(rows * inputs));
    cpu::relu::relu(&mut h);
    let fill = |values: &[f32]| Values::F32(vec![7.0; values.len()]);
    let mut cases = Vec::new();
    let mut add = |product, source, a: Values, b: Vec<f32>, c: Values, expected: Vec<f32>, terms| {
        let layer = Dense { inputs, outputs, offset, source };
        let launch = turn(
            kernel,
            kernels::dense(product, layer, rows, &Hardware { cooperative, ..any_hardware() }),
            shape + cases.len(),
        );
        let buffers = vec![
            ("a", a.clone()),
            ("a4", a),
            ("b", f32s(b.clone())),
            ("b4", f32s(b)),
            ("order", Values::U32(order.to_vec())),
            ("h", f32s(h.clone())),
            ("c", c),
        ];
        let after = vec![("c", f32s(expected), Tolerance::of_sum(terms))];
        cases.push(Case { launch, batch, before: buffers, after });
    };

    for source in [Source::Activations, Source::Bytes, Source::Floats] {
        let mut x = vec![0.0; rows * inputs];
        let a = match source {
            Source::Activations => {
                x.copy_from_slice(&activations);
                f32s(activations.clone())
            }
            Source::Bytes => {
                cpu::gather_u8::gather_u8(&bytes, picked, inputs, &mut x);
                Values::Bytes(bytes.clone())
            }
            Source::Floats => {
                cpu::gather_f32::gather_f32(&floats, picked, inputs, &mut x);
                f32s(floats.clone())
            }
        };
        let mut f = vec![0.0; rows * outputs];
        cpu::matmul::matmul(&x, &weights, inputs, outputs, &mut f);
        cpu::bias_add::bias_add(&biases, &mut f);
        let relu = source != Source::Activations;
        if relu {
            cpu::relu::relu(&mut f);
        }
        add(Product::Forward { relu }, source, a.clone(), parameters.clone(), fill(&f), f, inputs);

        let mut gradient = vec![0.0; (inputs + 1) * outputs];
        let (of_weights, of_biases) = gradient.split_at_mut(inputs * outputs);
        cpu::matmul_at_b::matmul_at_b(&x, &df, inputs, outputs, of_weights);
        cpu::reduce_rows::reduce_rows(&df, of_biases);
        let mut updated = [&weights[..], &biases].concat();
        cpu::sgd::sgd(&gradient, rows, batch.learning_rate, &mut updated);
        let (weights, biases) = updated.split_at(inputs * outputs);
        let expected = flat(weights, biases);
        add(Product::Update, source, a, df.clone(), f32s(parameters.clone()), expected, rows);
    }
    let mut dh = vec![0.0; rows * inputs];
    cpu::matmul_a_bt::matmul_a_bt(&df, &weights, inputs, outputs, &mut dh);
    cpu::relu_mask::relu_mask(&h, &mut dh);
    add(Product::InputGradient, Source::Activations, f32s(df.clone()), parameters.clone(), fill(&dh), dh, outputs);
    cases
}

/// `output`, in training and not, with rows for one workgroup and for several of them.
fn output_cases(
    draw: &mut Draw,
    batch: Batch,
    (rows, inputs, outputs): (usize, usize, usize),
    order: &[u32],
) -> Vec<Case> {
    let picked = &order[FIRST..];
    let f32s = Values::F32;
    let scale = 1.0 / (inputs as f32).sqrt();
    let weights: Vec<f32> = draw.normal(inputs * outputs).into_iter().map(|weight| scale * weight).collect();
    let biases = draw.normal(outputs);
    let mut parameters = vec![7.0; MARGIN];
    parameters.extend_from_slice(&weights);
    parameters.extend_from_slice(&biases);
    let labels = draw.below(outputs, SOURCE_ROWS);
    let bytes = draw.bytes(SOURCE_ROWS * inputs);
    let mut h = draw.normal(rows * inputs);
    cpu::relu::relu(&mut h);
    let mut cases = Vec::new();
    for (source, training) in [Source::Activations, Source::Bytes].into_iter().flat_map(|s| [(s, true), (s, false)]) {
        let (x, a) = match source {
            Source::Activations => (h.clone(), f32s(h.clone())),
            _ => {
                let mut x = vec![0.0; rows * inputs];
                cpu::gather_u8::gather_u8(&bytes, picked, inputs, &mut x);
                (x, Values::Bytes(bytes.clone()))
            }
        };
        let mut p = vec![0.0; rows * outputs];
        cpu::matmul::matmul(&x, &weights, inputs, outputs, &mut p);
        cpu::bias_add::bias_add(&biases, &mut p);
        cpu::row_softmax::row_softmax(outputs, &mut p);
        let (mut losses, mut confusion) = (vec![7.0; rows], vec![1; outputs * outputs]);
        let mut c = vec![7.0; rows * inputs];
        if training {
            cpu::cross_entropy_gradient::cross_entropy_gradient(&labels, picked, outputs, &mut p);
            if source == Source::Activations {
                c.fill(0.0);
                cpu::matmul_a_bt::matmul_a_bt(&p, &weights, inputs, outputs, &mut c);
                cpu::relu_mask::relu_mask(&x, &mut c);
            }
        } else {
            cpu::cross_entropy::cross_entropy(&p, &labels, picked, outputs, &mut losses, &mut confusion);
        }
        let layer = Dense { inputs, outputs, offset: MARGIN, source };
        let sums = Tolerance::of_sum(inputs);
        let ways = kernels::output(rows, layer, training, &any_hardware());
        cases.push(Case {
            launch: turn(&kernels::OUTPUT, ways, rows + cases.len()),
            batch,
            before: vec![
                ("a", a.clone()),
                ("b", f32s(parameters.clone())),
                ("labels", Values::U32(labels.clone())),
                ("order", Values::U32(order.to_vec())),
                ("p", f32s(vec![7.0; rows * outputs])),
                ("c", f32s(vec![7.0; rows * inputs])),
                ("losses", f32s(vec![7.0; rows])),
                ("confusion", Values::U32(vec![1; outputs * outputs])),
            ],
            after: vec![
                ("p", f32s(p.clone()), sums),
                ("c", f32s(c.clone()), Tolerance::of_sum(inputs + outputs)),
                ("losses", f32s(losses.clone()), Tolerance::of_sum(inputs)),
                ("confusion", Values::U32(confusion.clone()), Tolerance::EXACT),
            ],
        });
    }
    cases
}

/// `resident` over three batches, the last short.
fn resident_case(draw: &mut Draw, (rows, inner, columns): (usize, usize, usize), order: &[u32]) -> Result<Case> {
    let classes = columns.clamp(2, 12);
    let hidden = 1 + (rows + columns) % kernels::RESIDENT;
    // So that it fits the workgroup memory of every WebGPU device.
    let inputs = inner.min(2300 / hidden.next_multiple_of(4));
    let model = Mlp::new(&[inputs, hidden, classes])?;
    let batch_size = rows.div_ceil(3).min(32);
    let rows = (3 * batch_size - 1).min(rows);
    let picked = &order[FIRST..FIRST + rows];
    let floats = rows % 4 == 1;
    let rows_data = match floats {
        true => Inputs::F32(draw.normal(SOURCE_ROWS * inputs)),
        false => Inputs::U8(draw.bytes(SOURCE_ROWS * inputs)),
    };
    let samples = Samples::new(rows_data, inputs, draw.below(classes, SOURCE_ROWS))?;
    let scale = 1.0 / (inputs as f32).sqrt();
    let parameters: Vec<f32> = draw.normal(model.parameters()).into_iter().map(|value| scale * value).collect();
    let mut updated = parameters.clone();
    for part in picked.chunks(batch_size) {
        let gradients = reference::gradient(&model, &updated, &samples, part);
        cpu::sgd::sgd(&gradients, part.len(), 0.15, &mut updated);
    }
    let data = match &samples.inputs {
        Inputs::U8(bytes) => Values::Bytes(bytes.clone()),
        Inputs::F32(values) => Values::F32(values.clone()),
    };
    let before = vec![
        ("data", data),
        ("order", Values::U32(order.to_vec())),
        ("labels", Values::U32(samples.labels().to_vec())),
        ("parameters", Values::F32(parameters)),
    ];
    let after = vec![("parameters", Values::F32(updated), Tolerance::of_sum(inputs + rows))];
    let batch = Batch { first: FIRST as u32, rows: rows as u32, index: 0, learning_rate: 0.15 };
    Ok(Case { launch: kernels::resident(Narrow { inputs, hidden, classes, floats }, batch_size), batch, before, after })
}

/// All there is to check on `device`'s adapter: every kernel, every plan, and where it has cooperative matrices the kernels
/// and plans that use them.
///
/// # Errors
/// What the device fails with.
pub fn gpu(device: &Device) -> Result<Vec<Row>> {
    let mut rows = kernels(device, REGISTRY)?;
    rows.extend(plans(device)?);
    if device.hardware.cooperative.is_none() && cooperative(&device.adapter).is_some() {
        rows.extend(mixed(&pollster::block_on(Device::open(&device.adapter, Precision::Mixed))?)?);
    }
    Ok(rows)
}

/// The kernels and plans of mixed precision on `device`, which was opened for it.
///
/// # Errors
/// What the device fails with.
pub fn mixed(device: &Device) -> Result<Vec<Row>> {
    let mut rows = kernels(device, &[&kernels::DENSE_COOPERATIVE, &kernels::DENSE_COOPERATIVE_SMALL])?;
    rows.extend(plans(device)?);
    Ok(rows)
}

/// Every kernel of the registry that runs on `device` against its twin, at each shape.
///
/// # Errors
/// What the device fails with, naming the kernel.
pub fn kernels(device: &Device, registry: &[&'static Kernel]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &kernel in registry {
        if !kernel.runs_on(&device.hardware) {
            continue;
        }
        for &shape in SHAPES {
            for case in cases(kernel, &device.hardware, shape)? {
                rows.extend(pollster::block_on(run_case(device, kernel, shape, case))?);
            }
        }
    }
    Ok(rows)
}

async fn run_case(
    device: &Device,
    kernel: &'static Kernel,
    shape: (usize, usize, usize),
    case: Case,
) -> Result<Vec<Row>> {
    let buffers = case
        .before
        .iter()
        .map(|(name, values)| {
            let bytes = values.bytes();
            let buffer = device.storage(name, bytes.len() as u64)?;
            device.queue.write_buffer(&buffer, 0, &bytes);
            Ok((*name, buffer))
        })
        .collect::<Result<Vec<_>>>()?;
    // The kernel that was passed, also where it is not the registry's of that name.
    let launch = Launch { kernel, ..case.launch };
    gpu::run_once(device, &launch, &buffers, case.batch).await?;

    let mut rows = Vec::new();
    for (name, expected, tolerance) in case.after {
        let buffer = buffers.iter().find(|(bound, _)| *bound == name).map(|(_, buffer)| buffer);
        let buffer = buffer.ok_or_else(|| Error::Check(format!("kernel {}: no buffer {name}", kernel.name)))?;
        let bytes = device.read(&[(buffer, expected.bytes().len() as u64)]).await?.concat();
        let comparison = match expected {
            Values::F32(expected) => compare(&values::<f32>(&bytes), &expected, tolerance),
            Values::U32(expected) => {
                let as_f32 = |values: &[u32]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
                compare(&as_f32(&values::<u32>(&bytes)), &as_f32(&expected), tolerance)
            }
            Values::Bytes(_) => return Err(Error::Check(format!("kernel {}: writes bytes", kernel.name))),
        };
        let (m, k, n) = shape;
        let shape = format!("{m} x {k} x {n}");
        rows.push(Row { name: kernel.name.into(), shape, what: name, tolerance, comparison });
    }
    Ok(rows)
}

/// A network and the data that a whole plan is tried on.
struct Trial {
    widths: &'static [usize],
    batch_size: usize,
    kind: Kind,
    /// Steps of the long comparison.
    steps: usize,
}

/// What the rows are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    /// Bytes of which most are 0, as in images of digits.
    SparseBytes,
    Floats,
}

const fn trial(widths: &'static [usize], batch_size: usize, kind: Kind) -> Trial {
    Trial { widths, batch_size, kind, steps: 300 }
}

/// No, one and two hidden layers, batches of one row, of all rows, and with a short last one.
const TRIALS: &[Trial] = &[
    trial(&[64, 10], 32, Kind::Bytes),
    trial(&[64, 10], 32, Kind::Floats),
    trial(&[64, 7, 10], 32, Kind::Bytes),
    trial(&[64, 7, 10], 32, Kind::SparseBytes),
    trial(&[64, 7, 10], 32, Kind::Floats),
    trial(&[64, 7, 10], 1, Kind::Bytes),
    trial(&[33, 31, 32, 3], 48, Kind::SparseBytes),
    trial(&[33, 31, 32, 3], 48, Kind::Floats),
    trial(&[100, 65, 17, 2], 100, Kind::Bytes),
    trial(&[36, 64, 12, 70], 20, Kind::Bytes),
    Trial { widths: &[784, 7, 10], batch_size: 64, kind: Kind::SparseBytes, steps: 20 },
    trial(&[100, 65, 17, 2], 100, Kind::Floats),
];

/// Shapes at which the CPU's engine changes its ways.
const CPU_TRIALS: &[Trial] = &[
    trial(&[70, 16, 9, 12], 33, Kind::SparseBytes),
    trial(&[70, 17, 10], 7, Kind::SparseBytes),
    Trial { widths: &[784, 128, 10], batch_size: 64, kind: Kind::SparseBytes, steps: 20 },
    Trial { widths: &[784, 150, 80, 10], batch_size: 40, kind: Kind::SparseBytes, steps: 20 },
    Trial { widths: &[200, 150, 80, 40], batch_size: 40, kind: Kind::Floats, steps: 20 },
    // Few rows or columns a thread.
    trial(&[20, 64, 32, 6], 8, Kind::Floats),
    trial(&[30, 48, 17, 5], 9, Kind::Bytes),
    trial(&[12, 130, 70], 1, Kind::Floats),
    // Columns divided, also inside a panel.
    trial(&[120, 208, 10], 20, Kind::SparseBytes),
    trial(&[40, 208, 200], 20, Kind::Floats),
    trial(&[30, 7, 208, 12], 10, Kind::Bytes),
    // Narrow before wide.
    trial(&[70, 7, 40, 12, 20], 33, Kind::SparseBytes),
];

/// Rows of the training part: the last batch of 32 or 48 is short.
const ROWS: usize = 100;

/// A data set that can be learnt: each class has a pattern of its own, with noise on top.
fn samples(width: usize, classes: usize, rows: usize, kind: Kind, seed: u64) -> Result<Samples> {
    let mut patterns = Draw(random::weights(classes as u64));
    let patterns = patterns.normal(width * classes);
    let mut draw = Draw(random::weights(seed));
    let labels = draw.below(classes, rows);
    let noise = draw.normal(rows * width);
    let pairs = (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
    let values = pairs.map(|(row, column)| {
        let pattern = patterns[labels[row] as usize * width + column];
        let value = 0.5 + 0.15 * pattern + 0.15 * noise[row * width + column];
        if kind == Kind::SparseBytes && pattern < 0.8 { 0.0 } else { value }
    });
    let inputs = match kind {
        Kind::Floats => Inputs::F32(values.collect()),
        _ => Inputs::U8(values.map(|value| (value * 255.0).clamp(0.0, 255.0) as u8).collect()),
    };
    Samples::new(inputs, width, labels)
}

/// Every plan on `device` against the composition of the twins: all parameters after one step, loss and parameters after
/// some hundred, and the same bits from two runs.
///
/// # Errors
/// What the device fails with.
pub fn plans(device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for trial in TRIALS {
        let model = Mlp::new(trial.widths)?;
        // With mixed precision only what it changes.
        let changed = |plan: PlanName| {
            let step = Plan::step(plan, &model, Element::F32, trial.batch_size, &device.hardware);
            device.hardware.cooperative.is_none() || step.precision() == Precision::Mixed
        };
        let runs = |plan: PlanName| plan.check(&model, trial.batch_size, &device.hardware).is_ok();
        for plan in PlanName::ALL.into_iter().filter(|&plan| runs(plan) && changed(plan)) {
            let open = || pollster::block_on(Gpu::new(device.clone(), model.clone(), trial.batch_size, Some(plan)));
            rows.extend(plan_rows(&mut open()?, &mut open()?, trial)?);
        }
    }
    Ok(rows)
}

/// The same of the CPU backend, with this machine's vector instructions and without, on one thread and on more: the
/// results must not depend on the number of threads.
///
/// # Errors
/// When threads cannot be started.
pub fn cpu() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, trial) in TRIALS.iter().chain(CPU_TRIALS).enumerate() {
        for (index, vectors) in Vectors::all().into_iter().enumerate() {
            let open = |threads| Cpu::with_vectors(Mlp::new(trial.widths)?, trial.batch_size, threads, vectors);
            let threads = [2, 3, 4, 7][(number + index) % 4];
            rows.extend(plan_rows(&mut open(1)?, &mut open(threads)?, trial)?);
        }
    }
    Ok(rows)
}

fn plan_rows(first: &mut dyn Backend, second: &mut dyn Backend, trial: &Trial) -> Result<Vec<Row>> {
    let &Trial { widths, batch_size, kind, steps } = trial;
    let model = Mlp::new(widths)?;
    let (train, test) = (
        samples(model.inputs(), model.classes(), ROWS, kind, 1)?,
        samples(model.inputs(), model.classes(), 37, kind, 2)?,
    );
    let initial = model.initial_parameters(Init::He, 5);
    let mut reference = Reference::new(model.clone(), batch_size);
    let kind = match kind {
        Kind::Bytes => "u8",
        Kind::SparseBytes => "sparse u8",
        Kind::Floats => "f32",
    };
    let shape = format!("{model} b{batch_size} {kind}");
    let mut rows = Vec::new();
    let mut name = format!("plan {}", first.plan());
    let mut push = |name: &str, what, tolerance, actual: &[f32], expected: &[f32]| {
        let comparison = compare(actual, expected, tolerance);
        rows.push(Row { name: name.to_owned(), shape: shape.clone(), what, tolerance, comparison });
    };

    let mut backends: [&mut dyn Backend; 3] = [&mut reference, first, second];
    for backend in &mut backends {
        backend.upload(Split::Train, &train)?;
        backend.upload(Split::Test, &test)?;
        backend.set_parameters(&initial)?;
        backend.train(&random::order(3, 0, ROWS as u32)[..batch_size], 0.1)?;
    }
    let [reference, first, second] = backends;
    // Rounding differs, and training lets small differences grow.
    let mut one_step = Tolerance { absolute: 1e-6, relative: 1e-5 };
    let mut many_steps = Tolerance { absolute: 1e-4, relative: 1e-3 };
    if first.precision() == Precision::Mixed {
        name += " mixed";
        // Operands have 11 significant bits: 2^13 times the error of f32, a half of it at a time. Which way a driver
        // rounds is its own choice, so no twin can do the same.
        one_step = Tolerance { absolute: 1e-3, relative: 1e-2 };
        many_steps = Tolerance { absolute: 5e-2, relative: 5e-2 };
    }
    push(&name, "1 step", one_step, &first.parameters()?, &reference.parameters()?);

    for epoch in 0..(steps * batch_size).div_ceil(ROWS) {
        let order = random::order(3, 1 + epoch as u64, ROWS as u32);
        for backend in [&mut *reference, &mut *first, &mut *second] {
            backend.train(&order, 0.1)?;
        }
    }
    let parameters = first.parameters()?;
    let expected = reference.parameters()?;
    if first.precision() == Precision::Mixed {
        // A unit that rounding turns on or off takes its own weights far, but few of all: what counts is the distance in
        // all, as a share of the way that training went.
        let between = |a: &[f32], b: &[f32]| norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>());
        let share = between(&parameters, &expected) / between(&expected, &initial);
        push(&name, "many steps, apart", Tolerance { absolute: 5e-2, relative: 0.0 }, &[share as f32], &[0.0]);
    } else {
        push(&name, "many steps", many_steps, &parameters, &expected);
    }
    for (what, split) in [("train loss", Split::Train), ("test loss", Split::Test)] {
        let [actual, expected] = [first.evaluate(split)?, reference.evaluate(split)?];
        push(&name, what, many_steps, &[actual.mean_loss() as f32], &[expected.mean_loss() as f32]);
    }
    push(&name, "predict", many_steps, &first.predict(&test.inputs)?, &reference.predict(&test.inputs)?);
    push(&name, "same bits", Tolerance::EXACT, &parameters, &second.parameters()?);
    Ok(rows)
}
