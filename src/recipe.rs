//! The recipe: everything that decides a run's numbers beside the data. Command line, checkpoint and log hold this one type.
//!
//! Its JSON is flat, and each key is the name of the flag that sets it, in snake case: an option that is added here is in the
//! log and in the checkpoint too, and flags are laid over a recipe by their names alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::augment::Augment;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Activation, Embed, Front, Head, Init, Mlp};
use crate::schedule::{Schedule, ScheduleKind, Warmup};

mod fault;

/// A recipe by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipeName {
    /// The notebook's: 7 hidden units, plain gradient descent
    #[default]
    Notebook,
    /// For images: two hidden layers of 512 units, Adam, dropout, a cosine
    Image,
    /// For tables: three hidden layers of 128 units with GELU, AdamW, a cosine, stopped by a validation part
    Table,
}

impl RecipeName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Notebook, Self::Image, Self::Table];

    /// Its name on the command line, in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notebook => "notebook",
            Self::Image => "image",
            Self::Table => "table",
        }
    }

    /// The recipe of a run that names none: for tables `table`; for images `image`, but the notebook's for its own network, which
    /// is what a run without hidden layers of its own gets.
    pub fn suited(images: bool, hidden: Option<&[usize]>) -> Self {
        match (images, hidden) {
            (false, _) => Self::Table,
            (true, None | Some([7])) => Self::Notebook,
            (true, Some(_)) => Self::Image,
        }
    }
}

/// Everything that decides the numbers of a run, beside its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The named recipe that the defaults came from.
    #[serde(default)]
    pub recipe: RecipeName,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// The activation of the hidden layers.
    #[serde(default)]
    pub activation: Activation,
    /// How parameters start.
    pub init: Init,
    /// How features that are numbers are embedded.
    #[serde(default)]
    pub embed: Embed,
    /// Whether each input of the first layer has a factor that is trained.
    #[serde(default)]
    pub trained_scale: bool,
    /// The shares of their outputs that training drops in the hidden layers: one for all, or one per layer.
    #[serde(default)]
    pub dropout: Vec<f64>,
    /// The share of the inputs that training drops.
    #[serde(default)]
    pub input_dropout: f64,
    /// How far training moves the pixels of its images.
    #[serde(default)]
    pub augment: Augment,
    /// The loss.
    #[serde(default)]
    pub loss: Loss,
    /// The share of a label that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// The weight of each class in the loss, whose mean is divided by the weights; empty if all weigh the same.
    #[serde(default)]
    pub class_weight: Vec<f64>,
    /// Whether the rows of the training part have weights of their own.
    #[serde(default)]
    pub row_weights: bool,
    /// How parameters follow their gradients.
    #[serde(flatten)]
    pub optimizer: Optimizer,
    /// The learning rate of each step.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Passes over the training part.
    pub epochs: u32,
    /// Rows per step; at least 1.
    pub batch_size: usize,
    /// Seed of the parameters, of the order of the rows, and of the rows that are drawn.
    pub seed: u64,
    /// Whether each epoch visits the rows in a new order; otherwise in the order of the file.
    pub shuffle: bool,
    /// When the run ends before its last epoch.
    #[serde(flatten)]
    pub stopping: Stopping,
    /// Epochs from one evaluation to the next; the last epoch is always evaluated.
    #[serde(default = "one")]
    pub eval_every: u32,
    /// Whether the training part is evaluated too.
    #[serde(default = "yes")]
    pub train_eval: bool,
}

/// The share of a hidden layer of `width` units that the recipe `image` drops: wide layers overfit, narrow ones need all they
/// have. Measured on MNIST.
fn image_dropout(width: usize) -> f64 {
    match width {
        0..32 => 0.0,
        32..128 => 0.1,
        128..256 => 0.2,
        _ => 0.3,
    }
}

/// The most that the recipe `image` drops in a hidden layer if images are augmented: images that differ in every epoch are hard to
/// learn by heart. Measured on MNIST.
const AUGMENTED_DROPOUT: f64 = 0.1;

/// The weight decay and the dropout of the recipe `table` for targets that are numbers: measured to be better than those for classes.
const VALUES_DECAY: f64 = 0.1;
const VALUES_DROPOUT: f64 = 0.1;

