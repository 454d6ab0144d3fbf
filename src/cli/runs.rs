//! `mlp-gpu runs list`, `runs compare` and `runs clean`

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::run_folder::{ALL, CONFIG, Kept, MODEL, RUNS};
use super::train::table::{aligned, digits};
use super::{note, print};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::observe::log::OF_ALL;
use crate::report::{self, log::Run};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the runs in a folder: their data, best epochs, figures and times
    List(ListOptions),
    /// Set runs beside each other: what differs in their options, their best epochs, figures and times
    Compare(CompareOptions),
    /// Remove the folders of runs that never finished an epoch, after naming them
    Clean(CleanOptions),
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// The folder that holds the folders of the runs
    #[arg(value_name = "DIR", default_value = RUNS)]
    folder: PathBuf,
    /// Print all figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompareOptions {
    /// Folders of train --run-dir
    #[arg(value_name = "DIR", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// Write a page with their curves and this table to this file, in HTML
    #[arg(long, short, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Print all figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CleanOptions {
    /// The folder that holds the folders of the runs
    #[arg(value_name = "DIR", default_value = RUNS)]
    folder: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::List(options) => list(options),
        Command::Compare(options) => compare(options),
        Command::Clean(options) => clean(options),
    }
}

/// What a table shows of the figures of a best epoch, those that matter first.
const SHOWN: [&str; 6] =
    ["validation_loss", "validation_accuracy", "validation_rmse", "test_accuracy", "test_rmse", "train_loss"];

impl Kept {
    /// The figures of the best epoch.
    fn figures(&self) -> BTreeMap<&str, f64> {
        let figures = self.log.best().map(|(best, _)| best.figures.iter()).into_iter().flatten();
        figures.map(|(name, figure)| (&name[..], *figure)).filter(|(name, _)| !OF_ALL.contains(name)).collect()
    }

    /// What a cell says of a figure of the best epoch.
    fn cell(&self, name: &str) -> String {
        self.figures().get(name).map_or_else(|| "-".into(), |figure| digits(*figure))
    }

    fn best_epoch(&self) -> Option<u32> {
        self.log.best().map(|(best, _)| best.number)
    }

    fn best_cell(&self) -> String {
        self.best_epoch().map_or_else(|| "-".into(), |epoch| epoch.to_string())
    }

    /// How far it came: the epochs that are done, and those that it was to have.
    fn progress(&self) -> String {
        let asked = self.options.get("epochs").map_or_else(|| "?".into(), toml::Value::to_string);
        format!("{} of {asked}", self.log.epochs.len())
    }

    fn json(&self) -> Value {
        json!({
            "run": self.path.display().to_string(),
            "data": self.log.head.get("data"),
            "options": self.options,
            "epochs": self.log.epochs.len(),
            "best_epoch": self.best_epoch(),
            "figures": self.figures(),
            "seconds": self.log.seconds(),
        })
    }
}

/// Those of the figures that are shown that any of `runs` has.
fn shown(runs: &[Kept]) -> Vec<&'static str> {
    SHOWN.into_iter().filter(|name| runs.iter().any(|run| run.figures().contains_key(name))).collect()
}

fn in_words(name: &str) -> String {
    name.replace('_', " ").replace("rmse", "RMSE")
}

fn list(options: &ListOptions) -> Result<()> {
    let runs = Kept::all(&options.folder)?;
    if options.json {
        return print(&Value::from(runs.iter().map(Kept::json).collect::<Vec<_>>()).to_string());
    }
    if runs.is_empty() {
        note(&format!("{} holds no runs: train --run-dir auto makes one", options.folder.display()));
        return Ok(());
    }
    // The figure that chose the epoch and one of the test part: more do not fit a line.
    let figures = shown(&runs);
    let first = figures.iter().find(|name| name.starts_with("validation"));
    let test = figures.iter().find(|name| name.starts_with("test"));
    let figures: Vec<&str> = first.into_iter().chain(test).copied().collect();
    let mut lines = vec![["run", "epochs", "best"].map(String::from).to_vec()];
    lines[0].extend(figures.iter().map(|name| in_words(name)));
    lines[0].push("time".into());
    for run in &runs {
        let mut line = vec![run.name(), run.progress(), run.best_cell()];
        line.extend(figures.iter().map(|name| run.cell(name)));
        line.push(format!("{:.1} s", run.log.seconds()));
        lines.push(line);
    }
    print(&aligned(&lines))
}

