//! What asks the program to end: Ctrl-C, SIGTERM and SIGHUP. The first one asks, the second one ends it at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The exit code after Ctrl-C: that of a program which SIGINT ends, in a shell.
const CTRL_C: u8 = 130;

#[cfg(unix)]
mod system {
    use std::sync::atomic::Ordering;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, low_level};

    use super::{Arc, Asked, HELD};

    /// Sets what is returned once a signal came.
    pub(super) fn watch() -> Asked {
        let asked = Asked::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // What nohup has ignored stays so.
            if signal == SIGHUP && is_ignored(signal) {
                continue;
            }
            // Where a handler cannot be set, the signal simply ends the process. The first of these acts from the second signal on.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked.at_once));
            let _ = flag::register_usize(signal, Arc::clone(&asked.number), signal as usize);
            let (came, at_once) = (Arc::clone(&asked.came), Arc::clone(&asked.at_once));
            let ask = move || {
                came.store(true, Ordering::SeqCst);
                at_once.store(!HELD.load(Ordering::SeqCst), Ordering::SeqCst);
            };
            // SAFETY: it stores to atomics alone, which a handler may do.
            let _ = unsafe { low_level::register(signal, ask) };
        }
        asked
    }

    /// Does what Ctrl-C does.
    pub(super) fn ask() {
        let _ = low_level::raise(SIGINT);
    }

    /// Whether the process ignores `signal`, where the system says it.
    fn is_ignored(signal: i32) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
    }
}

#[cfg(not(unix))]
mod system {
    use std::sync::atomic::Ordering;

    use super::super::full_screen;
    use super::{Arc, Asked};

    pub(super) fn watch() -> Asked {
        let asked = Asked::default();
        let came = Arc::clone(&asked.came);
        // Where no handler can be set, Ctrl-C simply ends the process.
        let _ = ctrlc::set_handler(move || {
            if came.swap(true, Ordering::SeqCst) {
                full_screen::give_back();
                std::process::exit(super::CTRL_C.into());
            }
        });
        asked
    }

    /// Does what Ctrl-C does.
    pub(super) fn ask() {
        super::interrupted().store(true, Ordering::SeqCst);
    }
}

/// What signals set.
#[derive(Default)]
struct Asked {
    /// Whether one came.
    came: Arc<AtomicBool>,
    /// Which one.
    number: Arc<AtomicUsize>,
    /// Whether the next one ends the process.
    at_once: Arc<AtomicBool>,
}

static ASKED: OnceLock<Asked> = OnceLock::new();

fn asked() -> &'static Asked {
    ASKED.get_or_init(system::watch)
}

/// Whether no signal ends the process at once, as it would leave the terminal taken.
static HELD: AtomicBool = AtomicBool::new(false);

/// Has signals end the process no sooner than it ends by itself.
pub(super) fn hold() {
    asked();
    HELD.store(true, Ordering::SeqCst);
}

/// Has a second signal end the process again.
pub(super) fn release() {
    HELD.store(false, Ordering::SeqCst);
    let Asked { came, at_once, .. } = asked();
    at_once.store(came.load(Ordering::SeqCst), Ordering::SeqCst);
}

/// Does what Ctrl-C does.
pub(super) fn ask() {
    system::ask();
}

/// Set once the program is asked to end.
pub(super) fn interrupted() -> &'static AtomicBool {
    &asked().came
}

/// The exit code of a program that was asked to end: 128 and the signal's number.
pub(super) fn exit_code() -> u8 {
    let signal = ASKED.get().map_or(0, |asked| asked.number.load(Ordering::Relaxed));
    u8::try_from(128 + signal).ok().filter(|code| *code > 128).unwrap_or(CTRL_C)
}
