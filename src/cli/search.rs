//! `mlp-gpu search`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use self::ground::Ground;
pub(super) use self::journal::Journal;
#[cfg(any(fuzzing, test))]
pub(super) use self::option::check as check_option;
use self::trials::Search;
use super::recipe::{self, Given, RecipeOptions};
use super::shards::{ShardOptions, Shards};
use super::{ComputeOptions, DataOptions, jobs, note, print};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::observe::log::is_csv;
use crate::search::space::Space;

mod answer;
mod command;
mod ground;
mod journal;
mod option;
mod trials;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// Number of settings to try: the recipe's own, and others that are drawn by --seed
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trials: u32,
    /// End after this time, such as 60s, 5m or 1h, with the best so far: the answer then depends on the machine's speed [default:
    /// when all trials are done]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<Time>,
    /// What is drawn, in TOML: a list or a range for each option of the recipe, as --print-space prints it; an option that a flag
    /// gives is not drawn [default: hidden, activation, dropout, embed, lr and weight-decay, around
    /// the recipe's]
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// Print what would be drawn, in TOML, and end
    #[arg(long)]
    print_space: bool,
    /// Judge the trials of the last rung by the mean loss of this many folds, each held back from a network of its own, and those
    /// before by fewer; 0: by the validation part [default: for tables without --test, --test-split and --validation-split
    /// 10 up to 2500 rows and 5 up to 10000, else 0]
    #[arg(long, value_name = "K", value_parser = parse_folds)]
    folds: Option<u32>,
    /// Column of a table that says which rows belong together, such as those of a patient: all of a group are in one fold, and the
    /// column is no feature
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, requires = "folds")]
    groups: Option<String>,
    #[command(flatten)]
    recipe: RecipeOptions,
    /// How much the rows of each class weigh in training: balanced (every class the same in all), or a CSV file with a line
    /// class,weight for each class [default: all rows the same]
    #[arg(long, value_name = "balanced|FILE", conflicts_with = "label_smoothing")]
    class_weight: Option<String>,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Write the best model to this safetensors file; with --folds the networks of all folds, as an ensemble
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write an ensemble of the trials of the last rung to this safetensors file: greedily those whose mean has the least loss,
    /// from bags of them
    #[arg(long, value_name = "FILE")]
    save_ensemble: Option<PathBuf>,
    /// Write a line of JSON per trial and rung to this file, after a first one that says what is searched
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Go on with the search whose --log is this file: what is in it is not done again. It goes on in the same file, or in that of
    /// --log
    #[arg(long, value_name = "LOG")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shards: ShardOptions,
    /// How long a shard waits for others that give no sign, such as 30s or 5m, before it trains their share too
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "shard", default_value = "60s")]
    patience: Time,
    /// Print the answer as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    /// Say more of where data come from
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
}

/// A time, and how it was written.
#[derive(Debug, Clone)]
struct Time {
    text: String,
    duration: Duration,
}

fn parse_time(text: &str) -> std::result::Result<Time, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic()).len());
    let seconds = match unit {
        "s" | "" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let number = number.parse::<f64>().ok().filter(|number| *number > 0.0);
    let duration = number.zip(seconds).and_then(|(number, unit)| Duration::try_from_secs_f64(number * unit).ok());
    let duration = duration.ok_or("give a time such as 60s, 5m or 1h")?;
    Ok(Time { text: text.to_owned(), duration })
}

fn parse_folds(text: &str) -> std::result::Result<u32, String> {
    let folds = text.parse::<u32>().ok().filter(|folds| *folds == 0 || (2..=1000).contains(folds));
    folds.ok_or_else(|| "give 0, or from 2 to 1000".into())
}

impl Options {
    /// What there is to say beside the answer.
    fn tell(&self, line: &str) {
        if !self.quiet {
            note(line);
        }
    }