/// What a recipe's numbers depend on in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether its rows are features of any kind, and not bytes or images.
    pub table: bool,
    /// Whether its targets are numbers.
    pub values: bool,
    /// Rows of the training part.
    pub rows: usize,
    /// Whether it has a validation part.
    pub validation: bool,
    /// Whether any of its features is a number.
    pub numbers: bool,
}

/// Steps of the recipe `table`, and epochs that it has however many rows there are.
const MOST_STEPS: u64 = 100_000;
const LEAST_EPOCHS: u32 = 10;

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// When a run ends before its last epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stopping {
    /// Evaluations without a better validation loss after which it ends; the best state is kept then.
    pub early_stop: Option<u32>,
    /// How much less the validation loss must be to count as better.
    pub min_delta: f64,
    /// The accuracy at which it ends: on the validation part, or on the test part if there is none.
    pub target_accuracy: Option<f64>,
    /// Seconds after which it ends with the epoch at hand.
    pub max_seconds: Option<f64>,
}

/// The notebook's.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            recipe: RecipeName::Notebook,
            hidden: vec![7],
            activation: Activation::Relu,
            init: Init::Normal(0.01),
            embed: Embed::None,
            trained_scale: false,
            dropout: Vec::new(),
            input_dropout: 0.0,
            augment: Augment::default(),
            loss: Loss::CrossEntropy,
            label_smoothing: 0.0,
            class_weight: Vec::new(),
            row_weights: false,
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            epochs: 10,
            batch_size: 64,
            seed: 0,
            shuffle: true,
            stopping: Stopping::default(),
            eval_every: 1,
            train_eval: true,
        }
    }
}

impl Recipe {
    /// The recipe of this name for the hidden layers of these widths, or for its own where there is none.
    pub fn new(name: RecipeName, hidden: Option<Vec<usize>>) -> Self {
        let mut recipe = Self::usual(name);
        if let Some(hidden) = hidden {
            recipe.hidden = hidden;
        }
        if name == RecipeName::Image {
            recipe.dropout = recipe.hidden.iter().map(|&width| image_dropout(width)).collect();
            if recipe.dropout.windows(2).all(|pair| pair[0] == pair[1]) {
                recipe.dropout.truncate(1);
            }
        }
        recipe
    }

    /// What the recipe of this name does whatever its layers are.
    fn usual(name: RecipeName) -> Self {
        let adam = |kind, weight_decay| Optimizer { kind, weight_decay, ..Optimizer::default() };
        let cosine = |lr| Schedule { kind: ScheduleKind::Cosine, lr, ..Schedule::default() };
        match name {
            RecipeName::Notebook => Self::default(),
            RecipeName::Image => Self {
                recipe: name,
                hidden: vec![512, 512],
                init: Init::He,
                optimizer: adam(OptimizerKind::Adam, 0.0),
                schedule: cosine(0.001),
                epochs: 25,
                batch_size: 128,
                ..Self::default()
            },
            RecipeName::Table => Self {
                recipe: name,
                hidden: vec![128, 128, 128],
                activation: Activation::Gelu,
                init: Init::He,
                embed: Embed::Pbld(Embed::DEVIATION),
                trained_scale: true,
                dropout: vec![0.2],
                optimizer: adam(OptimizerKind::AdamW, 0.3),
                schedule: cosine(0.002),
                epochs: 200,
                stopping: Stopping { early_stop: Some(40), ..Stopping::default() },
                ..Self::default()
            },
        }
    }

    /// Changes options that nobody set to what suits a data set; `left` says by name whether an option was left open.
    pub fn suit(&mut self, data: &Facts, left: impl Fn(&str) -> bool) {
        if data.values && left("loss") {
            self.loss = Loss::Mse;
        }
        match self.recipe {
            // The notebook's small weights need the many steps of a large data set.
            RecipeName::Notebook if data.table && left("init") => self.init = Init::He,
            RecipeName::Image if !self.augment.is_none() && left("dropout") => {
                self.dropout.iter_mut().for_each(|share| *share = share.min(AUGMENTED_DROPOUT));
            }
            RecipeName::Table => {
                if data.values && left("optimizer") && left("weight_decay") {
                    self.optimizer.weight_decay = VALUES_DECAY;
                }
                if data.values && left("dropout") {
                    self.dropout = vec![VALUES_DROPOUT];
                }
                if left("epochs") {
                    self.epochs = self.epochs_of_table(data.rows);
                }
                if !data.numbers && left("embed") {
                    self.embed = Embed::None;
                }
                // Too few rows for a validation part: all epochs are done.
                if !data.validation && left("early_stop") && left("min_delta") {
                    self.stopping.early_stop = None;
                }
            }
            RecipeName::Notebook | RecipeName::Image => {}
        }
    }

