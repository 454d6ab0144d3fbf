//! The lines of JSON that `train`, `cv` and `search` write with `--log`, read back.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::recipe::shown;

pub use search::Search;

mod search;

/// What a log holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Log {
    /// A single run.
    Run(Run),
    /// Several runs: those of lists of options, of an ensemble, or of folds.
    Runs(Vec<Run>),
    /// A search.
    Search(Search),
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What the first line of a single run says: the data, the network, every option.
    pub head: Map<String, Value>,
    /// What sets it apart from others, such as `fold 1` or `lr 0.01, seed 2`.
    pub name: String,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
}

/// An epoch of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u32,
    /// Figures by names such as `validation_loss` and `lr`. Those that are not finite are missing.
    pub figures: BTreeMap<String, f64>,
}

impl Log {
    /// Reads the log at `path`. A last line that was being written when the run ended is left aside.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] naming the line that is none of a log.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::parse(path, &bytes)
    }

    /// The log that `bytes` hold, which messages call `path`.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let whole = bytes.ends_with(b"\n");
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let mut values = Vec::new();
        for (number, line) in (1..).zip(&lines).filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice::<Value>(line) {
                Ok(Value::Object(object)) => values.push((number, object)),
                Err(_) if !whole && number == lines.len() && number > 1 => {}
                Ok(_) | Err(_) => return Err(stray(path, number, "no JSON object")),
            }
        }
        let Some((_, first)) = values.first() else {
            return Err(Error::file(path, "no lines", "a log of JSON lines, as train, cv and search --log write"));
        };
        if let Some(head) = first.get("search") {
            let head = head.as_object().cloned().unwrap_or_default();
            let found = values.drain(1..).map(|(number, line)| {
                serde_json::from_value(Value::Object(line)).map_err(|error| stray(path, number, &error.to_string()))
            });
            return Ok(Self::Search(Search { head, found: found.collect::<Result<_>>()? }));
        }
        let head = match first.contains_key("epoch") {
            true => None,
            false => Some(values.remove(0).1),
        };
        let mut runs: Vec<Run> = Vec::new();
        let single = head.is_some();
        for (number, line) in values {
            let epoch = Epoch::of(&line).ok_or_else(|| stray(path, number, "no epoch"))?;
            let name = if single { String::new() } else { name_of(&line) };
            match runs.iter_mut().find(|run| run.name == name) {
                Some(run) => run.epochs.push(epoch),
                None => runs.push(Run { head: Map::new(), name, epochs: vec![epoch] }),
            }
        }
        match head {
            Some(head) if head.contains_key("widths") => {
                let epochs = runs.pop().map(|run| run.epochs).unwrap_or_default();
                Ok(Self::Run(Run { head, name: String::new(), epochs }))
            }
            Some(_) => Err(stray(path, 1, "neither options nor an epoch")),
            None => {
                name_rates(&mut runs);
                Ok(Self::Runs(runs))
            }
        }
    }
}

fn stray(path: &Path, line: usize, found: &str) -> Error {
    Error::file(path, format!("in line {line} {found}"), "a log of JSON lines, as train, cv and search --log write")
}

/// Adds the learning rate to the names of runs that keep one rate each, not one per epoch, and differ in it.
fn name_rates(runs: &mut [Run]) {
    let rate = |run: &Run| {
        let first = run.epochs.first()?.figure("lr");
        run.epochs.iter().all(|epoch| epoch.figure("lr") == first).then_some(first)
    };
    let rates: Option<Vec<f64>> = runs.iter().map(rate).collect();
    let Some(rates) = rates.filter(|rates| rates.windows(2).any(|pair| pair[0] != pair[1])) else { return };
    for (run, rate) in runs.iter_mut().zip(rates) {
        let between = if run.name.contains(':') { "," } else { ":" };
        run.name += &format!("{between} lr {rate}");
    }
}

/// What sets a run apart, which each of its lines says.
fn name_of(line: &Map<String, Value>) -> String {
    let text = |key: &str| line.get(key).map(Value::to_string);
    match (text("fold"), text("repeat"), text("run")) {
        (Some(fold), Some(repeat), _) if repeat != "1" => format!("fold {fold} of repeat {repeat}"),
        (Some(fold), ..) => format!("fold {fold}"),
        (None, _, run) => {
            let own = ["epoch", "lr", "run", "samples_per_second", "train_seconds", "eval_seconds"];
            let is_figure = |key: &str| ["train_", "test_", "validation_"].iter().any(|part| key.starts_with(part));
            let varied = line.iter().filter(|(key, _)| !own.contains(&key.as_str()) && !is_figure(key));
            let varied: Vec<String> =
                varied.map(|(key, value)| format!("{} {}", key.replace('_', "-"), shown(value))).collect();
            let run = format!("run {}", run.unwrap_or_default());
            if varied.is_empty() { run } else { format!("{run}: {}", varied.join(", ")) }
        }
    }
}

impl Epoch {
    fn of(line: &Map<String, Value>) -> Option<Self> {
        let number = line.get("epoch").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())?;
        let figures = line.iter().filter_map(|(key, value)| Some((key.clone(), value.as_f64()?))).collect();
        Some(Self { number, figures })
    }

    /// A figure by its name; NaN where there is none.
    pub fn figure(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or(f64::NAN)
    }
}

