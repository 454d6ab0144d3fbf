//! Flags that make the recipe of a run. Each has the name of the recipe's option that it sets.

use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::parse_rate;
use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::model::{Activation, Embed, Init};
pub(super) use crate::recipe::shown;
use crate::recipe::{Loss, OptimizerKind, Recipe, RecipeName};
use crate::schedule::{ScheduleKind, Warmup};

/// What is given of a recipe.
#[derive(Debug, Args, Serialize)]
pub(super) struct RecipeOptions {
    /// Where the defaults of all these flags come from [default: table for tables; for images notebook, and image where --hidden
    /// is given and not 7]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) recipe: Option<RecipeName>,
    /// Widths of the hidden layers, with commas between them, or none [default: the recipe's, or those of --init-from]
    #[arg(long, value_name = "WIDTHS", value_parser = parse_hidden)]
    hidden: Option<Hidden>,
    /// Activation of the hidden layers [default: the recipe's]
    #[arg(long, value_enum, value_name = "NAME")]
    activation: Option<Activation>,
    /// Initial weights: normal:DEVIATION, he, xavier, lecun or torch [default: he; of the notebook's
    /// recipe normal:0.01 for images]
    #[arg(long, value_name = "HOW")]
    init: Option<Init>,
    /// How numbers of tables are embedded: none, or pbld[:DEVIATION], 16 trained waves of each number, whose first frequencies have
    /// this standard deviation, 0.1 if none is named [default: the recipe's]
    #[arg(long, value_name = "HOW")]
    embed: Option<Embed>,
    /// Whether each input of the first layer has a factor that is trained [default: the recipe's]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    trained_scale: Option<bool>,
    /// Share of the hidden layers' outputs that training drops: one for all, or one per layer with commas [default:
    /// the recipe's]
    #[arg(long, value_name = "SHARE[,SHARE]", value_delimiter = ',', value_parser = parse_share_of_units)]
    dropout: Option<Vec<f64>>,
    /// Share of the inputs that training drops [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse_share_of_units, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    input_dropout: Option<Vec<f64>>,
    /// How far training moves the pixels of each image, anew in each step: any of shift:PIXELS, rotate:DEGREES, scale:SHARE and
    /// elastic[:PIXELS] with commas between them, such as shift:2,rotate:15,scale:0.15,elastic [default: none]
    #[arg(long, value_name = "HOW")]
    augment: Option<Augment>,
    /// Loss [default: cross-entropy for classes, mse for values]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) loss: Option<Loss>,
    /// Share of each label that is spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse_share_of_units, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    label_smoothing: Option<Vec<f64>>,
    /// How parameters follow their gradients [default: the recipe's]
    #[arg(long, value_enum, value_name = "NAME")]
    optimizer: Option<OptimizerKind>,
    /// Momentum of the optimizers momentum and nesterov [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    momentum: Option<Vec<f64>>,
    /// How slowly adam's and adamw's mean of the gradients changes [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = parse_share_of_units, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    beta1: Option<Vec<f64>>,
    /// How slowly adam's and adamw's mean of the squared gradients changes [default: 0.999]
    #[arg(long, value_name = "SHARE", value_parser = parse_share_of_units, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    beta2: Option<Vec<f64>>,
    /// Added to adam's and adamw's divisor [default: 1e-8]
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    epsilon: Option<Vec<f64>>,
    /// Weight decay: an L2 penalty, but for adamw, which shrinks the parameters themselves [default: the
    /// recipe's; of an --optimizer that is not the recipe's 0.01 for adamw, else 0]
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    weight_decay: Option<Vec<f64>>,
    /// Whether biases decay too [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    decay_biases: Option<bool>,
    /// Greatest norm of a step's gradient, over all parameters [default: none]
    #[arg(long, value_name = "NORM", value_parser = parse_positive, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    clip_norm: Option<Vec<f64>>,
    /// How the learning rate goes [default: the recipe's; in place of notebook's constant where --lr is given without
    /// --lr-decay]
    #[arg(long, value_enum, value_name = "NAME")]
    schedule: Option<ScheduleKind>,
    /// Learning rate of the first step after the warm-up; of the schedule notebook before its first decay [default:
    /// the recipe's; of an --optimizer that is not the recipe's 0.1 for sgd, 0.01 for momentum and nesterov, 0.001 for adam and adamw]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    lr: Option<Vec<f64>>,
    /// What the schedule notebook subtracts, first before the first epoch [default: 0.05]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    lr_decay: Option<Vec<f64>>,
    /// Epochs between two falls of the schedules notebook and step [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    lr_decay_every: Option<Vec<u32>>,
    /// Lowest learning rate of the schedules notebook, cosine and linear [default: 0.01 for notebook, else 0]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    min_lr: Option<Vec<f64>>,
    /// Factor of the schedules step and exponential [default: 0.1 for step, 0.95 for exponential]
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    gamma: Option<Vec<f64>>,
    /// First steps, in which the learning rate rises: their number, or a share of all such as 5% [default: 0]
    #[arg(long, value_name = "STEPS|SHARE%", value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    warmup: Option<Vec<Warmup>>,
    /// Passes over the training set, those before --resume included [default: the recipe's]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    epochs: Option<Vec<u32>>,
    /// Rows per step [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    batch_size: Option<Vec<u32>>,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn [default: 0]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    seed: Option<Vec<u64>>,
    /// Seeds of as many runs: 0..9 for those from 0 to 9, or 0,3,5. The rows that are drawn are the same for all, by --seed
    #[arg(long, value_name = "FIRST..LAST", value_parser = parse_seeds)]
    #[serde(skip)]
    pub(super) seeds: Option<Seeds>,
    /// Visit the rows in the order of the files
    #[arg(long)]
    #[serde(rename = "shuffle", serialize_with = "not")]
    no_shuffle: bool,
    /// Stop after so many evaluations without a better validation loss, and keep the best state [default: 10 where no number
    /// is given]
    #[arg(long, value_name = "PATIENCE", num_args = 0..=1, default_missing_value = "10",
          value_parser = clap::value_parser!(u32).range(1..))]
    early_stop: Option<u32>,
    /// How much less the validation loss must be to count as better [default: 0]
    #[arg(long, value_name = "LOSS", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    min_delta: Option<Vec<f64>>,
    /// Stop at this accuracy on the validation part, or on the test part where there is none
    #[arg(long, value_name = "SHARE", value_parser = parse_rate, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    target_accuracy: Option<Vec<f64>>,
    /// Stop with the epoch in which so many seconds are over
    #[arg(long, value_name = "SECONDS", value_parser = parse_positive, value_delimiter = ',')]
    #[serde(serialize_with = "one_or_all")]
    max_seconds: Option<Vec<f64>>,
    /// Evaluate every N epochs, and after the last [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    eval_every: Option<u32>,
    /// Do not evaluate the training part
    #[arg(long)]
    #[serde(rename = "train_eval", serialize_with = "not")]
    no_train_eval: bool,
}