    /// The epochs of the recipe `table` on a training part of `rows` rows: fewer where they have very many steps.
    fn epochs_of_table(&self, rows: usize) -> u32 {
        let steps = rows.div_ceil(self.batch_size.max(1)).max(1) as u64;
        u32::try_from(MOST_STEPS / steps).unwrap_or(u32::MAX).clamp(LEAST_EPOCHS, self.epochs.max(LEAST_EPOCHS))
    }

    /// The model that it trains on `data`.
    ///
    /// # Errors
    /// [`Error::Usage`] for widths that make no network.
    pub fn model_of(&self, data: &Dataset) -> Result<Mlp> {
        self.model(data.train.width, data.outputs())?.with_front(self.front(data.numbers()))
    }

    /// The model that it trains on rows of `inputs` values with `outputs` classes or target values, without a front.
    ///
    /// # Errors
    /// [`Error::Usage`] for widths that make no network.
    pub fn model(&self, inputs: usize, outputs: usize) -> Result<Mlp> {
        self.apply(Mlp::new(&[&[inputs], &self.hidden[..], &[outputs]].concat())?)
    }

    /// The front of its models, if the features `numbers`, in ascending order, are numbers.
    pub fn front(&self, numbers: Vec<u32>) -> Front {
        let (embedded, deviation) = match self.embed {
            Embed::None => (Vec::new(), 0.0),
            Embed::Pbld(deviation) => (numbers, deviation),
        };
        Front { embedded, deviation, scaled: self.trained_scale }
    }

    /// `model` with this recipe's activation, head and dropout.
    ///
    /// # Errors
    /// [`Error::Usage`] for dropout that does not fit its layers.
    pub fn apply(&self, model: Mlp) -> Result<Mlp> {
        let model = model.with_activation(self.activation).with_head(self.loss.head());
        model.with_dropout(self.input_dropout, &self.dropout)
    }

    /// Whether rows weigh differently in the loss.
    pub fn weighs_rows(&self) -> bool {
        self.row_weights || !self.class_weight.is_empty()
    }

    /// Whether networks that are trained by this recipe and by `other` can be one pack: whether both are the same but for numbers
    /// that each member may have for itself.
    pub fn packs_with(&self, other: &Self) -> bool {
        let drops = |recipe: &Self| {
            let share = |layer: usize| match &recipe.dropout[..] {
                [share] => *share > 0.0,
                shares => shares.get(layer).is_some_and(|&share| share > 0.0),
            };
            (recipe.input_dropout > 0.0, (0..recipe.hidden.len()).map(share).collect::<Vec<_>>())
        };
        let optimizer = |recipe: &Self| (recipe.optimizer.kind, recipe.optimizer.clip_norm.is_some());
        (&self.hidden, self.activation, self.loss, self.batch_size)
            == (&other.hidden, other.activation, other.loss, other.batch_size)
            && (self.embed, self.trained_scale) == (other.embed, other.trained_scale)
            && (self.augment, &self.class_weight, self.row_weights)
                == (other.augment, &other.class_weight, other.row_weights)
            && optimizer(self) == optimizer(other)
            && drops(self) == drops(other)
    }

    /// This recipe with the options in `flags`, which have the names of its JSON; null stands for what is not given.
    ///
    /// # Errors
    /// [`Error::Usage`] for an option that it does not have, or a value that the option does not take.
    pub fn overlaid(&self, flags: &Map<String, Value>) -> Result<Self> {
        let mut options = self.options()?;
        for (name, value) in flags.iter().filter(|(_, value)| !value.is_null()) {
            match options.get_mut(name) {
                Some(option) => *option = value.clone(),
                None => return Err(Error::Usage(format!("a recipe has no option {name}"))),
            }
        }
        serde_json::from_value(Value::Object(options)).map_err(|error| Error::Usage(format!("recipe: {error}")))
    }

