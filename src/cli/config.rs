//! Flags in a file: TOML whose keys are the long names of flags. Reading one puts its flags into the command; writing one keeps what
//! a run did, so that it can be had again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};
use toml::de::DeTable;

use super::help;
use super::recipe::{flag, shown};
use crate::data::catalogue;
use crate::error::{Error, Result};

/// The subcommand that takes such a file.
const COMMAND: &str = "train";
/// Flags that say what becomes of a run and not what it does, or that make several: no file keeps them.
const NOT_KEPT: [&str; 23] = [
    "config",
    "run_dir",
    "save",
    "save_every",
    "save_best",
    "checkpoint",
    "checkpoint_every",
    "log",
    "tensorboard",
    "mlflow",
    "resume",
    "json",
    "quiet",
    "verbose",
    "dashboard",
    "offline",
    "mirror",
    "fetch_timeout",
    "members",
    "seeds",
    "shard",
    "parts",
    "help",
];
/// Flags that may name a file or a folder, which is kept as an absolute path.
const PATHS: [&str; 5] = ["data", "data_dir", "test", "init_from", "class_weight"];
/// Words that stand for something else where a path may stand, beside the names of published data sets.
const NO_PATHS: [&str; 4] = ["-", "auto", "balanced", "digits"];

/// `words`, the words of a command, with the flags of the file that its --config names. Those of the command win: a flag of the file is
/// left out where the command has it, or one that it contradicts.
///
/// # Errors
/// [`Error::File`] for a file that is no TOML, a key that is no flag, or a value that the flag does not take, with its line.
pub(super) fn expanded(words: Vec<OsString>) -> Result<Vec<OsString>> {
    if !words.iter().any(|word| word.to_string_lossy().starts_with("--config")) {
        return Ok(words);
    }
    let whole = help::command();
    // What is wrong with the command is told once the file's flags are in it.
    let Ok(matches) = whole.clone().ignore_errors(true).try_get_matches_from(&words) else { return Ok(words) };
    let Some((COMMAND, matches)) = matches.subcommand() else { return Ok(words) };
    let Some(path) = matches.get_one::<PathBuf>("config") else { return Ok(words) };
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let Some(command) = whole.find_subcommand(COMMAND) else { return Ok(words) };
    let flags = flags(path, &text, command, matches)?;
    // Flags of the program may stand before its subcommand.
    let at = words.iter().position(|word| word == COMMAND).map_or(words.len(), |at| at + 1);
    let (first, rest) = words.split_at(at);
    Ok(first.iter().cloned().chain(flags).chain(rest.iter().cloned()).collect())
}

/// The flags of the file that go into the command.
fn flags(path: &Path, text: &str, command: &Command, given: &ArgMatches) -> Result<Vec<OsString>> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let malformed = |error: toml::de::Error| {
        let line = error.span().map_or_else(String::new, |span| format!("in line {}, ", line_of(span.start)));
        Error::file(path, format!("{line}{}", error.message().replace('\n', " ")), "TOML")
    };
    let values: toml::Table = text.parse().map_err(malformed)?;
    let mut flags = Vec::new();
    for key in DeTable::parse(text).map_err(malformed)?.get_ref().keys() {
        let (name, line) = (key.get_ref().replace('_', "-"), line_of(key.span().start));
        let wrong = |found: String, expected: &str| Error::file(path, format!("in line {line}, {found}"), expected);
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(&name));
        let Some(argument) = argument.filter(|argument| !["config", "help"].contains(&argument.get_id().as_str()))
        else {
            let known = command.get_arguments().filter_map(Arg::get_long);
            let near =
                known.max_by(|a, b| strsim::jaro(a, &name).total_cmp(&strsim::jaro(b, &name))).unwrap_or_default();
            return Err(wrong(format!("the key {}", key.get_ref()), &format!("a flag of {COMMAND}, such as {near}")));
        };
        let is_given =
            |argument: &Arg| given.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
        let contradicts = |other: &&Arg| {
            let against = |one: &Arg, other: &Arg| {
                command.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
            };
            is_given(other) && (against(argument, other) || against(other, argument))
        };
        if is_given(argument) || command.get_arguments().any(|other| contradicts(&other)) {
            continue;
        }
        let value = values.get(key.get_ref().as_ref()).map(|value| serde_json::to_value(value).unwrap_or_default());
        let Some(word) = word(argument, value.as_ref().unwrap_or(&Value::Null)) else {
            let takes =
                if argument.get_action().takes_values() { "a value or a list of values" } else { "true or false" };
            return Err(wrong(format!("{name} = {}", value.unwrap_or_default()), takes));
        };
        let Some(word) = word else { continue };
        // Alone, so that what is said of it is about this line.
        let alone = command.clone().no_binary_name(true).try_get_matches_from([&word]);
        if let Err(error) = alone
            && matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues)
        {
            let told = error.to_string();
            let told = told.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            return Err(wrong(
                told.lines().map(str::trim).collect::<Vec<_>>().join(" "),
                "a value that the flag takes",
            ));
        }
        flags.push(word.into());
    }
    Ok(flags)
}

