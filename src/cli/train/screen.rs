//! A run at the terminal: a bar while it trains and evaluates, a line per epoch, and how it ended.

use std::io::IsTerminal;
use std::ops::ControlFlow;

use indicatif::ProgressBar;

use super::table::{digits, figures_of};
use crate::cli::terminal::{WIDTH, error_figure, packed, significant};
use crate::cli::{jobs, note, print};
use crate::data::TargetScale;
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::observe::{Observer, RunInfo};
use crate::train::{End, Epoch, Event, Outcome, Snapshot};

/// The bar of a run of `epochs` epochs, with rate, time left and loss: the shorter, the longer their numbers.
fn bar_of(epochs: u32) -> String {
    let width = 16_usize.saturating_sub(2 * epochs.to_string().len().saturating_sub(4));
    format!("{{prefix}} [{{bar:{width}}}] {{percent:>3}} %, {{rate}}, {{left}} left, {{msg}}")
}

/// Shows a run.
pub(super) struct Screen {
    quiet: bool,
    verbose: bool,
    with_bar: bool,
    bar: ProgressBar,
    epochs: u32,
    /// Epochs before the run, and rows of each.
    done: u32,
    rows: usize,
    scale: Option<TargetScale>,
    /// The loss that was evaluated last.
    loss: Option<f64>,
    best: Option<Epoch>,
}

impl Screen {
    /// Shows nothing if `quiet`, if `verbose` all there is to know of each epoch, and a bar if there is one `with_bar`.
    pub(super) fn new(quiet: bool, verbose: bool, with_bar: bool) -> Self {
        let bar = ProgressBar::hidden();
        Self { quiet, verbose, with_bar, bar, epochs: 0, done: 0, rows: 0, scale: None, loss: None, best: None }
    }

    fn tell(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| note(line));
        }
    }

    /// Shows that so many rows of epoch `epoch` were handed over.
    fn progress(&self, epoch: u32, rows: usize) {
        let width = self.epochs.to_string().len();
        self.bar.set_prefix(format!("Epoch {epoch:>width$}/{}", self.epochs));
        self.bar.set_position(u64::from(epoch - 1 - self.done) * self.rows as u64 + rows as u64);
        self.bar.set_message(self.loss.map_or_else(|| "training".into(), |loss| format!("loss {loss:.4}")));
    }

    fn epoch(&mut self, epoch: &Epoch) -> Result<()> {
        self.show(epoch)?;
        if epoch.number < self.epochs {
            self.progress(epoch.number + 1, 0);
        }
        Ok(())
    }

    /// Prints the line of an epoch.
    fn show(&mut self, epoch: &Epoch) -> Result<()> {
        if !epoch.is_evaluated() {
            return Ok(());
        }
        let evaluated = epoch.train.as_ref().or(epoch.validation.as_ref()).or(epoch.test.as_ref());
        self.loss = evaluated.map(Evaluation::mean_loss);
        let score = |epoch: &Epoch| epoch.score().filter(|score| score.is_finite());
        if score(epoch) > self.best.as_ref().and_then(score) {
            self.best = Some(epoch.clone());
        }
        if self.quiet {
            return Ok(());
        }
        // Where people look on, the columns stand below each other; scripts find the notebook's text.
        let aligned = std::io::stdout().is_terminal();
        let lines = lines(epoch, self.epochs, self.scale.as_ref(), aligned, self.verbose);
        self.bar.suspend(|| print(&lines))
    }

    /// Takes the bar away, for what is told of a run that fails.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// What the best epoch was, in words.
    pub(super) fn best(&self) -> Option<String> {
        let best = self.best.as_ref()?;
        let parts = [("validation", &best.validation), ("test", &best.test), ("training", &best.train)];
        let figures = parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?))).take(2);
        let figures = figures.flat_map(|(name, part)| {
            let figures = figures_of(part, self.scale.as_ref()).into_iter().take(2);
            figures.map(move |(figure, value)| format!("{name} {figure} {}", digits(value)))
        });
        Some(format!("{} of {}, {}", best.number, self.epochs, figures.collect::<Vec<_>>().join(", ")))
    }
}