    /// The files that are written; what can be refused is refused.
    fn outputs(&self) -> Result<Vec<Named>> {
        let all = [("--save", &self.save), ("--save-ensemble", &self.save_ensemble), ("--log", &self.log)];
        let given = |all: &[(&'static str, &Option<PathBuf>)]| -> Vec<Named> {
            all.iter().filter_map(|(flag, path)| Some((*flag, path.as_ref()?.clone()))).collect()
        };
        let outputs = given(&all);
        outputs.iter().try_for_each(|(_, path)| files::check_replaceable(path))?;
        if let Some(path) = self.log.as_ref().filter(|path| is_csv(path)) {
            let path = path.display();
            return Err(Error::Usage(format!(
                "--log {path}: a search is logged as JSON lines: name a file such as x.jsonl"
            )));
        }
        files::check_apart(&outputs)?;
        // A log goes on in the file that it is read from.
        files::refuse_overwriting(&given(&all[..2]), &given(&[("--resume", &self.resume)]))?;
        files::refuse_overwriting(&outputs, &given(&[("--space", &self.space)]))?;
        Ok(outputs)
    }

    /// Where the networks come from.
    fn shards(&self) -> Result<Shards> {
        match (self.shards.open()?, &self.time) {
            (Shards::Share(_), Some(_)) => Err(Error::Usage(
                "--time would make the answer depend on how fast each shard is: leave it out, or leave --shard out"
                    .into(),
            )),
            (Shards::Share(share), None) => Ok(Shards::Share(share.with_patience(self.patience.duration))),
            (shards, _) => Ok(shards),
        }
    }

    /// What the flags give of every trial's recipe.
    fn given(&self) -> Result<Given> {
        let (mut runs, lists) = self.recipe.runs()?;
        match lists.first() {
            None => {
                let given = runs.pop().unwrap_or_default();
                if given.contains_key("max_seconds") {
                    let message =
                        "--max-seconds would judge trials by this machine's speed: give --time for all of them";
                    return Err(Error::Usage(message.into()));
                }
                Ok(given)
            }
            Some(list) => {
                let flag = recipe::flag_of_list(list);
                Err(Error::Usage(format!(
                    "{flag}: search takes a single value, which holds for all trials; values to draw from go into --space"
                )))
            }
        }
    }

    /// What is drawn.
    fn space(&self, ground: &Ground, given: &Given) -> Result<Space> {
        let space = match &self.space {
            None => {
                let (recipe, facts) = ground.base(given)?;
                Space::suited(&recipe, &facts)
            }
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
                Space::parse(path, &text, &option::check)?
            }
        };
        let space = space.without(|name| given.contains_key(name));
        if space.is_empty() && self.trials > 1 {
            let message =
                "nothing is left to draw: flags give all options of the space; leave one out, or give another --space";
            return Err(Error::Usage(message.into()));
        }
        Ok(space)
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    let until = options.time.as_ref().and_then(|time| Instant::now().checked_add(time.duration));
    let outputs = options.outputs()?;
    let shards = options.shards()?;
    let given = options.given()?;
    let mut selected = options.compute.request().select()?;
    selected.notes.iter().for_each(|line| options.tell(line));
    if !options.quiet {
        selected.tell = note;
    }
    let ground = Ground::read(options, &given, &outputs)?;
    let given = ground.given(&given);
    let space = options.space(&ground, &given)?;
    if options.print_space {
        return print(space.to_string().trim_end());
    }
    let trials = ground.trials(&space, &given, options.trials, options.recipe.seed())?;
    options.tell(&format!("Recipe: {}", trials[0].recipes[0]));
    let names: Vec<String> = space.names().map(|name| name.replace('_', "-")).collect();
    options.tell(&format!("Drawn: {} (--print-space: from what)", names.join(", ")));
    options.tell(&format!("Judged by: {}", ground.judging()));
    let because = selected.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    options.tell(&format!("Backend: {}{because}", jobs::device(&selected)));
    let head = json!({
        "trials": options.trials,
        "folds": ground.folds(),
        "seed": options.recipe.seed(),
        "space": space.to_string(),
        "options": given,
        "recipe": trials[0].recipes[0].options()?,
        "data": ground.identity(),
        "backend": if selected.gpu.is_some() { "gpu" } else { "cpu" },
    });
    let Value::Object(head) = head else { return Err(Error::Data("the log: its first line is no object".into())) };
    // The log of a share would lack what others found.
    let log = options.log.as_deref().filter(|_| shards.share().is_none());
    let journal = Journal::open(log, options.resume.as_deref(), head)?;
    let mut search = Search::new(options, &selected, &ground, &shards, trials, journal, until);
    match search.run()? {
        Some(found) => answer::tell(&mut search, &found),
        None => Ok(()),
    }
}
