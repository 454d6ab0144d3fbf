//! The table of several runs: what they differ in, and how good they are, the best first.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::cli::recipe::{Given, in_words, shown};
use crate::cli::terminal::WIDTH;
use crate::cli::{note, print, print_text};
use crate::data::{Dataset, TargetScale};
use crate::error::{Error, Result};
use crate::many::Trained;
use crate::metrics::{Evaluation, mean_and_deviation};
use crate::observe::log::{Log, of_epoch};
use crate::train::Epoch;

/// One run.
pub(super) struct Row {
    number: usize,
    /// What it has of the options in which runs differ.
    varied: Given,
    /// The epoch that is kept; none where it failed.
    epoch: Option<Epoch>,
    /// Whether it is as it would be had nobody stopped it.
    pub(super) whole: bool,
    /// What it failed with.
    pub(super) failure: Option<String>,
}

impl Row {
    /// The run `number`, which `trained`.
    fn of(number: usize, varied: Given, trained: &Trained) -> Self {
        let kept = |epoch: &&Epoch| epoch.number == trained.outcome.epoch;
        let epoch = trained.epochs.iter().find(kept).or(trained.epochs.last()).cloned();
        Self { number, varied, epoch, whole: trained.is_whole(), failure: None }
    }

    /// The run `number`, which failed.
    fn failed(number: usize, varied: Given, error: &Error) -> Self {
        Self { number, varied, epoch: None, whole: true, failure: Some(error.to_string()) }
    }

    /// What it has of the options in which runs differ, as in `lr 0.1, seed 3`.
    fn options(&self) -> String {
        in_words(&self.varied)
    }

    fn options_but_the_seed(&self) -> String {
        in_words(self.varied.iter().filter(|(name, _)| *name != "seed"))
    }

    /// How good it is, higher for better.
    fn score(&self) -> Option<f64> {
        self.epoch.as_ref().and_then(Epoch::score)
    }

    /// Its loss on the validation part or, without one, the test part: what tells runs apart that are right as often.
    fn loss(&self) -> f64 {
        let part = self.epoch.as_ref().and_then(|epoch| epoch.validation.as_ref().or(epoch.test.as_ref()));
        part.map_or(f64::INFINITY, Evaluation::mean_loss)
    }
}

/// All runs.
pub(super) struct Table<'a> {
    scale: Option<&'a TargetScale>,
    validated: bool,
    lists: &'a [String],
    pub(super) rows: Vec<Row>,
}

impl<'a> Table<'a> {
    /// No runs yet on `dataset`, which will differ in the options `lists`.
    pub(super) fn new(dataset: &'a Dataset, lists: &'a [String]) -> Self {
        let (scale, validated) = (dataset.target_scale.as_ref(), dataset.validation.is_some());
        Self { scale, validated, lists, rows: Vec::new() }
    }

    /// Adds run `number`, which has the options `given`: what it trained, unless it failed or had not told an epoch when it was
    /// interrupted.
    pub(super) fn add(&mut self, number: usize, given: &Given, found: Result<Trained>) -> Option<Trained> {
        let varied = self.lists.iter().filter_map(|name| Some((name.clone(), given.get(name)?.clone()))).collect();
        match found {
            Ok(trained) => {
                self.rows.push(Row::of(number, varied, &trained));
                Some(trained)
            }
            Err(Error::Interrupted) => None,
            Err(error) => {
                let row = Row::failed(number, varied, &error);
                note(&format!("Run {}: {}: {error}", number + 1, row.options()));
                self.rows.push(row);
                None
            }
        }
    }

