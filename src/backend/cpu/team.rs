//! A fixed set of threads that walk through the phases of a step together, with a cheap barrier between two phases.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

/// Times that a waiting member looks before it goes to sleep and leaves its core to others: some ten
/// microseconds, since phases last about as long.
const SPINS: u32 = 2000;

/// The threads. Between two runs they sleep.
pub struct Team {
    pool: rayon::ThreadPool,
}

impl Team {
    /// A team of `threads` threads; 0 for one a core.
    ///
    /// # Errors
    /// [`Error::Usage`] when the threads cannot be started.
    pub fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map(|pool| Self { pool }).map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Calls `work` once on each thread, all at the same time.
    pub fn run(&self, work: impl Fn(&Member) + Sync) {
        let barrier = Barrier::new(self.threads());
        self.pool.broadcast(|context| {
            let member = Member { index: context.index(), barrier: &barrier };
            let leaving = Leaving(&barrier);
            work(&member);
            std::mem::forget(leaving);
        });
    }

    /// Calls `work` where rayon's parallel iterators run on this team's threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

/// One thread of a [`Team`] at work.
pub struct Member<'a> {
    /// Its number, from 0.
    pub index: usize,
    barrier: &'a Barrier,
}

impl Member<'_> {
    /// Number of threads of the team.
    pub fn count(&self) -> usize {
        self.barrier.members
    }

    /// Waits until all members are here. What any of them wrote before is seen by all of them after.
    pub fn wait(&self) {
        self.barrier.wait();
    }

    /// This member's share of `0..n`, in whole multiples of `grain` but for the last.
    pub fn share(&self, n: usize, grain: usize) -> Range<usize> {
        share(n, grain, self.index, self.count())
    }

    /// This member's rows and columns of a matrix, in whole multiples of `grains` but for the last: all rows and some columns
    /// where as many members are so at work, but no fewer columns than `enough`.
    pub fn tile(
        &self,
        (rows, columns): (usize, usize),
        grains: (usize, usize),
        enough: usize,
    ) -> (Range<usize>, Range<usize>) {
        let most = (columns / enough).clamp(1, self.count());
        let down = |across: usize| (self.count() / across).clamp(1, rows.div_ceil(grains.0).max(1));
        // The most that are at work, and of those ways the one that cuts columns most.
        let across = (1..=most).max_by_key(|&across| across * down(across)).unwrap_or(1);
        let down = down(across);
        match self.index < across * down {
            true => (
                share(rows, grains.0, self.index / across, down),
                share(columns, grains.1, self.index % across, across),
            ),
            false => (0..0, 0..0),
        }
    }
}

/// The share of `0..n` that number `index` of `count` has, in whole multiples of `grain` but for the last.
fn share(n: usize, grain: usize, index: usize, count: usize) -> Range<usize> {
    let share = n.div_ceil(count).next_multiple_of(grain);
    (share * index).min(n)..(share * (index + 1)).min(n)
}

struct Barrier {
    members: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
    /// Members that gave up spinning.
    asleep: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
}

impl Barrier {
    fn new(members: usize) -> Self {
        Self {
            members,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    fn wait(&self) {
        let round = self.round.load(Ordering::SeqCst);
        if self.arrived.fetch_add(1, Ordering::SeqCst) + 1 == self.members {
            self.arrived.store(0, Ordering::SeqCst);
            self.round.store(round.wrapping_add(1), Ordering::SeqCst);
            self.wake();
            return;
        }
        let waiting = || self.round.load(Ordering::SeqCst) == round && !self.broken.load(Ordering::SeqCst);
        for _ in 0..SPINS {
            if !waiting() {
                break;
            }
            std::hint::spin_loop();
        }
        if waiting() {
            // Whoever ends the wait looks for sleepers after it changed what `waiting` sees, and a sleeper looks at that
            // after it counted itself: one of the two sees the other.
            self.asleep.fetch_add(1, Ordering::SeqCst);
            let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting() {
                bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.fetch_sub(1, Ordering::SeqCst);
        }
        assert!(!self.broken.load(Ordering::SeqCst), "another thread of the team failed");
    }

    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }
}

/// Dropped by a member that panics, so that the others do not wait for it for ever.
struct Leaving<'a>(&'a Barrier);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.broken.store(true, Ordering::SeqCst);
        self.0.wake();
    }
}