/// The word of a command that gives `argument` this value; none in it where the flag is switched off, none at all for a value that no flag
/// has.
fn word(argument: &Arg, value: &Value) -> Option<Option<String>> {
    let long = argument.get_long()?;
    match (argument.get_action(), value) {
        (ArgAction::SetTrue, Value::Bool(set)) => Some(set.then(|| format!("--{long}"))),
        (ArgAction::SetTrue, _) | (_, Value::Null | Value::Object(_)) => None,
        (_, Value::Array(values)) if values.iter().any(|value| value.is_array() || value.is_object()) => None,
        (_, value) => Some(Some(format!("--{long}={}", shown(value)))),
    }
}

/// The flags of the command that `words` are, as a file has them, with the options `recipe` in place of theirs and with `drawn` where
/// they say nothing.
pub(super) fn written(words: &[OsString], recipe: &Map<String, Value>, drawn: &Map<String, Value>) -> String {
    let whole = help::command();
    let matches = whole.clone().try_get_matches_from(words).ok();
    let matches = matches.as_ref().and_then(|matches| matches.subcommand_matches(COMMAND));
    let mut kept = drawn.clone();
    let arguments = whole.find_subcommand(COMMAND).into_iter().flat_map(Command::get_arguments);
    for (argument, matches) in arguments.filter_map(|argument| Some((argument, matches?))) {
        let id = argument.get_id().as_str();
        let by_user = matches!(
            matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id)),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if !by_user || NOT_KEPT.contains(&id) || is_of_recipe(id) {
            continue;
        }
        let value = match argument.get_action() {
            ArgAction::SetTrue => Value::Bool(true),
            _ => {
                let values = matches.get_raw(id).into_iter().flatten();
                let values: Vec<Value> = values
                    .map(|value| {
                        if PATHS.contains(&id) {
                            absolute(Path::new(value)).to_string_lossy().into_owned().into()
                        } else {
                            plain(&value.to_string_lossy())
                        }
                    })
                    .collect();
                match (argument.get_value_delimiter(), &values[..]) {
                    (None, [value]) => value.clone(),
                    _ => Value::Array(values),
                }
            }
        };
        kept.insert(id.into(), value);
    }
    kept.extend(recipe.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut text = format!("# mlp-gpu {} {COMMAND} --config FILE repeats this run.\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in &kept {
        text += &format!("{} = {}\n", &flag(name)[2..], toml_of(name, value));
    }
    text
}

/// Whether the flag `id` is an option of the recipe.
fn is_of_recipe(id: &str) -> bool {
    let id = id.strip_prefix("no_").unwrap_or(id);
    id != "class_weight" && crate::recipe::Recipe::default().options().is_ok_and(|options| options.contains_key(id))
}

