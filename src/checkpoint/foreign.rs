//! Models of other software: safetensors files whose linear layers are found by shapes and names. What a file leaves open is
//! assumed and told, or refused where a wrong guess would be a wrong model.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::SafeTensors;

use self::fold::Layer;
use self::modules::{Linear, Modules, Norm};
use self::names::Role;
use self::place::Place;
use super::{Checkpoint, Metadata, transpose_onto};
use crate::data::{Scaling, Task};
use crate::error::{Error, Remedy, Result};
use crate::model::{Activation, Mlp};
use crate::state::State;

mod chain;
mod fold;
pub(super) mod kinds;
mod modules;
mod names;
mod place;

/// How a file of other software is read, where it does not say it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Names of its layers in their order, and of its batch norms at their places; [`ACTIVATION`] stands for the activation
    /// where a norm stands behind it. By default shapes and names say it. Layers that are not named are left out.
    pub layers: Vec<String>,
    /// The activation of its hidden layers; by default ReLU.
    pub activation: Option<Activation>,
    /// The scaling that its inputs had in training; by default none.
    pub normalize: Option<Normalize>,
    /// What its outputs are; by default classes, of which one output stands for two.
    pub task: Option<Task>,
}

/// The word for an activation among the names of layers.
pub const ACTIVATION: &str = "activation";

/// Inputs that a model takes as `(x - mean) / deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// The mean of the values.
    pub mean: f64,
    /// Their standard deviation, not 0.
    pub deviation: f64,
}

impl Reading {
    /// Whether it says anything that only files of other software leave open.
    pub(super) fn is_for_others(&self) -> bool {
        !self.layers.is_empty() || self.activation.is_some() || self.normalize.is_some()
    }
}

/// Something that was taken for so in reading a file, and what says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumption {
    /// What was assumed, in a line.
    pub what: String,
    /// What overrules it.
    pub remedy: Option<Remedy>,
}

impl Assumption {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None }
    }

    pub(super) fn unless(what: impl Into<String>, remedy: Remedy) -> Self {
        Self { what: what.into(), remedy: Some(remedy) }
    }
}

/// What is wrong with a file: what was found, what was expected, what would help.
#[derive(Debug)]
struct Fault {
    found: String,
    expected: String,
    remedies: Vec<Remedy>,
}

impl Fault {
    fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into(), remedies: Vec::new() }
    }

    fn advise(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    fn about(self, path: &Path) -> Error {
        let error = Error::file(path, self.found, self.expected);
        if self.remedies.is_empty() { error } else { error.advise(&self.remedies) }
    }
}

/// The layers of a file, with all that is worked into them, and what was assumed.
pub(super) struct Found {
    layers: Vec<Layer>,
    assumed: Vec<Assumption>,
}

/// Reads the layers in `file`, which lies at `path`.
///
/// # Errors
/// [`Error::File`] for tensors that are no perceptron, or whose order is open.
pub(super) fn read(path: &Path, file: &SafeTensors<'_>, reading: &Reading) -> Result<Found> {
    let mut assumed = Vec::new();
    let layers = layers(file, reading, &mut assumed).map_err(|fault| fault.about(path))?;
    Ok(Found { layers, assumed })
}

/// The model of the layers that were `found` at `path`. `activation` is what the file's metadata say.
///
/// # Errors
/// [`Error::File`] for layers that cannot be run.
pub(super) fn model(
    path: &Path,
    found: Found,
    activation: Option<Activation>,
    reading: &Reading,
) -> Result<Checkpoint> {
    let Found { layers, mut assumed } = found;
    let mut widths = vec![layers[0].inputs];
    widths.extend(layers.iter().map(|layer| layer.outputs));
    let model = Mlp::new(&widths).map_err(|error| Error::file(path, error.to_string(), "a network that can be run"))?;
    let known = reading.activation.or(activation);
    if known.is_none() && layers.len() > 1 {
        assumed.push(relu());
    }
    let mut parameters = Vec::with_capacity(model.parameters());
    for layer in layers {
        transpose_onto(&mut parameters, layer.outputs, layer.inputs, |index| layer.weights[index]);
        parameters.extend(layer.bias);
    }
    if parameters.iter().any(|value| !value.is_finite()) {
        return Err(Error::file(path, "weights too large once batch norms are worked in", "finite numbers"));
    }
    let model = model.with_activation(known.unwrap_or_default());
    undescribed(path, Bare { model, parameters, scaling: None, targets: None, assumed }, reading.task)
}

