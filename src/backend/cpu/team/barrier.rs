//! How threads wait for each other: for a short time they look, then they sleep.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::{Duration, Instant};

use super::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, fence, spin_loop};

/// How long a waiting thread looks before it goes to sleep and leaves its core to others. Phases last a few microseconds
/// to some tens, and it takes about as long as this to wake a thread.
pub const LOOKS: Duration = Duration::from_micros(50);

/// Looks until `done`, for `time` at most: whether it is.
pub fn look(time: Duration, done: impl Fn() -> bool) -> bool {
    // Most waits are short, and reading the clock takes longer than a look.
    const FREE: u32 = if cfg!(all(loom, test)) { 1 } else { 100 };
    for _ in 0..FREE {
        if done() {
            return true;
        }
        spin_loop();
    }
    if cfg!(all(loom, test)) {
        return done();
    }
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..FREE / 4 {
            if done() {
                return true;
            }
            spin_loop();
        }
    }
    done()
}

/// Where threads sleep until something that another thread changes is as they want it.
pub struct Bed {
    asleep: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Bed {
    /// An empty one.
    pub fn new() -> Self {
        Self { asleep: AtomicUsize::new(0), lock: Mutex::new(()), bell: Condvar::new() }
    }

    /// Sleeps until `done`. Whoever changes what that depends on calls [`Bed::wake`] after it.
    pub fn sleep(&self, done: impl Fn() -> bool) {
        self.asleep.fetch_add(1, Relaxed);
        // A sleeper counts itself and then looks; a waker changes what the sleeper looks at and then counts. With a fence
        // in the midst of both, one of the two sees the other.
        fence(SeqCst);
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !done() {
            lock = self.bell.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
        drop(lock);
        self.asleep.fetch_sub(1, Relaxed);
    }

    /// Looks for a while, then sleeps, until `done`.
    pub fn wait(&self, done: impl Fn() -> bool) {
        if !look(LOOKS, &done) {
            self.sleep(done);
        }
    }

    /// Wakes all who sleep here.
    pub fn wake(&self) {
        fence(SeqCst);
        if self.asleep.load(Relaxed) > 0 {
            // A sleeper that saw the old state holds the lock until it hears the bell.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }
}

/// Where the members of a team wait for each other between two phases.
pub struct Barrier {
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
    bed: Bed,
}

impl Barrier {
    /// A barrier where nobody waits.
    pub fn new() -> Self {
        Self {
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            bed: Bed::new(),
        }
    }

    /// Waits until all `members` are here. The last to come calls `between` while the others wait.
    ///
    /// # Panics
    /// When the barrier is broken: a member that is waited for failed.
    pub fn wait(&self, members: usize, between: impl FnOnce()) {
        let round = self.round.load(Relaxed);
        if self.arrived.fetch_add(1, AcqRel) + 1 == members {
            between();
            self.arrived.store(0, Relaxed);
            self.round.store(round.wrapping_add(1), Release);
            self.bed.wake();
            return;
        }
        self.bed.wait(|| self.round.load(Acquire) != round || self.broken.load(Acquire));
        assert!(self.round.load(Acquire) != round, "another thread of the team failed");
    }

    /// Lets nobody wait any longer for a member that failed.
    pub fn break_up(&self) {
        self.broken.store(true, Release);
        self.bed.wake();
    }

    /// Makes a broken barrier whole; nobody may be at it.
    pub fn mend(&self) {
        self.arrived.store(0, Relaxed);
        self.broken.store(false, Relaxed);
    }
}