/// A single value as it is, or the list of several.
fn one_or_all<T: Serialize, S: Serializer>(
    given: &Option<Vec<T>>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match given.as_deref() {
        Some([one]) => one.serialize(serializer),
        given => given.serialize(serializer),
    }
}

/// A flag that switches an option off.
fn not<S: Serializer>(given: &bool, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    given.then_some(false).serialize(serializer)
}

impl RecipeOptions {
    /// The options that are given, by their names in a recipe; lists where there are several values.
    fn lists(&self) -> Result<Given> {
        let options = serde_json::to_value(self).map_err(|error| Error::Usage(error.to_string()))?;
        let options = options.as_object().cloned().unwrap_or_default();
        Ok(options.into_iter().filter(|(_, value)| !value.is_null()).collect())
    }

    /// What each run has of the options that are given: every value of each list with every value of the others, in the order of
    /// the names, the seeds within them. Also the names of the options that have lists.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value that a list has twice.
    pub(super) fn runs(&self) -> Result<(Vec<Given>, Vec<String>)> {
        let mut given = self.lists()?;
        let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
        if let Some(Seeds(seeds)) = &self.seeds {
            lists.push(("seed".into(), seeds.iter().map(|seed| Value::from(*seed)).collect()));
        }
        for (name, value) in &given {
            if let Value::Array(values) = value
                && is_list(name, value)
                && (name != "seed" || self.seeds.is_none())
            {
                lists.push((name.clone(), values.clone()));
            }
        }
        let mut runs = vec![Given::new()];
        // The last list varies fastest.
        lists.sort_by_key(|(name, _)| name == "seed");
        for (name, values) in &lists {
            if let Some(twice) = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)) {
                return Err(Error::Usage(format!("{} has {} twice", flag(name), shown(twice.1))));
            }
            given.remove(name);
            runs = runs.iter().flat_map(|run| values.iter().map(|value| with(run, name, value))).collect();
        }
        for run in &mut runs {
            run.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok((runs, lists.into_iter().map(|(name, _)| name).collect()))
    }

    /// The seed by which rows are drawn, where it is not that of a run.
    pub(super) fn seed(&self) -> u64 {
        self.seed.as_ref().and_then(|seeds| seeds.first()).copied().unwrap_or(0)
    }
}

