//! What `--help` and man pages say beside the flags' own texts: flags in groups, and examples.

use clap::{Command, CommandFactory};

use super::Cli;

/// What stands between the name of a group and its example.
const SUCH_AS: &str = ", such as ";

/// A group of flags: its name and an example, and the flags.
type Group = (&'static str, &'static [&'static str]);

/// Groups in the order of help texts. A flag in none of them is special to its command, and stands before them.
const GROUPS: [Group; 6] = [
    (
        "Data, such as --data table.csv --target price --ignore id",
        &[
            "data",
            "data_dir",
            "label",
            "target",
            "task",
            "header",
            "ignore",
            "categories",
            "max_categories",
            "weight",
            "missing",
            "missing_values",
            "delimiter",
            "decimal",
            "skip_lines",
            "test",
            "test_split",
            "validation_split",
            "scale",
            "arrays",
            "transpose",
            "image_size",
            "framing",
            "colour",
            "skip_broken",
            "split",
            "offline",
            "mirror",
            "fetch_timeout",
            "groups",
            "part",
            "training_log",
        ],
    ),
    (
        "Network, such as --hidden 128,64 --activation gelu --dropout 0.2",
        &[
            "recipe",
            "hidden",
            "activation",
            "init",
            "embed",
            "trained_scale",
            "dropout",
            "input_dropout",
            "init_from",
            "layers",
            "normalize",
            "member",
        ],
    ),
    (
        "Training, such as --optimizer adamw --lr 0.001 --schedule cosine --epochs 20",
        &[
            "loss",
            "label_smoothing",
            "class_weight",
            "augment",
            "optimizer",
            "momentum",
            "beta1",
            "beta2",
            "epsilon",
            "weight_decay",
            "decay_biases",
            "clip_norm",
            "schedule",
            "lr",
            "lr_decay",
            "lr_decay_every",
            "min_lr",
            "gamma",
            "warmup",
            "epochs",
            "batch_size",
            "seed",
            "no_shuffle",
            "early_stop",
            "min_delta",
            "target_accuracy",
            "max_seconds",
            "eval_every",
            "no_train_eval",
            "resume",
            "config",
        ],
    ),
    (
        "Many networks, such as --seeds 0..9 --shard auto --parts DIR",
        &[
            "members",
            "seeds",
            "folds",
            "repeats",
            "trials",
            "time",
            "space",
            "print_space",
            "shard",
            "parts",
            "patience",
        ],
    ),
    (
        "Device, such as --backend gpu --adapter 0",
        &["backend", "adapter", "gpu_memory", "precision", "plan", "threads", "tune", "exact", "no_check"],
    ),
    (
        "Output, such as --save model.safetensors --log run.jsonl",
        &[
            "run_dir",
            "save",
            "save_every",
            "save_best",
            "checkpoint",
            "checkpoint_every",
            "save_ensemble",
            "out_of_fold",
            "log",
            "tensorboard",
            "mlflow",
            "output",
            "json",
            "quiet",
            "verbose",
            "dashboard",
            "top",
            "row_numbers",
            "probabilities",
            "keep",
            "column_names",
            "framed",
            "units",
            "what",
            "format",
        ],
    ),
];

/// Examples of commands.
const EXAMPLES: [(&str, &[&str]); 13] = [
    (
        "train",
        &[
            "mlp-gpu train",
            "mlp-gpu train --data table.csv --target price --save model.safetensors",
            "mlp-gpu train --data pictures/ --hidden 512,512 --augment shift:2,rotate:15",
            "mlp-gpu train --data table.csv --label churn --members 16 --save all.safetensors",
            "mlp-gpu train --data table.csv --label churn --run-dir auto",
        ],
    ),
    (
        "cv",
        &[
            "mlp-gpu cv --data table.csv --label churn",
            "mlp-gpu cv --data table.csv --target price --folds 10 --groups customer --out-of-fold predictions.csv",
        ],
    ),
    (
        "search",
        &[
            "mlp-gpu search --data table.csv --label churn --save best.safetensors",
            "mlp-gpu search --data table.csv --label churn --trials 200 --log search.jsonl --resume search.jsonl",
        ],
    ),
    ("merge", &["mlp-gpu merge parts"]),
    ("bench", &["mlp-gpu bench", "mlp-gpu bench --hidden 128 --members 1,16,64 --backend cpu"]),
    ("check", &["mlp-gpu check --backend gpu"]),
    ("eval", &["mlp-gpu eval model.safetensors --data held-back.csv --json"]),
    (
        "predict",
        &[
            "mlp-gpu predict model.safetensors digit.png",
            "mlp-gpu predict model.safetensors rows.csv --keep id --output predictions.csv",
        ],
    ),
    ("inspect", &["mlp-gpu inspect model.safetensors --units units.png"]),
    (
        "report",
        &[
            "mlp-gpu report model.safetensors --log run.jsonl",
            "mlp-gpu report model.safetensors --log run.jsonl --data held-back.csv -o held-back.html",
            "mlp-gpu report search.jsonl",
        ],
    ),
    (
        "plot",
        &[
            "mlp-gpu plot run.jsonl --what curves -o curves.svg",
            "mlp-gpu plot model.safetensors --what confusion -o confusion.png",
        ],
    ),
    ("export", &["mlp-gpu export model.safetensors --output model.onnx"]),
    ("completions", &["mlp-gpu completions bash > ~/.local/share/bash-completion/completions/mlp-gpu"]),
];

/// The command line with its groups and examples.
pub(super) fn command() -> Command {
    Cli::command().mut_subcommands(|command| {
        // What the examples of groups show are flags of training.
        let trains = ["train", "cv", "search"].contains(&command.get_name());
        let examples = EXAMPLES.iter().find(|(name, _)| *name == command.get_name());
        let command = command.mut_args(|argument| {
            let group = GROUPS.iter().find(|(_, flags)| flags.contains(&argument.get_id().as_str()));
            match group {
                Some((name, _)) if !argument.is_positional() => {
                    let alone = name.split(SUCH_AS).next().unwrap_or(name);
                    argument.help_heading(if trains { name } else { alone })
                }
                _ => argument,
            }
        });
        match examples {
            Some((_, lines)) => command.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
            None => command,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// All commands by their names, such as `data fetch`.
    fn commands(all: &Command) -> Vec<(String, &Command)> {
        let mut commands = Vec::new();
        for one in all.get_subcommands().filter(|one| one.get_name() != "help") {
            let below: Vec<_> = one.get_subcommands().filter(|below| below.get_name() != "help").collect();
            if below.is_empty() {
                commands.push((one.get_name().to_owned(), one));
            }
            commands.extend(below.into_iter().map(|two| (format!("{} {}", one.get_name(), two.get_name()), two)));
        }
        commands
    }

    /// The commands that take each flag; `all` for flags that all take.
    fn taken(commands: &[(String, &Command)]) -> BTreeMap<String, BTreeSet<String>> {
        let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, command) in commands {
            for long in command.get_arguments().filter_map(|flag| flag.get_long()) {
                taken.entry(format!("--{long}")).or_default().insert(name.clone());
            }
        }
        let all = |names: &BTreeSet<String>| names.len() == commands.len();
        taken.values_mut().filter(|names| all(names)).for_each(|names| *names = BTreeSet::from(["all".to_owned()]));
        taken
    }

    /// The flags of the guide, each with the commands that it names. Each has an example of its own.
    fn documented() -> BTreeMap<String, BTreeSet<String>> {
        let mut documented = BTreeMap::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/flags");
        for page in std::fs::read_dir(folder).expect("the folder of the guide") {
            let text = std::fs::read_to_string(page.expect("a page").path()).expect("text");
            for section in text.split("\n### ").skip(1) {
                let heading = section.lines().next().unwrap_or_default();
                let flag = heading.trim_start_matches('`').split([' ', '`']).next().unwrap_or_default().to_owned();
                let example = section.split("```").nth(1).unwrap_or_default();
                assert!(example.starts_with("sh") && example.contains(&flag), "{flag} has no example");
                let commands = section.lines().find_map(|line| line.strip_prefix("Commands: ")).unwrap_or_default();
                let commands = commands.trim_end_matches('.').split(", ").map(|name| name.trim_matches('`').to_owned());
                assert!(documented.insert(flag.clone(), commands.collect()).is_none(), "{flag} is told twice");
            }
        }
        documented
    }

    #[test]
    fn the_guide_has_every_command_and_flag_and_no_other() {
        let mut all = command();
        all.build();
        let commands = commands(&all);
        let table =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md")).expect("text");
        let rows: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `mlp-gpu ")?.split('`').next()).collect();
        let names: Vec<&str> = commands.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(BTreeSet::from_iter(&rows), BTreeSet::from_iter(&names), "docs/commands.md and the commands");
        let (taken, documented) = (taken(&commands), documented());
        for (flag, commands) in &taken {
            let told =
                documented.get(flag).unwrap_or_else(|| panic!("docs/flags/ lacks {flag}, which {commands:?} take"));
            assert_eq!(told, commands, "docs/flags/ names other commands for {flag}");
        }
        let unknown: Vec<_> = documented.keys().filter(|flag| !taken.contains_key(*flag)).collect();
        assert!(unknown.is_empty(), "docs/flags/ has flags that no command takes: {unknown:?}");
    }

    #[test]
    fn every_flag_of_what_trains_is_in_a_group_and_every_example_is_understood() {
        for name in ["train", "cv", "search"] {
            let command = command();
            let own = command.find_subcommand(name).expect("a command");
            let lost = own.get_arguments().filter(|flag| flag.get_help_heading().is_none());
            let lost: Vec<_> = lost.map(|flag| flag.get_id().as_str()).filter(|id| *id != "help").collect();
            assert!(lost.is_empty(), "{name}: {lost:?}");
        }
        for (_, lines) in EXAMPLES {
            for line in lines {
                let words = line.split(" > ").next().unwrap_or_default().split(' ');
                command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
        let flags: Vec<String> = command()
            .get_subcommands()
            .flat_map(|command| command.get_arguments().map(|flag| flag.get_id().to_string()).collect::<Vec<_>>())
            .collect();
        for flag in GROUPS.iter().flat_map(|(_, group)| *group) {
            assert!(flags.iter().any(|own| own == flag), "{flag} is a flag of no command");
        }
    }
}
