//! Flags that make the recipe of a run. Each has the name of the recipe's option that it sets.

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::parse_rate;
use crate::error::{Error, Result};
use crate::model::Init;

/// What is given of a recipe.
#[derive(Debug, Args, Serialize)]
pub(super) struct RecipeOptions {
    /// Widths of the hidden layers, with commas between them, or none [default: 7, or those of --init-from]
    #[arg(long, value_name = "WIDTHS", value_parser = parse_hidden)]
    hidden: Option<Hidden>,
    /// Passes over the training set, those before --resume included [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Rows per step [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Learning rate before the first decay, which comes before the first epoch [default: 0.2]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    lr: Option<f64>,
    /// What the learning rate falls by [default: 0.05]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    lr_decay: Option<f64>,
    /// Epochs between two decays [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lr_decay_every: Option<u32>,
    /// The learning rate never falls below this [default: 0.01]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    min_lr: Option<f64>,
    /// Initial weights: normal:DEVIATION, he, xavier, lecun or torch [default: normal:0.01 for bytes and images, else he]
    #[arg(long, value_name = "HOW")]
    init: Option<Init>,
    /// Visit the rows in the order of the files
    #[arg(long)]
    #[serde(rename = "shuffle", serialize_with = "not")]
    no_shuffle: bool,
}

/// A flag that switches an option off.
fn not<S: Serializer>(given: &bool, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    given.then_some(false).serialize(serializer)
}

impl RecipeOptions {
    /// The options that are given, by their names in a recipe.
    pub(super) fn given(&self) -> Result<Map<String, Value>> {
        let options = serde_json::to_value(self).map_err(|error| Error::Usage(error.to_string()))?;
        let options = options.as_object().cloned().unwrap_or_default();
        Ok(options.into_iter().filter(|(_, value)| !value.is_null()).collect())
    }
}

/// The flag that gives the option `name`.
pub(super) fn flag(name: &str) -> String {
    match name {
        "shuffle" => "--no-shuffle".into(),
        name => format!("--{}", name.replace('_', "-")),
    }
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
    use crate::recipe::Recipe;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        recipe: RecipeOptions,
    }

    #[test]
    fn every_flag_sets_an_option_of_the_recipe() {
        let command = Flags::command();
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let long = format!("--{}", argument.get_long().unwrap());
            let values = ["1", "none", "he", "0.5"];
            let flags = match argument.get_action().takes_values() {
                false => command.clone().try_get_matches_from(["", &long]),
                true => values
                    .iter()
                    .map(|value| command.clone().try_get_matches_from(["", &long, value]))
                    .find(Result::is_ok)
                    .unwrap(),
            };
            let given = Flags::from_arg_matches(&flags.unwrap()).unwrap().recipe.given().unwrap();
            assert_eq!(given.len(), 1, "{long}: {given:?}");
            assert_eq!(given.keys().next().map(|name| flag(name)), Some(long));
            Recipe::default().overlaid(&given).unwrap();
        }
    }
}
