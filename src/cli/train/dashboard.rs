//! The live screen of a run: a thread that draws what the run told last, and the keys that stop and save.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::board::Board;
use self::theme::Theme;
use crate::cli::{full_screen, note, signals};
use crate::error::Result;
use crate::observe::{Observer, RunInfo};
use crate::train::{Event, Outcome, Snapshot};

mod board;
mod confusion;
mod curves;
mod theme;
mod view;

/// The flag that asks for it.
pub(super) const FLAG: &str = "--dashboard";

/// How often the screen is drawn where no key is pressed, and at most.
const FRAME: Duration = Duration::from_millis(200);
const LEAST: Duration = Duration::from_millis(100);

/// Lines at the screen's foot that say what happened last.
const NOTES: usize = 2;

/// Shows a run on the whole terminal.
pub(super) struct Dashboard {
    board: Arc<Mutex<Board>>,
    /// What the key to save sets; none where there is no file for it.
    save: Option<Arc<AtomicBool>>,
}

impl Dashboard {
    /// Of a run whose key to save sets `save`.
    pub(super) fn new(save: Option<Arc<AtomicBool>>) -> Self {
        Self { board: Arc::default(), save }
    }
}

impl Observer for Dashboard {
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        *lock(&self.board) = Board::new(run, self.save.is_some());
        let terminal = full_screen::take()?;
        let (board, save) = (Arc::clone(&self.board), self.save.clone());
        thread::spawn(move || show(terminal, &board, save.as_deref()));
        Ok(())
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        lock(&self.board).tell(event);
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, _: &Outcome, _: &mut Snapshot<'_>) -> Result<()> {
        full_screen::give_back();
        Ok(())
    }
}

/// A run that fails leaves the terminal as it was.
impl Drop for Dashboard {
    fn drop(&mut self) {
        full_screen::give_back();
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws until the screen is given back, which it does where the program is asked to end or there is no drawing.
fn show<B: Backend>(mut terminal: Terminal<B>, board: &Mutex<Board>, save: Option<&AtomicBool>) {
    let theme = Theme::of_environment();
    let mut drawn: Option<Instant> = None;
    loop {
        if signals::interrupted().load(Ordering::Relaxed) {
            return full_screen::give_back();
        }
        if drawn.is_none_or(|drawn| drawn.elapsed() >= LEAST) {
            let Some(_drawing) = full_screen::drawing() else { return };
            let notes = full_screen::last_notes(NOTES);
            if terminal.draw(|frame| view::draw(&lock(board), &notes, &theme, frame)).is_err() {
                break;
            }
            drawn = Some(Instant::now());
        }
        match event::poll(FRAME).and_then(|came| if came { event::read().map(Some) } else { Ok(None) }) {
            Ok(Some(Input::Key(key))) => press(key, save),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    full_screen::give_back();
}

/// What a key does.
fn press(key: KeyEvent, save: Option<&AtomicBool>) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
        (KeyCode::Char('c'), true) | (KeyCode::Char('q' | 'Q'), false) => signals::ask(),
        (KeyCode::Char('s' | 'S'), false) => match save {
            Some(save) => save.store(true, Ordering::Relaxed),
            None => note("Not saved: there is no file for it (--save FILE)"),
        },
        _ => {}
    }
}
