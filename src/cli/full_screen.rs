//! The whole terminal for a live screen: how it is taken, how it is given back on every way out, and the lines that wait meanwhile.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use super::signals;
use crate::error::{Error, Result};
use crate::memory;

/// Whether the screen is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Held while the screen is drawn or given back.
static DRAWING: Mutex<()> = Mutex::new(());

/// Lines that are written once the screen is given back.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting(None));

/// Lines that wait, in their order; none where they need not.
struct Waiting(Option<Vec<(Stream, String)>>);

impl Waiting {
    /// Keeps `line`, if it has to wait.
    fn keeps(&mut self, stream: Stream, line: &str) -> bool {
        self.0.as_mut().map(|lines| lines.push((stream, line.to_owned()))).is_some()
    }

    /// The last `count` lines for standard error.
    fn last_notes(&self, count: usize) -> Vec<String> {
        let notes = self.0.iter().flatten().rev().filter(|(stream, _)| *stream == Stream::Error);
        let last = notes.flat_map(|(_, note)| note.lines().rev()).take(count);
        let mut lines: Vec<String> = last.map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

impl Stream {
    fn write(self, line: &str) -> io::Result<()> {
        match self {
            // In one write, as nothing holds lines of standard output back meanwhile.
            Self::Error => io::stderr().lock().write_all(format!("{line}\n").as_bytes()),
            Self::Output => {
                let mut output = io::stdout().lock();
                writeln!(output, "{line}").and_then(|()| output.flush())
            }
        }
    }
}

/// Writes a line, or keeps it until the screen is given back.
///
/// # Errors
/// What writing fails with.
pub(super) fn write_line(stream: Stream, line: &str) -> io::Result<()> {
    if lock(&WAITING).keeps(stream, line) { Ok(()) } else { stream.write(line) }
}

/// The last `count` lines of those for standard error that wait.
pub(super) fn last_notes(count: usize) -> Vec<String> {
    lock(&WAITING).last_notes(count)
}

/// Refuses what is no terminal.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn check(flag: &str) -> Result<()> {
    let streams = [("standard output", io::stdout().is_terminal()), ("standard error", io::stderr().is_terminal())];
    if let Some((name, _)) = streams.iter().find(|(_, is_terminal)| !is_terminal) {
        return Err(Error::Usage(format!("{flag} takes a terminal, and {name} is none: leave {flag} out")));
    }
    if std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb") {
        return Err(Error::Usage(format!("{flag} cannot draw on this terminal, as TERM=dumb says: leave {flag} out")));
    }
    Ok(())
}

/// Takes the whole terminal until [`give_back`]: also a panic, a signal and memory that is refused give it back.
///
/// # Errors
/// [`Error::Io`] where the terminal cannot be set.
pub(super) fn take() -> Result<Terminal<CrosstermBackend<BufWriter<Stderr>>>> {
    static HOOKS: Once = Once::new();
    HOOKS.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        memory::before_refusing(give_back);
    });
    let failed = |error| Error::io("set", "the terminal".as_ref())(error);
    signals::hold();
    lock(&WAITING).0 = Some(Vec::new());
    TAKEN.store(true, Ordering::SeqCst);
    let taken = enable_raw_mode()
        .and_then(|()| execute!(io::stderr(), EnterAlternateScreen))
        .and_then(|()| Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr()))));
    taken.map_err(|error| {
        give_back();
        failed(error)
    })
}

/// What keeps others from giving the screen back while it is drawn; none once that was done.
pub(super) fn drawing() -> Option<MutexGuard<'static, ()>> {
    let guard = lock(&DRAWING);
    TAKEN.load(Ordering::SeqCst).then_some(guard)
}

/// Gives the terminal back, if it was taken, and writes the lines that waited.
pub(super) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Whoever draws is waited for, but not for ever: it may be the one that panicked.
    let _drawing = (0..20).find_map(|_| match DRAWING.try_lock() {
        Err(TryLockError::WouldBlock) => {
            std::thread::sleep(Duration::from_millis(5));
            None
        }
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
    });
    let _ = disable_raw_mode();
    let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    signals::release();
    // Lines of other threads wait until these are written.
    let mut waiting = lock(&WAITING);
    for (stream, line) in waiting.0.take().into_iter().flatten() {
        let _ = stream.write(&line);
    }
}

/// What `mutex` guards, whatever became of those who held it before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_in_their_order_while_the_screen_is_taken() {
        let mut waiting = Waiting(None);
        assert!(!waiting.keeps(Stream::Error, "zero") && waiting.last_notes(9).is_empty());
        waiting.0 = Some(Vec::new());
        let lines = [(Stream::Error, "one"), (Stream::Output, "two"), (Stream::Error, "three\nfour")];
        assert!(lines.iter().all(|(stream, line)| waiting.keeps(*stream, line)));
        assert_eq!(waiting.last_notes(2), ["three", "four"]);
        assert_eq!(waiting.last_notes(9), ["one", "three", "four"]);
        let waited = waiting.0.unwrap_or_default();
        assert_eq!(waited, lines.map(|(stream, line)| (stream, line.to_owned())));
    }
}