impl Observer for Screen {
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        (self.epochs, self.done, self.rows) = (run.recipe.epochs, run.done, run.data.train.len());
        self.scale.clone_from(&run.data.target_scale);
        let all = self.rows as u64 * u64::from(self.epochs.saturating_sub(self.done));
        self.bar = jobs::bar(all, &bar_of(self.epochs), self.quiet || !self.with_bar);
        self.progress(self.done + 1, 0);
        Ok(())
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        match event {
            Event::Progress { epoch, done, .. } => self.progress(*epoch, *done),
            Event::Evaluating { epoch } => {
                self.progress(*epoch, self.rows);
                self.bar.set_message("evaluating");
            }
            Event::RateFloor { epoch, rate } => {
                self.tell(&format!("From epoch {epoch} on the learning rate stays at {rate} (--min-lr)"));
            }
            Event::Epoch(epoch, _) => self.epoch(epoch)?,
            Event::Between(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, outcome: &Outcome, _: &mut Snapshot<'_>) -> Result<()> {
        self.bar.finish_and_clear();
        let why = match outcome.end {
            End::NoBetter => Some("the validation loss no longer fell"),
            End::Accurate => Some("the accuracy that was asked for was reached"),
            End::Late => Some("the time that was given was up"),
            End::Done | End::Stopped => None,
        };
        if let Some(why) = why {
            self.tell(&format!("Stopped before the last epoch: {why}"));
        }
        Ok(())
    }
}

/// A run that fails leaves no bar behind.
impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The line of an epoch, which fits [`WIDTH`] columns and begins as the notebook's; if `verbose`, the rest in lines below it.
fn lines(epoch: &Epoch, epochs: u32, scale: Option<&TargetScale>, aligned: bool, verbose: bool) -> String {
    let Epoch { train, test, validation, .. } = epoch;
    let validated = validation.is_some();
    let (mut first, mut rest): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    if let Some(train) = train {
        let global = format!("Global Loss: {}", significant(train.loss_sum, 7));
        // What a validation part says is more worth the room.
        if validated {
            rest.push(global)
        } else {
            first.push(global)
        }
        first.push(format!("Mean Loss: {}", significant(train.mean_loss(), if validated { 5 } else { 7 })));
    }
    for (name, part) in [("Validation", validation), ("Test", test)] {
        let Some(part) = part else { continue };
        let loss = format!("{name} Loss: {}", significant(part.mean_loss(), 5));
        let mut figures = match scale {
            None => vec![format!("{name} Accuracy: {:.4}", part.accuracy())],
            Some(scale) => {
                let found = part.in_units(scale);
                let shown = |value: f64| if value < 1.0 { error_figure(value, 5) } else { significant(value, 6) };
                let error = |what: &str, value: f64| format!("{name} {what}: {}", shown(value));
                vec![error("RMSE", found.rmse()), error("MAE", found.mae()), format!("{name} R2: {:.4}", found.r2())]
            }
        };
        first.push(if name == "Validation" { loss.clone() } else { figures.remove(0) });
        rest.extend((name == "Test").then_some(loss));
        rest.append(&mut figures);
    }
    rest.push(format!("Learning Rate: {}", epoch.learning_rate as f32));
    rest.push(format!("Train: {:.3} s", epoch.train_seconds));
    rest.push(format!("Eval: {:.3} s", epoch.eval_seconds));
    let width = if aligned { epochs.to_string().len() } else { 0 };
    let mut line = format!("Epoch {:>width$}/{epochs}", epoch.number);
    let mut left = Vec::new();
    for field in first {
        if left.is_empty() && line.chars().count() + 2 + field.chars().count() <= WIDTH {
            line += &format!(", {field}");
        } else {
            left.push(field);
        }
    }
    if verbose {
        left.append(&mut rest);
        line += &format!("\n{}", packed(&left, "    "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Errors;

    #[test]
    fn lines_of_epochs_fit_and_begin_as_the_notebooks() {
        let part = |loss_sum, rows| Evaluation {
            rows,
            loss_sum,
            confusion: vec![rows, 0, 0, 0],
            classes: 2,
            ..Evaluation::empty(2)
        };
        let values = |loss_sum, rows| Evaluation {
            errors: vec![Errors::default()],
            ..Evaluation { rows, loss_sum, ..Evaluation::empty(0) }
        };
        let epoch = |number, train, test, validation| Epoch {
            number,
            learning_rate: 0.000_123_456_789,
            rows: 60_000,
            train: Some(train),
            test: Some(test),
            validation,
            train_seconds: 12.3456,
            eval_seconds: 0.1,
        };
        let notebook = epoch(1, part(20716.374, 60_000), part(3000.0, 10_000), None);
        let line = lines(&notebook, 10, None, false, false);
        assert_eq!(line, "Epoch 1/10, Global Loss: 20716.37, Mean Loss: 0.345273, Test Accuracy: 1.0000");
        assert!(lines(&notebook, 10, None, true, false).starts_with("Epoch  1/10, Global Loss"));
        let verbose = lines(&notebook, 10, None, false, true);
        assert!(verbose.contains("Test Loss: 0.3000, Learning Rate: 0.00012345679, Train: 12.346 s"), "{verbose}");
        let scale = TargetScale { mean: vec![0.0], deviation: vec![1234.5], names: vec!["price".into()] };
        let validated = epoch(137, part(2e6, 60_000), part(3.0, 60), Some(part(12.0, 60)));
        let of_values = epoch(137, values(2e6, 60_000), values(3.0, 60), Some(values(12.0, 60)));
        for (epoch, scale) in [(&notebook, None), (&validated, None), (&of_values, Some(&scale))] {
            for epochs in [200, 1000, 1_000_000] {
                for verbose in [false, true] {
                    let lines = lines(epoch, epochs, scale, true, verbose);
                    assert!(lines.lines().all(|line| line.chars().count() <= WIDTH), "{lines}");
                }
            }
        }
        let line = lines(&validated, 200, None, false, false);
        assert_eq!(line, "Epoch 137/200, Mean Loss: 33.333, Validation Loss: 0.2000, Test Accuracy: 1.0000");
    }
}