    /// Logs the epochs of run `number`, which was added last.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn log(&self, number: usize, trained: &Trained, log: &mut Log) -> Result<()> {
        for epoch in &trained.epochs {
            let mut line = of_epoch(epoch, self.scale);
            line["run"] = (number + 1).into();
            let varied = self.rows.last().map(|row| &row.varied);
            varied.into_iter().flatten().for_each(|(name, value)| line[name] = value.clone());
            log.line(&line)?;
        }
        Ok(())
    }

    /// Prints the line of run `number` of `all`, which was added last.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn tell(&self, number: usize, all: usize) -> Result<()> {
        let Some(row) = self.rows.last() else { return Ok(()) };
        print_text(&format!("Run {}/{all}: {}: {}", number + 1, row.options(), self.line(row)))
    }

    /// The figures of a run by their names.
    fn figures(&self, row: &Row) -> Vec<(String, f64)> {
        let Some(epoch) = &row.epoch else { return Vec::new() };
        let parts = [("validation", &epoch.validation), ("test", &epoch.test)];
        let of = |(name, part): (&str, &Option<Evaluation>)| {
            let figures = part.as_ref().map(|part| figures_of(part, self.scale)).unwrap_or_default();
            figures.into_iter().map(|(what, figure)| (format!("{name} {what}"), figure)).collect::<Vec<_>>()
        };
        parts.into_iter().flat_map(of).collect()
    }

    /// A run's figures in a line.
    fn line(&self, row: &Row) -> String {
        let stopped = if row.whole { "" } else { " (interrupted)" };
        let epoch = row.epoch.as_ref().map_or(0, |epoch| epoch.number);
        let figures = self.figures(row).into_iter().map(|(name, figure)| format!(", {name} {}", digits(figure)));
        format!("epoch {epoch}{stopped}{}", figures.collect::<String>())
    }

    /// Puts the best run first.
    pub(super) fn sort(&mut self) {
        self.rows.sort_by(|one, other| match (one.score(), other.score()) {
            (Some(one_score), Some(other_score)) => {
                let like_scores = one.loss().total_cmp(&other.loss()).then(one.number.cmp(&other.number));
                other_score.total_cmp(&one_score).then(like_scores)
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => one.number.cmp(&other.number),
        });
    }

    /// Prints the runs, and what seeds make of each setting.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn print(&self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let by = if self.validated { "validation loss" } else { "test figure, as there is no validation part" };
        print(&format!("\nRuns, the best first by {by}:"))?;
        let mut lines = vec![self.lists.iter().map(|name| name.replace('_', "-")).collect::<Vec<_>>()];
        let names: Vec<String> = self
            .rows
            .iter()
            .map(|row| self.figures(row))
            .find(|figures| !figures.is_empty())
            .map(|figures| figures.into_iter().map(|(name, _)| name).collect())
            .unwrap_or_default();
        lines[0].push("epoch".into());
        lines[0].extend(names);
        for row in &self.rows {
            let mut line: Vec<String> =
                self.lists.iter().map(|name| row.varied.get(name).map(shown).unwrap_or_default()).collect();
            match (&row.failure, &row.epoch) {
                (Some(failure), _) => line.push(failure.clone()),
                (None, epoch) => {
                    let number = epoch.as_ref().map_or(0, |epoch| epoch.number);
                    line.push(if row.whole { number.to_string() } else { format!("{number}, interrupted") });
                    line.extend(self.figures(row).into_iter().map(|(_, figure)| digits(figure)));
                }
            }
            lines.push(line);
        }
        print(&aligned(&lines))?;
        self.print_seeds()
    }

    /// Prints the mean and the standard deviation of each figure over the seeds of each setting.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn print_seeds(&self) -> Result<()> {
        for Setting { options, seeds, figures } in self.settings() {
            let of = if options.is_empty() { String::new() } else { format!(" of {options}") };
            let shown = |Mean { name, mean, deviation }: &Mean| {
                let deviation = if mean.abs() < 1000.0 { format!("{deviation:.4}") } else { format!("{deviation:.1}") };
                format!("{name} {} ± {deviation}", digits(*mean))
            };
            let figures = figures.iter().map(shown).collect::<Vec<_>>().join(", ");
            print_text(&format!("Mean of {seeds} seeds{of}: {figures}"))?;
        }
        Ok(())
    }

    /// The settings that have several seeds.
    fn settings(&self) -> Vec<Setting> {
        if !self.lists.iter().any(|name| name == "seed") {
            return Vec::new();
        }
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.failure.is_none() && row.whole).collect();
        rows.sort_by_key(|row| row.number);
        let mut settings: Vec<(String, Vec<&Row>)> = Vec::new();
        for row in rows {
            let options = row.options_but_the_seed();
            match settings.iter_mut().find(|(known, _)| *known == options) {
                Some((_, rows)) => rows.push(row),
                None => settings.push((options, vec![row])),
            }
        }
        let several = settings.into_iter().filter(|(_, rows)| rows.len() > 1);
        several
            .map(|(options, rows)| {
                let all: Vec<_> = rows.iter().map(|row| self.figures(row)).collect();
                let mean = |(index, (name, _)): (usize, &(String, f64))| {
                    let figures = all.iter().filter_map(|figures| figures.get(index)).map(|(_, figure)| *figure);
                    Mean::of(name, &figures.collect::<Vec<_>>())
                };
                let figures = all[0].iter().enumerate().map(mean).collect();
                Setting { options, seeds: rows.len(), figures }
            })
            .collect()
    }

    /// The runs, and what seeds make of each setting.
    pub(super) fn json(&self) -> Value {
        let key = |name: &str| name.replace(' ', "_").to_lowercase();
        let row = |row: &Row| {
            let mut line: Map<String, Value> = row.varied.clone();
            line.insert("run".into(), (row.number + 1).into());
            if let Some(epoch) = &row.epoch {
                line.insert("epoch".into(), epoch.number.into());
            }
            if !row.whole {
                line.insert("interrupted".into(), true.into());
            }
            if let Some(failure) = &row.failure {
                line.insert("error".into(), failure.as_str().into());
            }
            line.extend(self.figures(row).into_iter().map(|(name, figure)| (key(&name), figure.into())));
            Value::Object(line)
        };
        let setting = |Setting { options, seeds, figures }: Setting| {
            let figures = figures.into_iter().map(|Mean { name, mean, deviation }| {
                (key(&name), json!({ "mean": mean, "deviation": deviation, "seeds": seeds }))
            });
            json!({ "options": options, "figures": figures.collect::<Map<String, Value>>() })
        };
        json!({
            "runs": self.rows.iter().map(row).collect::<Vec<_>>(),
            "means": self.settings().into_iter().map(setting).collect::<Vec<_>>(),
        })
    }
}

