//! The modules of a file: which of its tensors are linear layers and batch norms, which do not matter, and which are of
//! layers that a perceptron does not have.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors};

use super::Fault;
use super::names::{self, Role};
use crate::checkpoint::{transpose, values};
use crate::error::Remedy;

/// What PyTorch and Flax add to a variance, and what Keras adds.
const EPSILON: f64 = 1e-5;
const KERAS_EPSILON: f64 = 1e-3;

/// A linear layer as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    /// Its name.
    pub(super) name: String,
    /// Its name in parts.
    pub(super) path: Vec<String>,
    /// Whether its weight is called as PyTorch does, which is `outputs x inputs`, or as others do, `inputs x outputs`.
    pub(super) role: Role,
    /// Its weight, `rows x columns`, row-major.
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) weights: Vec<f32>,
    /// Its biases, if it has any.
    pub(super) bias: Option<Vec<f32>>,
}

impl Linear {
    /// Its inputs and outputs, where its weight is `inputs x outputs` or not.
    pub(super) fn shape(&self, transposed: bool) -> (usize, usize) {
        if transposed { (self.rows, self.columns) } else { (self.columns, self.rows) }
    }

    /// Whether its biases say that its weight is `inputs x outputs`; none where they fit both ways, or are not there.
    fn says(&self) -> Option<bool> {
        let biases = self.bias.as_ref()?.len();
        (self.rows != self.columns).then_some(biases == self.columns)
    }

    /// Its weight as `outputs x inputs`.
    pub(super) fn outputs_first(self, transposed: bool) -> Vec<f32> {
        if transposed { transpose(&self.weights, self.rows, self.columns) } else { self.weights }
    }
}

/// A batch norm: `(x - mean) / sqrt(variance + epsilon) * gain + shift`, each of its width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Norm {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    pub(super) gain: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) epsilon: f64,
    /// Whether Keras wrote it, whose layers hold their activation.
    pub(super) keras: bool,
}

/// The modules of a file in natural order of their names, and what is left out: names of tensors by what they are.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) linears: Vec<Linear>,
    pub(super) norms: Vec<Norm>,
    pub(super) left: BTreeMap<&'static str, Vec<String>>,
}

impl Modules {
    /// Whether the weights of `role` are `inputs x outputs`, as their biases say; none where they do not.
    ///
    /// # Errors
    /// Where they say both.
    pub(super) fn transposed(&self, role: Role) -> Result<Option<bool>, Fault> {
        let mut said = self.linears.iter().filter(|linear| linear.role == role).filter_map(Linear::says);
        let first = said.next();
        match said.find(|other| Some(*other) != first) {
            None => Ok(first),
            Some(_) => {
                let expected = "all weights as outputs x inputs, or all as inputs x outputs";
                Err(Fault::new("weights of both kinds, as their biases say", expected))
            }
        }
    }
}

/// What a tensor is that does not matter to predictions, if it is such a one.
fn left_out(parts: &[&str], is_float: bool, is_part: bool) -> Option<&'static str> {
    const COUNTERS: [&str; 7] = ["num_batches_tracked", "n_averaged", "step", "steps", "epoch", "iteration", "initted"];
    const OPTIMIZER: [&str; 11] = [
        "optimizer",
        "optimizers",
        "optim",
        "opt_state",
        "optimizer_state",
        "optimizer_weights",
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "momentum_buffer",
        "scheduler",
    ];
    const LOSSES: [&str; 8] =
        ["criterion", "loss", "loss_fn", "loss_weight", "loss_weights", "class_weight", "class_weights", "pos_weight"];
    let last = parts.last().copied().unwrap_or_default();
    let any = |wanted: &[&str]| parts.iter().any(|part| wanted.contains(part));
    if any(&OPTIMIZER) || names::has_word(parts, &["optimizer"]) {
        Some("the optimizer's state")
    } else if COUNTERS.contains(&last) {
        Some("counters")
    } else if last.ends_with("position_ids") || last == "positions" {
        Some("positions")
    } else if any(&LOSSES) {
        Some("weights of the loss")
    } else if !is_float && !is_part {
        Some("whole numbers that are no weights")
    } else {
        None
    }
}

