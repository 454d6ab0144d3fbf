//! Values of a recipe's options, as the flags of `train` take them.

use clap::{CommandFactory, Parser};
use serde_json::Value;

use crate::cli::recipe::{RecipeOptions, flag, shown};

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Flags {
    #[command(flatten)]
    recipe: RecipeOptions,
}

/// `value` as a recipe has it, if the flag of the option `name` takes it; otherwise what it takes.
pub(in crate::cli) fn check(name: &str, value: &Value) -> Result<Value, String> {
    let flag = flag(name);
    let command = Flags::command();
    let known = command.get_arguments().find(|argument| Some(argument.get_long().unwrap_or_default()) == flag.get(2..));
    if !known.is_some_and(|argument| argument.get_action().takes_values()) {
        return Err("an option of train such as hidden, lr, dropout or batch_size".into());
    }
    let said = |what: &str| format!("what {flag} takes: {what}");
    let parsed = Flags::try_parse_from([format!("{flag}={}", shown(value))]).map_err(|error| {
        let text = error.to_string();
        let paragraph = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        said(&paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "))
    })?;
    let (mut runs, lists) = parsed.recipe.runs().map_err(|error| error.to_string())?;
    let own = runs.pop().and_then(|mut given| given.remove(name));
    own.filter(|_| lists.is_empty()).ok_or_else(|| said("a single value"))
}