/// Values that the members of a team share: in each phase each writes a part of its own, or all read.
#[derive(Clone, Copy)]
pub struct Shared<'a, T> {
    start: *mut T,
    length: usize,
    values: PhantomData<&'a mut [T]>,
}

// SAFETY: a reference is only ever made by `part` and `part_mut`, whose callers keep writers and readers apart.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares `values` for as long as they are borrowed.
    pub fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), values: PhantomData }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The values of `range`.
    ///
    /// # Safety
    /// Until the next barrier no member writes any of them.
    pub unsafe fn part(&self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part of shared values");
        // SAFETY: inside the values that `new` borrowed; the caller rules out writers.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// All values.
    ///
    /// # Safety
    /// Until the next barrier no member writes any of them.
    pub unsafe fn all(&self) -> &'a [T] {
        // SAFETY: as the caller promises.
        unsafe { self.part(0..self.length) }
    }

    /// The values of `range`, to be written.
    ///
    /// # Safety
    /// Until the next barrier no other member touches any of them, and this one through this reference alone.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part_mut(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part of shared values");
        // SAFETY: inside the values that `new` borrowed mutably; the caller rules out other references.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for threads in [1, 2, 3, 7] {
            let team = Team::new(threads).unwrap();
            for n in [0, 1, 5, 64, 100] {
                let mut seen = vec![0u8; n];
                let shared = Shared::new(&mut seen);
                team.run(|member| {
                    // SAFETY: shares do not overlap.
                    unsafe { shared.part_mut(member.share(n, 4)) }.iter_mut().for_each(|seen| *seen += 1);
                });
                assert!(seen.iter().all(|&seen| seen == 1), "{threads} threads, {n}: {seen:?}");
            }
        }
    }

    #[test]
    fn tiles_cover_a_matrix_once() {
        for threads in [1, 2, 3, 6, 16] {
            let team = Team::new(threads).unwrap();
            for (rows, columns) in [(1, 16), (64, 128), (7, 48), (5, 512)] {
                let mut seen = vec![0u8; rows * columns];
                let shared = Shared::new(&mut seen);
                team.run(|member| {
                    let (rows, part) = member.tile((rows, columns), (4, 16), 32);
                    for row in rows {
                        let row = row * columns;
                        // SAFETY: tiles do not overlap.
                        let seen = unsafe { shared.part_mut(row + part.start..row + part.end) };
                        seen.iter_mut().for_each(|seen| *seen += 1);
                    }
                });
                assert!(seen.iter().all(|&seen| seen == 1), "{threads} threads, {rows} x {columns}: {seen:?}");
            }
        }
    }

    #[test]
    fn after_a_barrier_all_see_what_all_wrote() {
        let team = Team::new(4).unwrap();
        let mut values = vec![0usize; 4];
        let shared = Shared::new(&mut values);
        team.run(|member| {
            for round in 1..500 {
                // SAFETY: each member writes its own value, and reads the others' after a barrier.
                unsafe { shared.part_mut(member.index..member.index + 1)[0] = round };
                member.wait();
                assert!(unsafe { shared.all() }.iter().all(|&value| value == round));
                member.wait();
            }
        });
    }

    #[test]
    fn a_member_that_fails_does_not_leave_the_others_waiting() {
        let team = Team::new(3).unwrap();
        let run = std::panic::AssertUnwindSafe(|| {
            team.run(|member| {
                assert!(member.index != 1, "on purpose");
                member.wait();
            });
        });
        assert!(std::panic::catch_unwind(run).is_err());
    }
}