/// That nothing says the activation.
pub(super) fn relu() -> Assumption {
    let what = "ReLU is assumed between the layers, as the file names no activation";
    Assumption::unless(what, Remedy::Activation)
}

/// A model of which a file says no more than this.
pub(super) struct Bare {
    pub(super) model: Mlp,
    pub(super) parameters: Vec<f32>,
    /// The scaling of its inputs.
    pub(super) scaling: Option<Scaling>,
    /// The means and deviations of the values that it predicts.
    pub(super) targets: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) assumed: Vec<Assumption>,
}

/// The model `bare` of the file at `path`: of values where the file or `task` says so, else of at least two classes.
///
/// # Errors
/// [`Error::File`] for one output behind scaled inputs, which nothing says to be a value.
pub(super) fn undescribed(path: &Path, bare: Bare, task: Option<Task>) -> Result<Checkpoint> {
    let Bare { model, parameters, scaling, targets, mut assumed } = bare;
    let outputs = model.outputs();
    let plain = || (task == Some(Task::Values)).then(|| (vec![0.0; outputs], vec![1.0; outputs]));
    let targets = targets.or_else(plain);
    let one = outputs == 1;
    if one && targets.is_none() && scaling.is_some() {
        let error = Error::file(path, "a single output, and no word on what it is", "two classes or more");
        return Err(error.advise(&[Remedy::Values]));
    }
    if scaling.is_some() || targets.is_some() {
        let metadata = Metadata::bare(&model, scaling, targets);
        let (widths, front) = (model.widths().to_vec(), model.front().clone());
        let layers = super::Layers { widths, front, parameters };
        return Ok(Checkpoint { assumed, ..super::described(path, layers, metadata)? });
    }
    if one {
        let what = "its one output is taken for the sigmoid of two classes, 0 and 1";
        assumed.push(Assumption::unless(what, Remedy::Values));
    }
    let state = State { parameters, ..State::default() };
    let found = Checkpoint { name: path.display().to_string(), model, state, metadata: None, assumed };
    Ok(if one { found.with_two_classes().unwrap_or(found) } else { found })
}