/// Runs that differ in their seeds alone.
struct Setting {
    options: String,
    seeds: usize,
    figures: Vec<Mean>,
}

/// A figure of several runs.
struct Mean {
    name: String,
    mean: f64,
    /// The standard deviation of a sample.
    deviation: f64,
}

impl Mean {
    fn of(name: &str, figures: &[f64]) -> Self {
        let (mean, deviation) = mean_and_deviation(figures);
        Self { name: name.to_owned(), mean, deviation }
    }
}

/// The figures of `part` by their names; values have their errors in the unit of the targets, which `scale` says.
pub(in crate::cli) fn figures_of(part: &Evaluation, scale: Option<&TargetScale>) -> Vec<(&'static str, f64)> {
    match scale {
        None => vec![("loss", part.mean_loss()), ("accuracy", part.accuracy())],
        Some(scale) => {
            let found = part.in_units(scale);
            vec![("RMSE", found.rmse()), ("MAE", found.mae()), ("R2", found.r2())]
        }
    }
}

/// A figure with as many digits as say something.
pub(in crate::cli) fn digits(figure: f64) -> String {
    match figure.abs() {
        // The errors of small targets would all be 0.0000.
        0.0..0.00005 if figure != 0.0 => format!("{figure:.3e}"),
        0.0..1000.0 => format!("{figure:.4}"),
        _ => format!("{figure:.1}"),
    }
}

/// `lines` with their cells in columns, two blanks between them. Where they are wider than [`WIDTH`] the last columns stand below,
/// behind the first one again.
pub(in crate::cli) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        // The message of a failure is the last cell of its line, and no column.
        let cells = lines.iter().filter(|line| line.len() > column + 1 || line.len() == columns);
        cells.filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let mut used = 0;
    for (column, width) in widths.iter().enumerate() {
        match blocks.last_mut() {
            Some(block) if used + 2 + width <= WIDTH => {
                block.push(column);
                used += 2 + width;
            }
            None => {
                blocks.push(vec![column]);
                used = *width;
            }
            Some(_) => {
                blocks.push(vec![0, column]);
                used = widths[0] + 2 + width;
            }
        }
    }
    let block = |columns: &Vec<usize>| {
        let line = |line: &Vec<String>| {
            let cells = columns.iter().filter_map(|&column| Some((line.get(column)?, widths[column])));
            let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_too_wide_are_parted_by_columns() {
        let lines = |columns: usize| -> Vec<Vec<String>> {
            (0..3).map(|line| (0..columns).map(|column| format!("cell {line}.{column}")).collect()).collect()
        };
        assert_eq!(aligned(&lines(2)), "cell 0.0  cell 0.1\ncell 1.0  cell 1.1\ncell 2.0  cell 2.1");
        let wide = aligned(&lines(20));
        assert!(wide.lines().all(|line| line.chars().count() <= WIDTH), "{wide}");
        let blocks: Vec<&str> = wide.split("\n\n").collect();
        assert!(blocks.len() == 3 && blocks.iter().all(|block| block.starts_with("cell 0.0  ")), "{wide}");
        assert!((0..20).all(|column| wide.contains(&format!("cell 2.{column}"))), "{wide}");
    }
}