    /// Its options by name.
    ///
    /// # Errors
    /// [`Error::Usage`] for a number that JSON does not have, such as NaN.
    pub fn options(&self) -> Result<Map<String, Value>> {
        match serde_json::to_value(self) {
            Ok(Value::Object(options)) => Ok(options),
            Ok(other) => Err(Error::Usage(format!("a recipe is not {other}"))),
            Err(error) => Err(Error::Usage(format!("recipe: {error}"))),
        }
    }
}

/// What it does, in a line.
impl fmt::Display for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hidden, optimizer, schedule, epochs, batch_size, .. } = self;
        write!(out, "{}: ", self.recipe.name())?;
        match &hidden[..] {
            [] => write!(out, "no hidden layers")?,
            hidden => write!(out, "hidden {}, {}", listed(hidden), self.activation.name())?,
        }
        if self.embed != Embed::None {
            write!(out, ", numbers embedded by {}", self.embed)?;
        }
        if self.trained_scale {
            write!(out, ", inputs scaled by training")?;
        }
        write!(out, ", init {}; {} at {}, {}", self.init, optimizer.kind.name(), schedule.lr, schedule.kind.name())?;
        match schedule.warmup {
            Warmup::Steps(0) => {}
            Warmup::Steps(_) => write!(out, " after a warm-up of {} steps", schedule.warmup)?,
            Warmup::Share(_) => write!(out, " after a warm-up of {} of the steps", schedule.warmup)?,
        }
        if optimizer.weight_decay > 0.0 {
            write!(out, ", weight decay {}", optimizer.weight_decay)?;
        }
        if let Some(norm) = optimizer.clip_norm {
            write!(out, ", gradients clipped to {norm}")?;
        }
        if self.dropout.iter().any(|&share| share > 0.0) && !hidden.is_empty() {
            write!(out, ", dropout {}", listed(&self.dropout))?;
        }
        if self.input_dropout > 0.0 {
            write!(out, ", of inputs {}", self.input_dropout)?;
        }
        if !self.augment.is_none() {
            write!(out, ", images augmented by {}", self.augment)?;
        }
        write!(out, "; {}", self.loss.name())?;
        if self.label_smoothing > 0.0 {
            write!(out, ", labels smoothed by {}", self.label_smoothing)?;
        }
        let of = if *epochs == 1 { "epoch" } else { "epochs" };
        write!(out, ", {epochs} {of} of batches of {batch_size}")?;
        if let Some(patience) = self.stopping.early_stop {
            write!(out, ", ended {patience} after the least validation loss")?;
        }
        Ok(())
    }
}

/// An option's value as it is given on the command line.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// Values with commas between them.
fn listed<T: fmt::Display>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// How parameters follow their gradients. Formulas and defaults are those of `torch.optim`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// The rule.
    #[serde(rename = "optimizer")]
    pub kind: OptimizerKind,
    /// For `momentum` and `nesterov`: the share of the last step that is taken again.
    pub momentum: f64,
    /// How slowly Adam's mean of the gradients changes.
    pub beta1: f64,
    /// How slowly Adam's mean of the squared gradients changes.
    pub beta2: f64,
    /// Added to Adam's divisor.
    pub epsilon: f64,
    /// The weight decay: an L2 penalty, but for `adamw`, which shrinks the parameters themselves.
    pub weight_decay: f64,
    /// Whether biases decay too.
    pub decay_biases: bool,
    /// The greatest norm of the gradient of a step, over all parameters.
    pub clip_norm: Option<f64>,
}

/// PyTorch's defaults, and plain SGD.
impl Default for Optimizer {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Sgd,
            momentum: 0.9,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay_biases: true,
            clip_norm: None,
        }
    }
}

/// A rule by which parameters follow their gradients.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Plain gradient descent
    #[default]
    Sgd,
    /// With momentum
    Momentum,
    /// With Nesterov's momentum
    Nesterov,
    /// Adam (Kingma and Ba 2014)
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2017)
    #[value(name = "adamw")]
    AdamW,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sgd, Self::Momentum, Self::Nesterov, Self::Adam, Self::AdamW];

    /// Its name in recipes, files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Momentum => "momentum",
            Self::Nesterov => "nesterov",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
        }
    }

    /// The learning rate that suits most networks.
    pub fn usual_rate(self) -> f64 {
        match self {
            Self::Sgd => 0.1,
            Self::Momentum | Self::Nesterov => 0.01,
            Self::Adam | Self::AdamW => 0.001,
        }
    }

    /// Values that it keeps per parameter from step to step.
    pub fn slots(self) -> usize {
        match self {
            Self::Sgd => 0,
            Self::Momentum | Self::Nesterov => 1,
            Self::Adam | Self::AdamW => 2,
        }
    }
}

