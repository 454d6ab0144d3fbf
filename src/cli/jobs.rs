//! Many networks at the terminal: how far they are, Ctrl-C, the lines of the log and those of the networks, in their order.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{
    HumanDuration, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle, TermLike,
};

use super::signals::interrupted;
use crate::backend::Split;
use crate::backend::select::Selected;
use crate::checkpoint::{Checkpoint, Metadata};
use crate::error::Result;
use crate::many::{self, Job, Told, Trained};

/// Trains `jobs` on what was selected; a bar says how far they are, unless `quiet`. `ended` is told what came of each, in their
/// order whenever they end. Those that had not begun when Ctrl-C was pressed, or at the moment `until`, are not told. Returns
/// whether it was pressed.
///
/// # Errors
/// What `ended` fails with.
pub(super) fn train(
    selected: &Selected,
    jobs: &[Job],
    quiet: bool,
    until: Option<Instant>,
    mut ended: impl FnMut(usize, Result<Trained>) -> Result<()>,
) -> Result<bool> {
    let mut waiting: BTreeMap<usize, Result<Trained>> = BTreeMap::new();
    let mut next = 0;
    let interrupted = train_in_any_order(selected, jobs, quiet, until, |number, found| {
        waiting.insert(number, found);
        while let Some(found) = waiting.remove(&next) {
            ended(next, found)?;
            next += 1;
        }
        Ok(())
    })?;
    // Behind one that had not begun.
    waiting.into_iter().try_for_each(|(number, found)| ended(number, found))?;
    Ok(interrupted)
}

/// The same, but that `ended` is told what came of each as soon as it has ended.
///
/// # Errors
/// What `ended` fails with.
pub(super) fn train_in_any_order(
    selected: &Selected,
    jobs: &[Job],
    quiet: bool,
    until: Option<Instant>,
    mut ended: impl FnMut(usize, Result<Trained>) -> Result<()>,
) -> Result<bool> {
    let rows_of = |job: &Job| job.data.get(Split::Train).map_or(0, |view| view.len());
    let all = |job: &Job| rows_of(job) as u64 * u64::from(job.recipe.epochs.saturating_sub(job.done));
    let bar = bar(jobs.iter().map(all).sum(), "{prefix} [{bar:16}] {percent:>3} %, {rate}, {left} left", quiet);
    let interrupted = interrupted();
    let mut done = 0;
    bar.set_prefix(format!("0 of {} networks", jobs.len()));
    let trained = many::train(selected, jobs, |number, told| {
        match told {
            Told::Rows(rows) => bar.inc(rows as u64),
            Told::Epoch(_) => {}
            Told::Ended(found) => {
                done += 1;
                bar.set_prefix(format!("{done} of {} networks", jobs.len()));
                let epochs = found.as_ref().as_ref().map_or(0, |trained| trained.epochs.len());
                bar.inc(all(&jobs[number]).saturating_sub(rows_of(&jobs[number]) as u64 * epochs as u64));
                bar.suspend(|| ended(number, *found))?;
            }
        }
        let over = || until.is_some_and(|until| Instant::now() >= until);
        let stop = interrupted.load(Ordering::Relaxed) || over();
        Ok(if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    bar.finish_and_clear();
    trained?;
    Ok(interrupted.load(Ordering::Relaxed))
}

/// What networks are trained on, in words.
pub(super) fn device(selected: &Selected) -> String {
    match &selected.gpu {
        Some(store) => format!("gpu, {}", store.device().info.name),
        None => format!("cpu, {} threads", selected.threads()),
    }
}

/// The network of `job` that `trained`, called `name` in messages, with what `metadata` says of it before.
///
/// # Errors
/// As [`Selected::backend`].
pub(super) fn checkpoint(
    selected: &Selected,
    name: String,
    job: &Job,
    metadata: &Metadata,
    trained: Trained,
) -> Result<Checkpoint> {
    let mut metadata = Metadata { epochs: trained.outcome.epoch, ..metadata.clone() };
    metadata.training.device = Some(selected.backend_and_plan(&job.model, &job.recipe)?);
    metadata.training.ended = trained.is_whole();
    let model = job.model.clone();
    Ok(Checkpoint { name, model, state: trained.state, metadata: Some(metadata), assumed: Vec::new() })
}

/// How often a bar is drawn anew where nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// A terminal without the blanks that a bar's line would be filled up with: behind them the ^C that a terminal shows begins a line, and
/// that of the bar would stay.
#[derive(Debug)]
struct Unfilled(Term);

impl TermLike for Unfilled {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.trim_matches(' ').is_empty() { Ok(()) } else { self.0.write_str(text) }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        TermLike::flush(&self.0)
    }
}

/// How often a bar is drawn per second at most.
const FRAMES: u8 = 20;

fn on_terminal() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Unfilled(Term::buffered_stderr())), FRAMES)
}

/// Says on standard error `what` goes on, until what is returned is dropped; hidden where that is no terminal. How long it has been
/// going on is shown too, unless it is `timed`: a clock that ticks would take a little of its time.
pub(super) fn sign(what: &str, timed: bool) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let sign = ProgressBar::with_draw_target(None, on_terminal()).with_finish(ProgressFinish::AndClear);
    let template = if timed { "{msg} ..." } else { "{msg} ... {elapsed}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        sign.set_style(style);
    }
    sign.set_message(what.to_owned());
    if timed {
        sign.tick();
    } else {
        sign.enable_steady_tick(TICK);
    }
    sign
}

/// A bar of `length` rows on standard error, whose `template` may have their `{rate}` and the time that is `{left}`; hidden where that
/// is no terminal. It must leave room in its line for the ^C that a terminal shows, or a line of it stays.
pub(super) fn bar(length: u64, template: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // Ctrl-C is heard from the bar's first line on, which is taken away then.
    interrupted();
    let bar = ProgressBar::with_draw_target(Some(length), on_terminal());
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let rate = state.per_sec();
            // A narrow column: thousands from ten of them on.
            let _ = if rate < 1e4 { write!(out, "{rate:.0} rows/s") } else { write!(out, "{:.0}k rows/s", rate / 1e3) };
        };
        let left = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let left = if state.pos() == 0 { "?".into() } else { format!("{:#}", HumanDuration(state.eta())) };
            let _ = out.write_str(&left);
        };
        bar.set_style(style.with_key("rate", rate).with_key("left", left).progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}