/// The layers of `file` in order, with all that is worked into them.
fn layers(file: &SafeTensors<'_>, reading: &Reading, assumed: &mut Vec<Assumption>) -> Result<Vec<Layer>, Fault> {
    let named = (!reading.layers.is_empty()).then(|| Named::new(file, &reading.layers)).transpose()?;
    let wanted = named.as_ref().map(|named| |path: &[String]| named.wants(path));
    let mut modules = modules::read(file, wanted.as_ref().map(|wanted| wanted as modules::Wanted<'_>))?;
    for (what, tensors) in std::mem::take(&mut modules.left) {
        assumed.push(Assumption::new(format!("left out: {what} ({})", shortened(&tensors))));
    }
    if modules.linears.is_empty() {
        let found = format!("{} tensors and no linear layer", file.len());
        return Err(Fault::new(found, "a weight for each linear layer"));
    }
    let (order, flips) = match &named {
        Some(named) => named.order(&modules)?,
        None => order(&modules, assumed)?,
    };
    let places = named.as_ref().map(|named| named.places(&modules)).transpose()?.flatten();
    let flipped = |linear: &Linear| flips[usize::from(linear.role == Role::Kernel)];
    tell_orientation(&modules, &flipped, assumed);
    let Modules { linears, norms, .. } = modules;
    let mut linears: Vec<Option<Linear>> = linears.into_iter().map(Some).collect();
    let mut layers = Vec::new();
    for linear in order.iter().filter_map(|&index| linears[index].take()) {
        let flip = flipped(&linear);
        let ((inputs, outputs), bias) = (linear.shape(flip), linear.bias.clone());
        let (name, path) = (linear.name.clone(), linear.path.clone());
        let bias = bias.unwrap_or_else(|| vec![0.0; outputs]);
        layers.push(Layer { name, path, inputs, outputs, weights: linear.outputs_first(flip), bias });
    }
    fold_norms(&norms, places, &mut layers, assumed)?;
    if let (Some(normalize), Some(first)) = (reading.normalize, layers.first_mut()) {
        fold::normalize(normalize, first);
        let Normalize { mean, deviation } = normalize;
        assumed
            .push(Assumption::new(format!("inputs are normalised by (x - {mean}) / {deviation}, in the first layer")));
    }
    Ok(layers)
}

/// The order of all linear layers of `modules`, and for weights and kernels whether they are `inputs x outputs`.
fn order(modules: &Modules, assumed: &mut Vec<Assumption>) -> Result<(Vec<usize>, [bool; 2]), Fault> {
    let linears = &modules.linears;
    if linears.len() > chain::MOST {
        return Err(Fault::new(format!("{} linear layers", linears.len()), format!("at most {}", chain::MOST)));
    }
    let before = |a: usize, b: usize| names::order(&linears[a].path, &linears[b].path) == Some(Ordering::Less);
    let all = orientations(modules)?;
    let shapes = |flips: [bool; 2]| shapes(linears, flips);
    // What names and shapes say together comes first; where names contradict the shapes, these alone must say it.
    let mut open = None;
    for &flips in &all {
        let by_names = chain::orders(&shapes(flips), before, 2);
        if let [order] = &by_names[..] {
            let alone = chain::orders(&shapes(flips), |_, _| false, 2).len() == 1;
            let why = if alone {
                "the one order that fits their shapes"
            } else {
                "of the orders that fit their shapes, that of their names"
            };
            let remedy = (!alone).then_some(Remedy::NamedLayers);
            assumed.push(Assumption { remedy, ..told(linears, order, flips, why) });
            return Ok((order.clone(), flips));
        }
        let fitting = chain::orders(&shapes(flips), |_, _| false, 4);
        if !fitting.is_empty() {
            open.get_or_insert((flips, fitting));
        }
    }
    match open {
        Some((flips, orders)) if orders.len() == 1 => {
            assumed.push(told(linears, &orders[0], flips, "the one order that fits their shapes"));
            Ok((orders[0].clone(), flips))
        }
        Some((_, orders)) => {
            let listed: Vec<String> = orders.iter().take(3).map(|order| named(linears, order)).collect();
            let more = if orders.len() > 3 { "; ..." } else { "" };
            let found =
                format!("{} linear layers that fit in several orders ({}{more})", linears.len(), listed.join("; "));
            Err(Fault::new(found, "shapes or names that say one").advise(Remedy::NamedLayers))
        }
        None => Err(unchained(modules, &all)),
    }
}

/// The ways in which weights and kernels may lie, the likeliest first.
fn orientations(modules: &Modules) -> Result<Vec<[bool; 2]>, Fault> {
    let ways = |said: Option<bool>, usual: bool| said.map_or(vec![usual, !usual], |said| vec![said]);
    let weights = ways(modules.transposed(Role::Weight)?, false);
    let kernels = ways(modules.transposed(Role::Kernel)?, true);
    Ok(weights.iter().flat_map(|&weight| kernels.iter().map(move |&kernel| [weight, kernel])).collect())
}

fn shapes(linears: &[Linear], flips: [bool; 2]) -> Vec<(usize, usize)> {
    linears.iter().map(|linear| linear.shape(flips[usize::from(linear.role == Role::Kernel)])).collect()
}

/// The names of layers in an order.
fn named(linears: &[Linear], order: &[usize]) -> String {
    order.iter().map(|&index| &linears[index].name[..]).collect::<Vec<_>>().join(", ")
}

fn told(linears: &[Linear], order: &[usize], flips: [bool; 2], why: &str) -> Assumption {
    let shapes = shapes(linears, flips);
    let mut widths = vec![shapes[order[0]].0.to_string()];
    widths.extend(order.iter().map(|&index| shapes[index].1.to_string()));
    let what = format!("layers {} ({}): {why}", named(linears, order), widths.join("-"));
    Assumption::new(what)
}

/// Why layers are no chain: several networks in one file, or shapes that do not fit.
fn unchained(modules: &Modules, orientations: &[[bool; 2]]) -> Fault {
    let linears = &modules.linears;
    let shapes = shapes(linears, orientations[0]);
    // Networks are told apart by the first part in which names differ.
    let differs = (0..).find(|&depth| {
        let first = linears[0].path.get(depth);
        first.is_none() || linears.iter().any(|linear| linear.path.get(depth) != first)
    });
    let depth = differs.unwrap_or(0);
    let mut networks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, linear) in linears.iter().enumerate() {
        networks.entry(linear.path.get(depth).map_or("", |part| part)).or_default().push(index);
    }
    let is_chain = |layers: &Vec<usize>| {
        let shapes: Vec<(usize, usize)> = layers.iter().map(|&index| shapes[index]).collect();
        layers.len() > 1 && !chain::orders(&shapes, |_, _| false, 1).is_empty()
    };
    if networks.len() > 1 && networks.values().all(is_chain) {
        let names: Vec<&str> = networks.keys().copied().collect();
        let found = format!("{} networks ({})", names.len(), names.join(", "));
        return Fault::new(found, "one network").advise(Remedy::NamedLayers);
    }
    let each =
        |(linear, (inputs, outputs)): (&Linear, (usize, usize))| format!("{} {inputs} to {outputs}", linear.name);
    let listed: Vec<String> = linears.iter().zip(shapes).map(each).collect();
    let found = format!("linear layers that make no chain ({})", shortened(&listed));
    Fault::new(found, "layers each of which takes what the one before it gives").advise(Remedy::NamedLayers)
}

/// Tells how weights lie where that is not PyTorch's way, and which layers have no bias.
fn tell_orientation(modules: &Modules, flipped: &dyn Fn(&Linear) -> bool, assumed: &mut Vec<Assumption>) {
    let linears = &modules.linears;
    let names = |wanted: &dyn Fn(&Linear) -> bool| -> Vec<String> {
        linears.iter().filter(|linear| wanted(linear)).map(|linear| linear.name.clone()).collect()
    };
    let transposed = names(flipped);
    if !transposed.is_empty() {
        let what = format!("weights are inputs x outputs and are transposed ({})", shortened(&transposed));
        assumed.push(Assumption::new(what));
    }
    let unbiased = names(&|linear| linear.bias.is_none());
    if !unbiased.is_empty() {
        assumed.push(Assumption::new(format!("no bias is a bias of 0 ({})", shortened(&unbiased))));
    }
}

/// Works the batch norms into the layers, at `places` if they are given.
fn fold_norms(
    norms: &[Norm],
    places: Option<Vec<Place>>,
    layers: &mut [Layer],
    assumed: &mut Vec<Assumption>,
) -> Result<(), Fault> {
    let named = places.is_some();
    let found: Vec<Option<Place>> = match places {
        Some(places) => places.into_iter().map(Some).collect(),
        None => place::places(norms, layers),
    };
    for (index, (norm, place)) in norms.iter().zip(&found).enumerate() {
        if let Some(other) = (0..index).find(|&other| place.is_some() && found[other] == *place) {
            let found = format!("BatchNorms {} and {} at one place", norms[other].name, norm.name);
            let fault = Fault::new(found, "at most one at each side of a layer");
            return Err(if named { fault } else { fault.advise(Remedy::NamedLayers) });
        }
        let width = norm.mean.len();
        let Some(place) = *place else {
            let found = format!("a BatchNorm {} of {width} units, whose place its name leaves open", norm.name);
            return Err(Fault::new(found, "a place beside a linear layer of that width").advise(Remedy::NamedLayers));
        };
        let (what, layer, its) = match place {
            Place::Behind(layer) if layer + 1 == layers.len() => ("behind", layer, layers[layer].outputs),
            Place::Behind(layer) => ("directly behind, before the activation", layer, layers[layer].outputs),
            Place::Before(0) => ("before", 0, layers[0].inputs),
            Place::Before(layer) => ("before, behind the activation", layer, layers[layer].inputs),
        };
        if its != width {
            let found = format!("a BatchNorm {} of {width} units beside {its} of {}", norm.name, layers[layer].name);
            return Err(Fault::new(found, "the same width").advise(Remedy::NamedLayers));
        }
        fold::batch_norm(norm, place, layers);
        let what =
            format!("BatchNorm {} is worked into {} ({what}; epsilon {})", norm.name, layers[layer].name, norm.epsilon);
        assumed.push(Assumption { what, remedy: (!named).then_some(Remedy::NamedLayers) });
    }
    Ok(())
}

/// The first of many names.
fn shortened(names: &[String]) -> String {
    const MOST: usize = 4;
    let first = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The modules that the user named.
struct Named {
    /// Their paths in order; none is an activation.
    items: Vec<Option<Vec<String>>>,
    /// Paths of batch norms, where none is named: those in the same parts of the file.
    norms: Vec<Vec<String>>,
}

impl Named {
    /// The modules of `file` with these names, in full or from some part on.
    fn new(file: &SafeTensors<'_>, given: &[String]) -> Result<Self, Fault> {
        let mut all: BTreeMap<Vec<String>, Vec<Role>> = BTreeMap::new();
        for (path, role) in file.names().into_iter().filter_map(names::module) {
            all.entry(path).or_default().push(role);
        }
        let mut items: Vec<Option<Vec<String>>> = Vec::new();
        for name in given {
            let whole: Vec<&str> = names::parts(name);
            let module = names::module(name).map(|(path, _)| path);
            let ends = |path: &&Vec<String>, parts: &[&str]| {
                let start = path.len().checked_sub(parts.len());
                !parts.is_empty() && start.is_some_and(|start| path[start..].iter().zip(parts).all(|(a, b)| a == b))
            };
            let exact = all.keys().find(|path| path.iter().map(String::as_str).eq(whole.iter().copied()));
            let tensor = all.keys().find(|path| Some(*path) == module.as_ref());
            let ending: Vec<&Vec<String>> = all.keys().filter(|path| ends(path, &whole)).collect();
            let found = match (exact.or(tensor), &ending[..]) {
                (Some(path), _) => Some(path.clone()),
                (None, [path]) => Some((*path).clone()),
                (None, []) if name == ACTIVATION => None,
                (None, []) => {
                    let known: Vec<String> = all.keys().map(|path| path.join(".")).collect();
                    return Err(Fault::new(
                        format!("no layer {name} among {}", shortened(&known)),
                        "the name of a layer",
                    ));
                }
                (None, several) => {
                    let several: Vec<String> = several.iter().map(|path| path.join(".")).collect();
                    return Err(Fault::new(
                        format!("several layers {name} ({})", shortened(&several)),
                        "one of them in full",
                    ));
                }
            };
            if found.is_some() && items.contains(&found) {
                return Err(Fault::new(format!("the layer {name} named twice"), "each layer once"));
            }
            items.push(found);
        }
        let is_norm = |path: &Vec<String>| all.get(path).is_some_and(|roles| roles.contains(&Role::Mean));
        let root = |path: &[String]| if path.len() > 1 { path.first().cloned() } else { None };
        let roots: Vec<Option<String>> = items.iter().flatten().map(|path| root(path)).collect();
        let any = items.iter().flatten().any(is_norm);
        let near = |path: &&Vec<String>| !any && is_norm(path) && roots.contains(&root(path));
        let norms = all.keys().filter(near).cloned().collect();
        Ok(Self { items, norms })
    }

    fn wants(&self, path: &[String]) -> bool {
        self.items.iter().flatten().chain(&self.norms).any(|item| item == path)
    }

    /// The named linear layers in order, and how weights and kernels lie, which must fit.
    fn order(&self, modules: &Modules) -> Result<(Vec<usize>, [bool; 2]), Fault> {
        let linears = &modules.linears;
        let index = |path: &Vec<String>| linears.iter().position(|linear| linear.path == *path);
        let order: Vec<usize> = self.items.iter().flatten().filter_map(index).collect();
        let all = orientations(modules)?;
        let gap = |flips: [bool; 2]| {
            let shapes = shapes(linears, flips);
            order.windows(2).position(|pair| shapes[pair[0]].1 != shapes[pair[1]].0)
        };
        if let Some(flips) = all.iter().find(|flips| gap(**flips).is_none()) {
            return Ok((order, *flips));
        }
        let (at, shapes) = (gap(all[0]).unwrap_or_default(), shapes(linears, all[0]));
        let (one, next) = (order[at], order[at + 1]);
        let found = format!("{} with {} inputs behind {}", linears[next].name, shapes[next].0, linears[one].name);
        Err(Fault::new(found, format!("inputs for its {} outputs", shapes[one].1)))
    }

    /// The places of all norms of `modules`, if norms are named.
    fn places(&self, modules: &Modules) -> Result<Option<Vec<Place>>, Fault> {
        if !self.norms.is_empty() {
            return Ok(None);
        }
        let place = |norm: &Norm| {
            let at = self.items.iter().position(|item| item.as_ref() == Some(&norm.path))?;
            let is_linear = |path: &Vec<String>| modules.linears.iter().any(|linear| linear.path == *path);
            let (before, after) = self.items.split_at(at);
            let linears_before = before.iter().flatten().filter(|path| is_linear(path)).count();
            let activated = |item: &&Option<Vec<String>>| item.as_ref().is_none_or(is_linear);
            match before.iter().rev().find(activated) {
                Some(Some(_)) => Some(Place::Behind(linears_before - 1)),
                _ => after.iter().flatten().any(is_linear).then_some(Place::Before(linears_before)),
            }
        };
        let placed = |norm: &Norm| {
            let found = || format!("a BatchNorm {} behind all layers and an activation", norm.name);
            place(norm).ok_or_else(|| Fault::new(found(), "a place beside a linear layer"))
        };
        modules.norms.iter().map(placed).collect::<Result<_, _>>().map(Some)
    }
}