/// The recipe of a new run whose rows are images, or are none: the one that is named or suits them, with the options that are
/// `given` and what follows from them. `hidden` are the hidden layers that it has anyway, if it has.
///
/// # Errors
/// [`Error::Usage`] for an option that would do nothing.
pub(super) fn recipe(given: &Given, images: bool, hidden: Option<&[usize]>) -> Result<Recipe> {
    let recipe = overlaid(given, images, hidden)?;
    match idle(given, &recipe)? {
        Some((name, of)) => {
            let flag = flag(name);
            Err(Error::Usage(format!("{flag} would do nothing here: it is for {of}; leave it out, or give that")))
        }
        None => Ok(recipe),
    }
}

/// As [`recipe`], but without what is `given` of the options `drawn` and would do nothing beside the others.
///
/// # Errors
/// As [`recipe`].
pub(super) fn without_idle(given: &Given, drawn: impl Fn(&str) -> bool, images: bool) -> Result<Given> {
    let mut given = given.clone();
    while let Some((name, _)) = idle(&given, &overlaid(&given, images, None)?)?.filter(|(name, _)| drawn(name)) {
        given.remove(name);
    }
    Ok(given)
}

fn overlaid(given: &Given, images: bool, hidden: Option<&[usize]>) -> Result<Recipe> {
    let own: Option<Vec<usize>> = value_of(given, "hidden")?;
    let hidden = own.as_deref().or(hidden);
    let has = |name: &str| given.contains_key(name);
    // No other recipe has the notebook's schedule.
    let falls = !has("schedule") && (has("lr_decay") || has("lr_decay_every"));
    let suited = if falls { RecipeName::Notebook } else { RecipeName::suited(images, hidden) };
    let recipe = Recipe::new(value_of(given, "recipe")?.unwrap_or(suited), hidden.map(<[usize]>::to_vec));
    let mut all = given.clone();
    let mut default = |name: &str, value: Value| {
        if !has(name) {
            all.insert(name.into(), value);
        }
    };
    let other = value_of(given, "optimizer")?.filter(|&kind: &OptimizerKind| kind != recipe.optimizer.kind);
    // The notebook's schedule goes with the notebook's rates, and it alone subtracts before the first epoch: a rate by itself is
    // the rate.
    let kind = recipe.schedule.kind;
    if has("lr_decay") || has("lr_decay_every") {
        default("schedule", ScheduleKind::Notebook.name().into());
    } else if kind == ScheduleKind::Notebook && !has("min_lr") && (has("lr") || other.is_some()) {
        default("schedule", ScheduleKind::Constant.name().into());
    }
    // Rates are those of an optimizer.
    if let Some(kind) = other {
        default("lr", kind.usual_rate().into());
        default("weight_decay", if kind == OptimizerKind::AdamW { 0.01 } else { 0.0 }.into());
    }
    recipe.overlaid(&all)
}

/// The option `name`, if it is `given`.
fn value_of<T: DeserializeOwned>(given: &Given, name: &str) -> Result<Option<T>> {
    let value = |value: &Value| serde_json::from_value(value.clone());
    let value = given.get(name).map(value).transpose();
    value.map_err(|error| Error::Usage(format!("{}: {error}", flag(name))))
}

/// A share of units or labels: from 0 on, below 1.
fn parse_share_of_units(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..1.0).contains(share));
    share.ok_or_else(|| "give a share from 0 on and below 1, such as 0.2".into())
}

fn parse_positive(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "give a number above 0".into())
}

/// An option in `given` that would do nothing in `recipe`, which has it, and what it is for.
///
/// # Errors
/// [`Error::Usage`] for options that contradict each other.
fn idle(given: &Given, recipe: &Recipe) -> Result<Option<(&'static str, &'static str)>> {
    use ScheduleKind::{Cosine, Coslog4, Exponential, Linear, Notebook, OneCycle, Step};
    let (optimizer, schedule) = (recipe.optimizer.kind, recipe.schedule.kind);
    let adam = matches!(optimizer, OptimizerKind::Adam | OptimizerKind::AdamW);
    let has_momentum = matches!(optimizer, OptimizerKind::Momentum | OptimizerKind::Nesterov);
    let own_rise = matches!(schedule, OneCycle | Coslog4);
    let uses = [
        ("momentum", has_momentum, "--optimizer momentum or nesterov"),
        ("beta1", adam, "--optimizer adam or adamw"),
        ("beta2", adam, "--optimizer adam or adamw"),
        ("epsilon", adam, "--optimizer adam or adamw"),
        ("decay_biases", recipe.optimizer.weight_decay > 0.0, "--weight-decay"),
        ("lr_decay", schedule == Notebook, "--schedule notebook"),
        ("lr_decay_every", matches!(schedule, Notebook | Step), "--schedule notebook or step"),
        ("min_lr", matches!(schedule, Notebook | Cosine | Linear), "--schedule notebook, cosine or linear"),
        ("gamma", matches!(schedule, Step | Exponential), "--schedule step or exponential"),
        ("warmup", !own_rise, "schedules that do not rise by themselves, as one-cycle and coslog4 do"),
        ("min_delta", recipe.stopping.early_stop.is_some(), "--early-stop"),
        ("dropout", !recipe.hidden.is_empty(), "networks with hidden layers"),
        ("activation", !recipe.hidden.is_empty(), "networks with hidden layers"),
    ];
    let lowest = recipe.schedule.min_lr.unwrap_or(0.0);
    if matches!(schedule, Cosine | Linear) && lowest > recipe.schedule.lr {
        return Err(Error::Usage(format!(
            "--min-lr {lowest} is above the learning rate that the schedule {} falls from, --lr {}",
            schedule.name(),
            recipe.schedule.lr
        )));
    }
    let idle = uses.into_iter().find(|(name, used, _)| !used && given.contains_key(*name));
    Ok(idle.map(|(name, _, of)| (name, of)))
}