impl Run {
    /// The log at `path` of a single run, which may have just begun: without a file or a whole line it is empty.
    ///
    /// # Errors
    /// As [`Log::read`], also for the log of something else.
    pub fn read_begun(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        if !bytes.contains(&b'\n') {
            return Ok(Self::default());
        }
        match Log::parse(path, &bytes)? {
            Log::Run(run) => Ok(run),
            _ => Err(Error::file(path, "several runs", "the log of a single run")),
        }
    }

    /// Seconds that its epochs took.
    pub fn seconds(&self) -> f64 {
        self.sum("train_seconds") + self.sum("eval_seconds")
    }

    /// Epochs and the figure `name` of each that has it.
    pub fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let points = self.epochs.iter().map(|epoch| (f64::from(epoch.number), epoch.figure(name)));
        points.filter(|(_, figure)| figure.is_finite()).collect()
    }

    /// Whether any epoch has the figure `name`.
    pub fn has(&self, name: &str) -> bool {
        self.epochs.iter().any(|epoch| epoch.figures.contains_key(name))
    }

    /// The best epoch, by what a run keeps one by: the least validation loss, without a validation part the greatest test accuracy or
    /// the least test loss; and the name of that figure.
    pub fn best(&self) -> Option<(&Epoch, &'static str)> {
        let by = [("validation_loss", 1.0), ("test_accuracy", -1.0), ("test_loss", 1.0), ("train_loss", 1.0)];
        let (name, sign) = by.into_iter().find(|(name, _)| self.has(name))?;
        let score = |epoch: &&Epoch| sign * epoch.figure(name);
        let judged = self.epochs.iter().filter(|epoch| epoch.figure(name).is_finite());
        judged.min_by(|one, other| score(one).total_cmp(&score(other))).map(|epoch| (epoch, name))
    }

    /// The sum of the figure `name` over the epochs.
    pub fn sum(&self, name: &str) -> f64 {
        self.epochs.iter().map(|epoch| epoch.figure(name)).filter(|figure| figure.is_finite()).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Log> {
        Log::parse("log.jsonl".as_ref(), text.as_bytes())
    }

    #[test]
    fn each_kind_of_log_is_known() {
        let run = "{\"widths\":[2,2]}\n{\"epoch\":1,\"lr\":0.1,\"validation_loss\":0.5}\n{\"epoch\":2,\"validation_loss\":0.4}\n\
                   {\"epoch\":3,\"validation_loss\":null}\n{\"epo";
        let Log::Run(run) = parse(run).unwrap() else { panic!("a run") };
        assert_eq!((run.epochs.len(), run.best().unwrap().0.number, run.series("lr")), (3, 2, vec![(1.0, 0.1)]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        assert_eq!(Run::read_begun(&path).unwrap(), Run::default());
        for (begun, epochs) in
            [("", 0), ("{\"wid", 0), ("{\"widths\":[2]}\n", 0), ("{\"widths\":[2]}\n{\"epoch\":1}\n{", 1)]
        {
            std::fs::write(&path, begun).unwrap();
            assert_eq!(Run::read_begun(&path).unwrap().epochs.len(), epochs, "{begun}");
        }
        let folds = "{\"epoch\":1,\"fold\":1,\"repeat\":1}\n{\"epoch\":1,\"fold\":1,\"repeat\":2}\n{\"epoch\":2,\"fold\":1,\"repeat\":1}\n";
        let Log::Runs(runs) = parse(folds).unwrap() else { panic!("folds") };
        assert_eq!(
            (runs[0].name.as_str(), runs[0].epochs.len(), runs[1].name.as_str()),
            ("fold 1", 2, "fold 1 of repeat 2")
        );
        let Log::Runs(runs) = parse("{\"epoch\":1,\"run\":3,\"seed\":5,\"test_loss\":1,\"lr\":1}\n").unwrap() else {
            panic!("runs")
        };
        assert_eq!(runs[0].name, "run 3: seed 5");
        let rates = "{\"epoch\":1,\"run\":1,\"lr\":0.1}\n{\"epoch\":2,\"run\":1,\"lr\":0.1}\n{\"epoch\":1,\"run\":2,\"lr\":0.2}\n";
        let Log::Runs(runs) = parse(rates).unwrap() else { panic!("runs") };
        assert_eq!((runs[0].name.as_str(), runs[1].name.as_str()), ("run 1: lr 0.1", "run 2: lr 0.2"));
        let search = "{\"search\":{\"trials\":2}}\n{\"trial\":1,\"rung\":1,\"epochs\":3,\"setting\":{},\"epoch\":[3],\"loss\":0.5,\"figures\":{}}\n";
        let Log::Search(search) = parse(search).unwrap() else { panic!("a search") };
        assert_eq!((search.head["trials"].as_u64(), search.found[0].loss), (Some(2), Some(0.5)));
    }

    #[test]
    fn what_is_no_log_is_refused_by_its_line() {
        for (text, found) in [
            ("", "no lines"),
            ("{\"a\":1}\n", "line 1"),
            ("{\"widths\":[]}\n{\"x\":1}\n", "line 2"),
            ("{\"widths\":[]}\nx\n{\"epoch\":1}\n", "line 2"),
            ("[1]\n", "line 1"),
            ("{\"search\":{}}\n{\"trial\":1}\n", "line 2"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("log.jsonl") && error.contains(found) && !error.contains('\n'), "{error}");
        }
    }
}