/// What training minimises: a mean over the rows of a batch.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The cross-entropy of the classes
    #[default]
    CrossEntropy,
    /// The mean squared error
    Mse,
    /// The mean absolute error
    Mae,
    /// Half the squared error up to 1, the absolute error less a half beyond
    Huber,
}

impl Loss {
    /// Its name in recipes, files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::Huber => "huber",
        }
    }

    /// The head that it is for.
    pub fn head(self) -> Head {
        match self {
            Self::CrossEntropy => Head::Classes,
            Self::Mse | Self::Mae | Self::Huber => Head::Values,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_flat_json_with_the_names_of_the_flags() {
        let options = Recipe::default().options().unwrap();
        assert!(options.values().all(|value| !value.is_object()), "{options:?}");
        for (name, value) in [
            ("hidden", "[7]"),
            ("init", "\"normal:0.01\""),
            ("augment", "\"none\""),
            ("optimizer", "\"sgd\""),
            ("lr", "0.2"),
        ] {
            assert_eq!(options[name].to_string(), value);
        }
        let back: Recipe = serde_json::from_value(Value::Object(options)).unwrap();
        assert_eq!(back, Recipe::default());
    }

    #[test]
    fn a_recipe_tells_all_that_trains_and_nothing_that_does_not() {
        let mut recipe = Recipe::default();
        let plain = "notebook: hidden 7, relu, init normal:0.01; sgd at 0.2, notebook; cross-entropy, 10 epochs of batches of 64";
        assert_eq!(recipe.to_string(), plain);
        (recipe.schedule.warmup, recipe.optimizer.clip_norm) = (Warmup::Share(0.05), Some(1.5));
        (recipe.augment, recipe.label_smoothing, recipe.epochs) = ("shift:2".parse().unwrap(), 0.1, 1);
        let told = "notebook: hidden 7, relu, init normal:0.01; sgd at 0.2, notebook after a warm-up of 5% of the steps, gradients \
                    clipped to 1.5, images augmented by shift:2; cross-entropy, labels smoothed by 0.1, 1 epoch of batches of 64";
        assert_eq!(recipe.to_string(), told);
        recipe.schedule.warmup = Warmup::Steps(500);
        assert!(recipe.to_string().contains(", notebook after a warm-up of 500 steps, "), "{recipe}");
    }

    #[test]
    fn a_recipe_is_fitted_to_its_layers() {
        let dropout = |hidden: &[usize]| Recipe::new(RecipeName::Image, Some(hidden.to_vec())).dropout;
        assert_eq!((dropout(&[512, 512]), Recipe::new(RecipeName::Image, None).dropout), (vec![0.3], vec![0.3]));
        assert_eq!(dropout(&[128, 128, 128, 128]), [0.2]);
        assert_eq!(dropout(&[512, 64, 10]), [0.3, 0.1, 0.0]);
        assert_eq!(dropout(&[]), [0.0; 0]);
        for name in RecipeName::ALL {
            assert_eq!(Recipe::new(name, None).recipe, name);
        }
    }

    #[test]
    fn very_many_rows_get_fewer_epochs_of_a_table() {
        let table = Recipe::new(RecipeName::Table, None);
        let epochs = [150, 30_000, 100_000, 10_000_000].map(|rows| table.epochs_of_table(rows));
        assert_eq!(epochs, [200, 200, 63, 10]);
    }

    #[test]
    fn flags_are_laid_over_it_and_unknown_ones_are_refused() {
        let flags = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let recipe = Recipe::default().overlaid(&flags(r#"{"hidden": [5, 4], "lr": 0.5, "seed": null}"#)).unwrap();
        let expected =
            Recipe { hidden: vec![5, 4], schedule: Schedule { lr: 0.5, ..Schedule::default() }, ..Recipe::default() };
        assert_eq!(recipe, expected);
        assert!(Recipe::default().overlaid(&flags(r#"{"depth": 3}"#)).is_err());
        assert!(Recipe::default().overlaid(&flags(r#"{"init": "random"}"#)).is_err());
    }
}
