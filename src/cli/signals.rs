//! What asks the program to end: Ctrl-C, SIGTERM and SIGHUP. The first one asks, the second one ends it at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code after Ctrl-C: that of a program which SIGINT ends, in a shell.
const CTRL_C: u8 = 130;

#[cfg(unix)]
mod system {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;

    /// Sets what is returned once a signal came: whether one did, and which.
    pub(super) fn watch() -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
        let (came, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // What nohup has ignored stays so.
            if signal == SIGHUP && is_ignored(signal) {
                continue;
            }
            // Where a handler cannot be set, the signal simply ends the process. The first of these acts from the second signal on.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&came));
            let _ = flag::register_usize(signal, Arc::clone(&number), signal as usize);
            let _ = flag::register(signal, Arc::clone(&came));
        }
        (came, number)
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    pub(super) fn watch() -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
        let came = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&came);
        // Where no handler can be set, Ctrl-C simply ends the process.
        let _ = ctrlc::set_handler(move || {
            if set.swap(true, Ordering::Relaxed) {
                std::process::exit(super::CTRL_C.into());
            }
        });
        (came, Arc::new(AtomicUsize::new(0)))
    }
}

static CAME: OnceLock<(std::sync::Arc<AtomicBool>, std::sync::Arc<std::sync::atomic::AtomicUsize>)> = OnceLock::new();

/// Set once the program is asked to end.
pub(super) fn interrupted() -> &'static AtomicBool {
    &CAME.get_or_init(system::watch).0
}

/// The exit code of a program that was asked to end: 128 and the signal's number.
pub(super) fn exit_code() -> u8 {
    let signal = CAME.get().map_or(0, |(_, number)| number.load(Ordering::Relaxed));
    u8::try_from(128 + signal).ok().filter(|code| *code > 128).unwrap_or(CTRL_C)
}