/// `path` so that it can be found from any folder, if it is one.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let named = NO_PATHS.contains(&&*text) || catalogue::set(&text).is_some();
    let is_path = path.exists() || text.contains(['/', '\\', '*', '?', '.']);
    let whole = if named || !is_path { None } else { std::path::absolute(path).ok() };
    whole.unwrap_or_else(|| path.to_path_buf())
}

/// A number or a truth value as what it is, all else as text.
fn plain(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    // Only what is written back as it was.
    let written = value.to_string();
    if (value.is_number() || value.is_boolean()) && written == text { value } else { text.into() }
}

/// A value of the option `name` as TOML.
fn toml_of(name: &str, value: &Value) -> String {
    match value {
        Value::Array(values) if values.is_empty() => toml_of(name, &"none".into()),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(|value| toml_of(name, value)).collect::<Vec<_>>().join(", "))
        }
        // Flags that are given where something is not.
        Value::Bool(false) if ["shuffle", "train_eval"].contains(&name) => "true".into(),
        Value::Number(number) if number.as_i64().is_none() && number.is_u64() => format!("\"{number}\""),
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        value => value.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let line = "mlp-gpu train --data digits --ignore a,b --label=-1 --no-shuffle --test part/*.csv --colour --lr 0.5 --quiet --save m.st";
        let recipe = json!({ "hidden": [], "lr": 1e-8, "shuffle": false, "seed": u64::MAX, "dropout": [0.1, 0.2] });
        let drawn = json!({ "validation_split": 0.1, "label": "x" });
        let text = written(&words(line), recipe.as_object().unwrap(), drawn.as_object().unwrap());
        for expected in [
            "colour = true\n",
            "data = \"digits\"\n",
            "ignore = [\"a\", \"b\"]\n",
            "label = -1\n",
            "hidden = \"none\"\n",
            "lr = 1e-8\n",
            "no-shuffle = true\n",
            "seed = \"18446744073709551615\"\n",
            "validation-split = 0.1\n",
            "/part/*.csv\"\n",
        ] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
        assert!(["quiet", "save", "lr = 0.5"].iter().all(|left_out| !text.contains(left_out)), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, &text).unwrap();
        let config = format!("--config {}", path.display());
        let read = expanded(words(&format!("mlp-gpu train {config}"))).unwrap();
        help::command().try_get_matches_from(&read).unwrap();
        let again = written(&read, &Map::new(), &Map::new());
        assert!(again.lines().all(|line| text.lines().any(|known| known == line)), "{again} {text}");
        // Flags of the command win, also over others that they contradict.
        let read = expanded(words(&format!("mlp-gpu train {config} --target y --lr 1"))).unwrap();
        let read: Vec<_> = read.iter().map(|word| word.to_str().unwrap()).collect();
        assert!(!read.iter().any(|word| word.starts_with("--label") || word.starts_with("--lr=")), "{read:?}");
        assert!(read.contains(&"--hidden=none") && read.contains(&"--dropout=0.1,0.2"), "{read:?}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let command = words(&format!("mlp-gpu train --config {}", path.display()));
        for (text, parts) in [
            ("lr = 0.1\n\nlearning-rte = 1", &["line 3", "learning-rte", "lr"][..]),
            ("batch_sizes = 3", &["line 1", "batch_sizes", "such as batch-size"]),
            ("hidden = [8, 8]\nlr = \"fast\"", &["line 2", "fast", "--lr"]),
            ("lr = [", &["line 1", "TOML"]),
            ("no-shuffle = 3", &["line 1", "no-shuffle = 3", "true or false"]),
            ("[data]\npath = 3", &["data", "a value"]),
        ] {
            std::fs::write(&path, text).unwrap();
            let told = expanded(command.clone()).unwrap_err().to_string();
            parts.iter().for_each(|part| assert!(told.contains(part), "no {part} in {told}"));
            assert!(!told.contains('\n'), "{told}");
        }
    }
}