/// Options of a recipe by their names.
pub(super) type Given = Map<String, Value>;

/// Whether `value` is a list of values for the option `name`, and not one value that is a list.
fn is_list(name: &str, value: &Value) -> bool {
    value.is_array() && !matches!(name, "hidden" | "dropout")
}

/// `run` with one option more.
fn with(run: &Given, name: &str, value: &Value) -> Given {
    let mut run = run.clone();
    run.insert(name.into(), value.clone());
    run
}

/// The flag that gives the option `name`.
pub(super) fn flag(name: &str) -> String {
    match name {
        "shuffle" => "--no-shuffle".into(),
        "train_eval" => "--no-train-eval".into(),
        name => format!("--{}", name.replace('_', "-")),
    }
}

/// The flag that made a list of the option `name`.
pub(super) fn flag_of_list(name: &str) -> String {
    if name == "seed" { "--seeds".into() } else { flag(name) }
}

/// Options and their values in words, with commas between them.
pub(super) fn in_words<'a>(options: impl IntoIterator<Item = (&'a String, &'a Value)>) -> String {
    let option = |(name, value): (&String, &Value)| format!("{} {}", name.replace('_', "-"), shown(value));
    options.into_iter().map(option).collect::<Vec<_>>().join(", ")
}

/// Seeds of as many runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) Vec<u64>);

/// The most runs that one command makes.
const MOST_RUNS: u64 = 100_000;

fn parse_seeds(text: &str) -> std::result::Result<Seeds, String> {
    let seeds = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<u64>().ok(), last.trim_start_matches('=').trim().parse().ok());
            first
                .zip(last)
                .filter(|(first, last)| first <= last && last - first < MOST_RUNS)
                .map(|(a, b)| (a..=b).collect())
        }
        None => text.split(',').map(|seed| seed.trim().parse().ok()).collect(),
    };
    seeds
        .map(Seeds)
        .ok_or_else(|| "give the first and the last, such as 0..9, or seeds with commas between them".into())
}

/// Widths of hidden layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) Vec<usize>);

pub(super) fn parse_hidden(text: &str) -> std::result::Result<Hidden, String> {
    if text == "none" {
        return Ok(Hidden(Vec::new()));
    }
    let width = |part: &str| part.trim().parse().ok().filter(|&width: &usize| width > 0);
    let widths: Option<Vec<usize>> = text.split(',').map(width).collect();
    widths
        .map(Hidden)
        .ok_or_else(|| "give widths above 0 with commas between them, such as 7 or 512,512; or none".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        recipe: RecipeOptions,
    }

    #[test]
    fn every_flag_sets_an_option_of_the_recipe() {
        let command = Flags::command();
        let of_many = ["help", "seeds"];
        for argument in command.get_arguments().filter(|argument| !of_many.contains(&argument.get_id().as_str())) {
            let long = format!("--{}", argument.get_long().unwrap());
            let values = ["1", "none", "he", "0.5", "tanh", "mse", "adam", "cosine", "image", "true"];
            let flags = match argument.get_action().takes_values() {
                false => command.clone().try_get_matches_from(["", &long]),
                true => values
                    .iter()
                    .map(|value| command.clone().try_get_matches_from(["", &long, value]))
                    .find(Result::is_ok)
                    .unwrap(),
            };
            let given = Flags::from_arg_matches(&flags.unwrap()).unwrap().recipe.runs().unwrap().0.remove(0);
            assert!(given.keys().any(|name| flag(name) == long), "{long}: {given:?}");
            Recipe::default().overlaid(&given).unwrap();
        }
    }
}
