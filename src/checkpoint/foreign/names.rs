//! What names of tensors say: the module they belong to, the part of it that they are, and the order of modules.

use std::cmp::Ordering;

/// Parts of names that group the parameters of a whole network, and say nothing of its layers.
const TREES: [&str; 6] = ["params", "batch_stats", "variables", "state_dict", "model_state_dict", "~"];

/// A part of a module, by the last part of its tensor's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The weight of PyTorch, `outputs x inputs`; of a norm, its gain.
    Weight,
    /// The weight of Keras, Flax and Haiku, `inputs x outputs`.
    Kernel,
    /// The bias.
    Bias,
    /// The gain of a norm.
    Gain,
    /// The shift of a norm.
    Shift,
    /// The mean of a norm.
    Mean,
    /// The variance of a norm.
    Variance,
    /// The variable of this number of a Keras layer, whose names do not say what it is.
    Variable(usize),
}

/// The names of roles.
const ROLES: [(&str, Role); 19] = [
    ("weight", Role::Weight),
    ("weights", Role::Weight),
    ("kernel", Role::Kernel),
    ("w", Role::Kernel),
    ("W", Role::Kernel),
    ("coefs", Role::Kernel),
    ("bias", Role::Bias),
    ("biases", Role::Bias),
    ("b", Role::Bias),
    ("intercepts", Role::Bias),
    ("scale", Role::Gain),
    ("gamma", Role::Gain),
    ("beta", Role::Shift),
    ("running_mean", Role::Mean),
    ("moving_mean", Role::Mean),
    ("mean", Role::Mean),
    ("running_var", Role::Variance),
    ("moving_variance", Role::Variance),
    ("var", Role::Variance),
];

/// The parts of a name between dots and slashes.
pub(super) fn parts(name: &str) -> Vec<&str> {
    let name = name.strip_suffix(":0").unwrap_or(name);
    name.split(['.', '/']).filter(|part| !part.is_empty() && !TREES.contains(part)).collect()
}

fn role(text: &str) -> Option<Role> {
    ROLES.iter().find(|(name, _)| *name == text).map(|(_, role)| *role)
}

/// The module of the tensor `name`, as the parts of its path, and its part there; none where the name says no such thing.
pub(super) fn module(name: &str) -> Option<(Vec<String>, Role)> {
    let mut path: Vec<String> = parts(name).into_iter().map(str::to_owned).collect();
    let last = path.pop()?;
    if let Some(role) = role(&last) {
        return Some((path, role));
    }
    if path.last().is_some_and(|part| part == "vars") {
        path.pop();
        return Some((path, Role::Variable(last.parse().ok()?)));
    }
    // coefs_.0, weights.0.
    let listed = path.last().and_then(|part| role(part.trim_end_matches('_')));
    if let Some(role) = listed.filter(|_| last.parse::<u64>().is_ok()) {
        path.pop();
        path.push(last);
        return Some((path, role));
    }
    // fc1_weight, W1, coefs_0.
    let digits = last.len() - last.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = last.split_at(last.len() - digits);
    if digits > 0
        && let Some(role) = role(stem.trim_end_matches('_'))
    {
        path.push(number.to_owned());
        return Some((path, role));
    }
    let (name, role) = ROLES.iter().find_map(|(end, role)| {
        let stem = last.strip_suffix(end)?.strip_suffix('_')?;
        (!stem.is_empty()).then_some((stem, *role))
    })?;
    path.push(name.to_owned());
    Some((path, role))
}

