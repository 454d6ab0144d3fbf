//! The command that trains a trial again.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory};
use serde_json::Value;

use crate::cli::recipe::{Given, flag, shown};
use crate::cli::{Cli, quoted};

/// Flags of `search` that `train` and `cv` do not take, or that say what is done with the answer.
const OWN: [&str; 15] = [
    "trials",
    "time",
    "space",
    "print_space",
    "save",
    "save_ensemble",
    "log",
    "resume",
    "shard",
    "parts",
    "patience",
    "json",
    "quiet",
    "verbose",
    "help",
];

/// The command that trains one trial: the flags of `words`, a command of `search`, and the options `set` in place of theirs. With
/// `folds` it is that of cross-validation.
pub(super) fn of(words: Vec<OsString>, set: &Given, folds: Option<u32>) -> String {
    let mut line = vec![if folds.is_some() { "mlp-gpu cv".to_owned() } else { "mlp-gpu train".to_owned() }];
    let command = Cli::command();
    let own = command.find_subcommand("search");
    let matches = command.clone().try_get_matches_from(words).ok();
    let matches = matches.as_ref().and_then(|matches| matches.subcommand_matches("search"));
    for (argument, matches) in
        own.into_iter().flat_map(clap::Command::get_arguments).filter_map(|it| Some((it, matches?)))
    {
        let id = argument.get_id().as_str();
        let left_out =
            OWN.contains(&id) || id == "folds" || (id == "groups" && folds.is_none()) || set.contains_key(id);
        if left_out
            || matches.try_contains_id(id).is_err()
            || matches.value_source(id) != Some(ValueSource::CommandLine)
        {
            continue;
        }
        line.push(format!("--{}", argument.get_long().unwrap_or(id)));
        if !matches!(argument.get_action(), ArgAction::SetTrue) {
            let values = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy().into_owned());
            let between = argument.get_value_delimiter().map_or_else(|| ",".into(), |between| between.to_string());
            line.push(quoted(&values.collect::<Vec<_>>().join(&between)));
        }
    }
    line.extend(folds.map(|folds| format!("--folds {folds}")));
    let option = |(name, value): (&String, &Value)| format!("{} {}", flag(name), quoted(&shown(value)));
    line.extend(set.iter().map(option));
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_of_the_search_are_left_out_and_what_was_drawn_is_set() {
        let words = "mlp-gpu search --data t.csv --label -1 --ignore a --ignore b --trials 9 --epochs 20 --lr 0.1 --no-shuffle \
                     --save m.safetensors --threads 1 --folds 3 --early-stop";
        let mut words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        words.extend(["--target-accuracy", "0.9", "--test", "it's a file"].map(OsString::from));
        let set = Given::from_iter([("epochs".into(), json!(5)), ("hidden".into(), json!([64, 32]))]);
        let command = of(words.clone(), &set, None);
        assert!(command.starts_with("mlp-gpu train --data t.csv --label -1 --ignore a,b --test "), "{command}");
        assert!(command.contains(r"--test 'it'\''s a file'"), "{command}");
        for flag in ["--lr 0.1", "--threads 1", "--no-shuffle", "--early-stop 10", "--target-accuracy 0.9"] {
            assert!(command.contains(flag), "{command}");
        }
        assert!(command.ends_with("--epochs 5 --hidden 64,32") && !command.contains("--epochs 20"), "{command}");
        assert!(["--trials", "--save", "--folds"].iter().all(|flag| !command.contains(flag)), "{command}");
        // They may be those of the search's own choice.
        let command = of(words, &set, Some(5));
        assert!(command.starts_with("mlp-gpu cv --data t.csv ") && command.contains(" --folds 5 "), "{command}");
    }
}