/// What a tensor is that other layers than linear ones have, or that must be worked into a weight first.
fn strange(name: &str) -> Option<(&'static str, &'static str)> {
    const KINDS: [(&[&str], &str, &str); 6] = [
        (&["weight_ih", "weight_hh", "bias_ih", "bias_hh", "recurrent_kernel"], "a recurrent layer", ""),
        (
            &["in_proj_weight", "in_proj_bias", "q_proj", "k_proj", "v_proj", "attn", "attention", "self_attn"],
            "an attention",
            "",
        ),
        (
            &["weight_g", "weight_v", "original0", "original1"],
            "a weight norm",
            ": remove_weight_norm before it is saved",
        ),
        (
            &["weight_orig", "weight_mask", "bias_orig", "bias_mask"],
            "a pruned weight",
            ": prune.remove before it is saved",
        ),
        (&["lora_A", "lora_B", "lora_a", "lora_b"], "a LoRA adapter", ": merge it into its weights before it is saved"),
        (
            &["weight_u", "weight_scale", "weight_scale_inv", "qweight", "qzeros", "scales"],
            "a quantised or normed weight",
            ": save the plain weights",
        ),
    ];
    let parts = names::parts(name);
    KINDS.iter().find_map(|(words, kind, advice)| {
        let hit = |part: &&str| {
            words
                .iter()
                .any(|word| part.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
        };
        parts.iter().any(hit).then_some((*kind, *advice))
    })
}

/// The tensors of a module by their parts of it.
type Group = BTreeMap<Role, String>;

/// Whether the module of this path is wanted.
pub(super) type Wanted<'a> = &'a dyn Fn(&[String]) -> bool;

/// The modules of `file` that are `wanted`; of all others the tensors are left out.
///
/// # Errors
/// A [`Fault`] that names the tensor which is of no linear layer and no batch norm, or is malformed.
pub(super) fn read(file: &SafeTensors<'_>, wanted: Option<Wanted<'_>>) -> Result<Modules, Fault> {
    let mut modules = Modules::default();
    let mut all = file.names();
    all.sort_by(|a, b| names::natural(a, b));
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    let mut strangers = Vec::new();
    for name in all {
        let view = file.tensor(name).map_err(|error| Fault::new(format!("{name}: {error}"), "a tensor"))?;
        let (parts, module) = (names::parts(name), names::module(name));
        let is_float = matches!(view.dtype(), Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
        if let Some(what) = left_out(&parts, is_float, module.is_some()) {
            modules.left.entry(what).or_default().push(name.to_owned());
            continue;
        }
        match module.filter(|_| strange(name).is_none()) {
            Some((path, _)) if wanted.is_some_and(|wanted| !wanted(&path)) => {
                modules.left.entry("layers that are not named").or_default().push(name.to_owned());
            }
            Some((path, role)) => {
                if let Some(other) = groups.entry(path).or_default().insert(role, name.to_owned()) {
                    let expected = "one of them: name them otherwise, or save one network alone";
                    return Err(Fault::new(
                        format!("two tensors for one part of a layer, {other} and {name}"),
                        expected,
                    ));
                }
            }
            None => strangers.push((name.to_owned(), view.shape().to_vec())),
        }
    }
    leave_averages(&mut groups, &mut modules);
    for (name, shape) in strangers {
        match (wanted.is_some(), strange(&name)) {
            (true, _) => modules.left.entry("layers that are not named").or_default().push(name),
            (false, Some((kind, advice))) => {
                return Err(Fault::new(
                    format!("{kind} ({name} of shape {shape:?})"),
                    format!("linear layers{advice}"),
                ));
            }
            (false, None) if names::has_word(&names::parts(&name), &["mean", "std", "offset", "divisor"]) => {
                let found = format!("a tensor {name} of shape {shape:?}, as of a scaling of inputs");
                return Err(Fault::new(found, EXPECTED).advise(Remedy::Normalize).advise(Remedy::NamedLayers));
            }
            (false, None) => {
                let found = format!("a tensor {name} of shape {shape:?}, whose name is of no linear layer");
                return Err(Fault::new(found, EXPECTED).advise(Remedy::NamedLayers));
            }
        }
    }
    let mut groups: Vec<(Vec<String>, Group)> = groups.into_iter().collect();
    groups.sort_by(|(a, _), (b, _)| names::natural(&a.join("."), &b.join(".")));
    for (path, group) in groups {
        module(file, path, group, &mut modules)?;
    }
    Ok(modules)
}

/// What files are expected to have.
const EXPECTED: &str = "a weight for each linear layer, biases and batch norms if it has any, and no others";

/// Leaves averaged copies of weights out where the weights themselves are there too.
fn leave_averages(groups: &mut BTreeMap<Vec<String>, Group>, modules: &mut Modules) {
    const AVERAGES: [&str; 5] = ["ema", "shadow", "averaged", "swa", "polyak"];
    let averaged = |path: &[String]| names::has_word(path, &AVERAGES);
    if groups.keys().all(|path| averaged(path)) {
        return;
    }
    groups.retain(|path, group| {
        let average = averaged(path);
        if average {
            modules.left.entry("averages of the weights").or_default().extend(group.values().cloned());
        }
        !average
    });
}

/// Adds the module of the tensors `group` to `modules`.
fn module(file: &SafeTensors<'_>, path: Vec<String>, mut group: Group, modules: &mut Modules) -> Result<(), Fault> {
    let shape_of = |name: &str| file.tensor(name).map(|view| view.shape().to_vec()).unwrap_or_default();
    let read = |name: &str, dimensions| -> Result<_, Fault> {
        let view = file.tensor(name).map_err(|error| Fault::new(format!("{name}: {error}"), "a tensor"))?;
        values(&view, dimensions).map_err(|(found, expected)| Fault::new(format!("{name} {found}"), expected))
    };
    // A row or a column of numbers is as good as they alone.
    let vector = |name: &str| {
        let dimensions = if matches!(shape_of(name)[..], [1, _] | [_, 1]) { 2 } else { 1 };
        read(name, dimensions).map(|(_, values)| values)
    };
    let name = if path.is_empty() { "the layer without a name".to_owned() } else { path.join(".") };
    let keras = group.keys().any(|role| matches!(role, Role::Variable(_)))
        || group.values().any(|name| name.contains("gamma") || name.contains("moving_"));
    number_variables(&mut group, &shape_of);
    let described = |tensor: &str| format!("{tensor} of shape {:?}", shape_of(tensor));
    let other = |kind: &str, tensor: &str| {
        let expected = "linear layers, and batch norms between them";
        Err(Fault::new(format!("{kind} ({})", described(tensor)), expected))
    };
    if let (Some(mean), Some(variance)) = (group.get(&Role::Mean), group.get(&Role::Variance)) {
        let (mean, variance) = (vector(mean)?, vector(variance)?);
        let optional = |roles: [Role; 2], otherwise: f32| match roles.iter().find_map(|role| group.get(role)) {
            Some(name) => vector(name),
            None => Ok(vec![otherwise; mean.len()]),
        };
        let gain = optional([Role::Weight, Role::Gain], 1.0)?;
        let shift = optional([Role::Bias, Role::Shift], 0.0)?;
        if [gain.len(), shift.len(), variance.len()] != [mean.len(); 3] || variance.iter().any(|value| *value < 0.0) {
            let found = format!("a batch norm {name} whose tensors differ in length, or with a variance below 0");
            return Err(Fault::new(found, "gain, shift, mean and variance for each unit"));
        }
        let epsilon = if keras { KERAS_EPSILON } else { EPSILON };
        modules.norms.push(Norm { name, path, gain, shift, mean, variance, epsilon, keras });
        return Ok(());
    }
    if let Some(tensor) = group.get(&Role::Mean).or(group.get(&Role::Variance)) {
        let found =
            format!("a tensor {}, of a scaling of inputs or of a batch norm without the rest", described(tensor));
        let expected = "running_mean and running_var of each batch norm, and no scaling of inputs";
        return Err(Fault::new(found, expected).advise(Remedy::NamedLayers).advise(Remedy::Normalize));
    }
    let weight = [Role::Weight, Role::Kernel].into_iter().find_map(|role| Some((role, group.get(&role)?)));
    let Some((role, weight)) = weight else {
        let Some(tensor) = group.get(&Role::Gain).or(group.get(&Role::Shift)) else {
            let tensor = group.values().next().map_or(&name[..], |tensor| tensor);
            return Err(Fault::new(format!("a tensor {tensor} without a weight"), EXPECTED).advise(Remedy::NamedLayers));
        };
        let kind = if group.len() > 1 || is_norm(&path) { "a LayerNorm or RMSNorm" } else { "another tensor" };
        return other(kind, tensor);
    };
    let shape = shape_of(weight);
    match shape.len() {
        2 if !group.contains_key(&Role::Bias)
            && names::has_word(&path, &["embed", "embedding", "embeddings", "emb", "wte", "wpe"]) =>
        {
            return other("an embedding", weight);
        }
        2 => {}
        1 if names::has_word(&path, &["prelu"]) || (shape == [1] && group.len() == 1) => {
            return other("a PReLU", weight);
        }
        0 | 1 if names::has_word(&path, &["bn", "batchnorm", "batch"]) => {
            return other("a BatchNorm without running_mean and running_var", weight);
        }
        0 | 1 if group.len() > 1 || is_norm(&path) => return other("a LayerNorm or RMSNorm", weight),
        0 | 1 => return other("another tensor", weight),
        _ => return other("a convolution", weight),
    }
    let (_, weights) = read(weight, 2)?;
    let bias = group.get(&Role::Bias).map(|bias| vector(bias)).transpose()?;
    let (rows, columns) = (shape[0], shape[1]);
    if let Some(bias) = bias.as_ref().filter(|bias| bias.len() != rows && bias.len() != columns) {
        let found = format!("{weight} of {rows} x {columns} with {} biases", bias.len());
        return Err(Fault::new(found, "a bias for each output"));
    }
    modules.linears.push(Linear { name, path, role, rows, columns, weights, bias });
    Ok(())
}

/// Whether a module is called a norm.
fn is_norm(path: &[String]) -> bool {
    path.iter().any(|part| part.to_lowercase().contains("norm")) || names::has_word(path, &["ln"])
}

/// Gives the numbered variables of a Keras layer their parts of it.
fn number_variables(group: &mut Group, shape_of: &dyn Fn(&str) -> Vec<usize>) {
    let Some(first) = group.get(&Role::Variable(0)) else { return };
    const NORM: [Role; 4] = [Role::Gain, Role::Shift, Role::Mean, Role::Variance];
    let roles = if shape_of(first).len() == 1 { &NORM[..] } else { &[Role::Kernel, Role::Bias] };
    for (number, role) in roles.iter().enumerate() {
        if let Some(name) = group.remove(&Role::Variable(number)) {
            group.insert(*role, name);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn read_all(tensors: &[(&str, &[usize])]) -> Result<Modules, Fault> {
        let bytes: Vec<Vec<u8>> =
            tensors.iter().map(|(_, shape)| vec![0; 4 * shape.iter().product::<usize>()]).collect();
        let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
            (name.to_string(), TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        read(&SafeTensors::deserialize(&bytes).unwrap(), None)
    }

    #[test]
    fn linear_layers_and_norms_are_found_and_the_rest_is_left_out() {
        let found = read_all(&[
            ("net.10.weight", &[2, 4]),
            ("net.2.weight", &[4, 3]),
            ("net.2.bias", &[4]),
            ("net.3.weight", &[4]),
            ("net.3.bias", &[4]),
            ("net.3.running_mean", &[4]),
            ("net.3.running_var", &[4]),
            ("net.3.num_batches_tracked", &[]),
            ("ema.net.2.weight", &[4, 3]),
            ("optimizer.state.0.exp_avg", &[4, 3]),
            ("criterion.weight", &[2]),
        ])
        .unwrap();
        assert_eq!(found.linears.iter().map(|linear| &linear.name[..]).collect::<Vec<_>>(), ["net.2", "net.10"]);
        assert_eq!((found.norms.len(), &found.norms[0].name[..]), (1, "net.3"));
        assert_eq!(found.left.values().map(Vec::len).sum::<usize>(), 4);
        // Averages alone are the network.
        assert_eq!(read_all(&[("ema.fc.weight", &[4, 3])]).unwrap().linears.len(), 1);
    }

    #[test]
    fn kernels_and_variables_of_keras_are_known() {
        let found = read_all(&[
            ("layers/dense/vars/0", &[3, 4]),
            ("layers/dense/vars/1", &[4]),
            ("layers/batch_normalization/vars/0", &[4]),
            ("layers/batch_normalization/vars/1", &[4]),
            ("layers/batch_normalization/vars/2", &[4]),
            ("layers/batch_normalization/vars/3", &[4]),
        ])
        .unwrap();
        assert_eq!((found.linears[0].role, found.norms[0].epsilon), (Role::Kernel, KERAS_EPSILON));
        assert_eq!(found.transposed(Role::Kernel).unwrap(), Some(true));
        assert_eq!(found.transposed(Role::Weight).unwrap(), None);
    }

    #[test]
    fn biases_may_be_rows_and_weights_of_the_loss_are_left_out() {
        let found =
            read_all(&[("w0", &[5, 6]), ("b0", &[1, 5]), ("w1", &[3, 5]), ("b1", &[3, 1]), ("loss_weight", &[3])])
                .unwrap();
        assert!(found.linears.iter().map(|linear| linear.bias.as_ref().unwrap().len()).eq([5, 3]));
        assert_eq!(found.left["weights of the loss"], ["loss_weight"]);
    }

    #[test]
    fn other_layers_are_named() {
        for (tensors, what) in [
            (&[("conv.weight", &[8, 1, 3, 3][..])][..], "a convolution"),
            (&[("norm.weight", &[8]), ("norm.bias", &[8])], "a LayerNorm"),
            (&[("norm.scale", &[8])], "a LayerNorm"),
            (&[("ln_f.weight", &[8])], "a LayerNorm"),
            (&[("prior.weight", &[8])], "another tensor"),
            (&[("prior.scale", &[8])], "another tensor"),
            (&[("bn1.weight", &[8]), ("bn1.bias", &[8])], "a BatchNorm without"),
            (&[("act.weight", &[1])], "a PReLU"),
            (&[("rnn.weight_ih_l0", &[8, 8])], "a recurrent layer"),
            (&[("attn.in_proj_weight", &[8, 8])], "an attention"),
            (&[("fc.weight_g", &[8, 1])], "a weight norm"),
            (&[("fc.parametrizations.weight.original0", &[8, 1])], "a weight norm"),
            (&[("fc.lora_A.weight", &[8, 1])], "a LoRA"),
            (&[("embed.weight", &[8, 4])], "an embedding"),
            (&[("normalize.mean", &[8])], "a scaling of inputs"),
            (&[("table", &[8, 4])], "a tensor table"),
            (&[("std", &[8])], "a scaling of inputs"),
            (&[("fc.bias", &[8])], "a tensor fc.bias without a weight"),
            (&[("fc.weight", &[8, 4]), ("fc.bias", &[3])], "with 3 biases"),
        ] {
            let fault = read_all(tensors).unwrap_err();
            assert!(fault.found.contains(what), "{what}: {}", fault.found);
        }
        let mixed =
            read_all(&[("a.weight", &[8, 4]), ("a.bias", &[8]), ("b.weight", &[8, 2]), ("b.bias", &[2])]).unwrap();
        assert!(mixed.transposed(Role::Weight).is_err());
    }
}