fn compare(options: &CompareOptions) -> Result<()> {
    if let Some(path) = &options.output {
        files::check_replaceable(path)?;
        let files_of = |run: &PathBuf| ALL.map(|name| ("<DIR>", run.join(name)));
        let inputs: Vec<Named> = options.runs.iter().flat_map(files_of).collect();
        files::refuse_overwriting(&[("--output", path.clone())], &inputs)?;
    }
    let runs = options.runs.iter().map(|path| Kept::read(path)).collect::<Result<Vec<_>>>()?;
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.options.keys()).collect();
    let value = |run: &Kept, name: &str| run.options.get(name).cloned();
    let differs = |name: &&&String| runs.iter().any(|run| value(run, name) != value(&runs[0], name));
    let differing: Vec<&String> = names.iter().filter(differs).copied().collect();
    if options.json {
        let all: Vec<Value> = runs.iter().map(Kept::json).collect();
        return print(&json!({ "differing": differing, "runs": all }).to_string());
    }
    // A line per option or figure: runs have few of them that are beside each other, and long names.
    let line = |name: &str, cell: &dyn Fn(&Kept) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(runs.iter().map(cell)).collect()
    };
    let mut lines = vec![line("", &Kept::name)];
    for name in differing {
        lines.push(line(name, &|run| match value(run, name) {
            None => "-".into(),
            Some(toml::Value::String(text)) => text,
            Some(toml::Value::Array(values)) => {
                let texts = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), String::from));
                texts.collect::<Vec<_>>().join(",")
            }
            Some(value) => value.to_string(),
        }));
    }
    lines.push(line("epochs done", &|run| run.progress()));
    lines.push(line("best epoch", &Kept::best_cell));
    for name in shown(&runs) {
        lines.push(line(&in_words(name), &|run| run.cell(name)));
    }
    lines.push(line("time", &|run| format!("{:.1} s", run.log.seconds())));
    print(&aligned(&lines))?;
    if let Some(path) = &options.output {
        let logs: Vec<Run> = runs.iter().map(|run| Run { name: run.name(), ..run.log.clone() }).collect();
        files::write(path, report::compared(&logs, &lines).as_bytes())?;
        note(&format!("The page is in {}", path.display()));
    }
    Ok(())
}

fn clean(options: &CleanOptions) -> Result<()> {
    let mut empty: Vec<(Kept, File)> = Vec::new();
    for run in Kept::all(&options.folder)?
        .into_iter()
        .filter(|run| run.log.epochs.is_empty() && !run.path.join(MODEL).exists())
    {
        let file = run.path.join(CONFIG);
        let lock = File::open(&file).map_err(Error::io("read", &file))?;
        // A run that is under way holds it.
        if lock.try_lock().is_err() {
            note(&format!("{} is under way: it stays", run.path.display()));
            continue;
        }
        if let Some(other) = foreign(&run.path)? {
            note(&format!("{} stays: {other} is no file of a run", run.path.display()));
            continue;
        }
        print(&run.path.display().to_string())?;
        empty.push((run, lock));
    }
    if empty.is_empty() {
        note(&format!("Nothing to remove: every run in {} finished an epoch", options.folder.display()));
        return Ok(());
    }
    if !options.yes && !asked(empty.len())? {
        note("Nothing is removed");
        return Ok(());
    }
    for (run, _) in &empty {
        for name in ALL {
            let file = run.path.join(name);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &file)(error));
                }
                _ => {}
            }
        }
        std::fs::remove_dir(&run.path).map_err(Error::io("remove", &run.path))?;
    }
    note(&format!("{} removed", empty.len()));
    Ok(())
}

/// The name of something in the folder that a run does not write.
fn foreign(folder: &Path) -> Result<Option<String>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.find(|name| !ALL.contains(&name.as_str())))
}

/// Whether the user wants so many folders removed.
fn asked(count: usize) -> Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::Usage("nobody can be asked: --yes removes these folders".into()));
    }
    let mut error = std::io::stderr();
    let _ = write!(error, "Remove {count} folders? [y/N] ");
    let _ = error.flush();
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(Error::io("read", "standard input".as_ref()))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