/// The lower-case words of a part of a name, such as `fc`, `out` of `fc_out2` and `fcOut`, and the number at its end.
fn words(part: &str) -> (Vec<String>, Option<u64>) {
    let digits = part.len() - part.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = part.split_at(part.len() - digits);
    let mut words = vec![String::new()];
    let mut small = false;
    for c in stem.chars() {
        if !c.is_alphanumeric() || (small && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
        small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    (words, number.parse().ok())
}

/// Whether a part of the path has one of these words.
pub(super) fn has_word(path: &[impl AsRef<str>], wanted: &[&str]) -> bool {
    path.iter().any(|part| {
        let part = part.as_ref();
        wanted.contains(&part) || words(part).0.iter().any(|word| wanted.contains(&&word[..]))
    })
}

/// Words that say where in a network a layer stands, from its inputs on.
const PLACES: [(&[&str], u8); 5] = [
    (&["input", "inputs", "in", "inp", "stem", "i2h"], 0),
    (&["encoder", "enc", "backbone", "trunk", "features", "extractor", "base", "body"], 1),
    (&["hidden", "hid", "mid", "middle", "latent", "bottleneck", "h2h"], 2),
    (&["decoder", "dec"], 3),
    (
        &[
            "output",
            "outputs",
            "out",
            "head",
            "classifier",
            "final",
            "logits",
            "logit",
            "prediction",
            "predictions",
            "h2o",
        ],
        4,
    ),
];

/// Words that count.
const COUNTS: [(&str, u64); 6] =
    [("first", 1), ("second", 2), ("third", 3), ("fourth", 4), ("fifth", 5), ("last", u64::MAX)];

/// What a part says of the place: its other words, its number, and its place.
fn place(part: &str) -> (Vec<String>, u64, Option<u8>) {
    let (mut words, number) = words(part);
    let counted = words.iter().find_map(|word| COUNTS.iter().find(|(name, _)| name == word).map(|(_, number)| *number));
    words.retain(|word| !COUNTS.iter().any(|(name, _)| name == word));
    let mut places = words.iter().filter_map(|word| PLACES.iter().find(|(names, _)| names.contains(&&word[..])));
    let found = places.next().map(|(_, place)| *place);
    let found = found.filter(|place| places.all(|(_, other)| other == place));
    // dense comes before dense_1.
    (words, number.or(counted).unwrap_or(0), found)
}

/// The order of two modules as their names say it; none where they leave it open.
pub(super) fn order(a: &[String], b: &[String]) -> Option<Ordering> {
    let (x, y) = a.iter().zip(b).find(|(x, y)| x != y)?;
    let ((words_x, number_x, place_x), (words_y, number_y, place_y)) = (place(x), place(y));
    if words_x == words_y {
        return Some(number_x.cmp(&number_y)).filter(|order| order.is_ne());
    }
    if number_x == u64::MAX || number_y == u64::MAX {
        return Some(number_x.cmp(&number_y)).filter(|order| order.is_ne());
    }
    // A word that says no place is that of a hidden layer, between the inputs and the outputs.
    match (place_x, place_y) {
        (Some(x), Some(y)) => Some(x.cmp(&y)).filter(|order| order.is_ne()),
        (Some(0), None) | (None, Some(4)) => Some(Ordering::Less),
        (Some(4), None) | (None, Some(0)) => Some(Ordering::Greater),
        _ => None,
    }
}

/// The last number in a module's name; 0 where the name is not numbered, but others like it may be (dense, dense_1).
pub(super) fn number(path: &[String]) -> Option<u64> {
    let numbered = path.iter().rev().find_map(|part| words(part).1);
    let first = || path.last().filter(|part| part.contains("dense") || part.contains("batch_norm")).map(|_| 0);
    numbered.or_else(first)
}

/// Names in natural order: numbers in them by value.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (mut a, mut b) = (a, b);
    while let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) {
        let (in_a, in_b) = (digits(a), digits(b));
        let (order, skip) = if in_a > 0 && in_b > 0 {
            let (x, y) = (a[..in_a].trim_start_matches('0'), b[..in_b].trim_start_matches('0'));
            (x.len().cmp(&y.len()).then(x.cmp(y)), (in_a, in_b))
        } else {
            (first.cmp(&second), (first.len_utf8(), second.len_utf8()))
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[skip.0..], &b[skip.1..]);
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(name: &str) -> Vec<String> {
        name.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn names_say_module_and_part() {
        for (name, expected, role) in [
            ("net.fc1.weight", "net.fc1", Role::Weight),
            ("params/Dense_0/kernel", "Dense_0", Role::Kernel),
            ("batch_stats.BatchNorm_0.mean", "BatchNorm_0", Role::Mean),
            ("sequential/dense_1/bias:0", "sequential.dense_1", Role::Bias),
            ("layers/dense/vars/0", "layers.dense", Role::Variable(0)),
            ("mlp/~/linear_0/w", "mlp.linear_0", Role::Kernel),
            ("fc1_bias", "fc1", Role::Bias),
            ("bn1_running_var", "bn1", Role::Variance),
            ("W2", "2", Role::Kernel),
            ("coefs_0", "0", Role::Kernel),
            ("net.weights.1", "net.1", Role::Weight),
        ] {
            assert_eq!(module(name), Some((path(expected), role)), "{name}");
        }
        for name in ["step", "net.num_batches_tracked", "", "...", "1", "_weight"] {
            assert_eq!(module(name), None, "{name}");
        }
    }

    #[test]
    fn names_order_layers_where_they_say_it() {
        let before = |a: &str, b: &str| order(&path(a), &path(b));
        for (a, b) in [
            ("fc1", "fc2"),
            ("fc2", "fc10"),
            ("net.0", "net.2"),
            ("input", "hidden"),
            ("hidden", "output"),
            ("fc1", "classifier"),
            ("encoder.0", "decoder.0"),
            ("backbone.fc", "head"),
            ("dense", "dense_1"),
            ("hidden", "hidden2"),
            ("fc_in", "fc"),
            ("fc", "fcOut"),
            ("first_layer", "second_layer"),
            ("alpha", "last"),
            ("layers.1.linear", "layers.2.linear"),
        ] {
            assert_eq!(before(a, b), Some(Ordering::Less), "{a}, {b}");
            assert_eq!(before(b, a), Some(Ordering::Greater), "{b}, {a}");
        }
        for (a, b) in [("alpha", "beta"), ("linear_a", "linear_b"), ("fc1", "layer2"), ("a", "a"), ("fc01", "fc1")] {
            assert_eq!(before(a, b), None, "{a}, {b}");
        }
    }

    #[test]
    fn numbers_count_by_value() {
        let mut names = ["a10", "a9", "b", "a", "a09x"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a9", "a09x", "a10", "b"]);
    }
}
