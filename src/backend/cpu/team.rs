//! A fixed set of threads that walk through the phases of a step together, with a cheap barrier between two phases.
//!
//! The caller's thread is one of them, the lead. It does the steps in chunks, of some tens to some hundreds of microseconds,
//! and before each it says how many members work on it. Alone it needs nobody: the helpers sleep, no barrier is waited at,
//! and other programs have the cores. How many shall work is found by timing ([`pace`]), since that alone tells
//! whether the machine has the cores free. Whoever works has a share of all values that a step computes, and every value is
//! one chain of operations whatever the shares are, so no result depends on it.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

mod barrier;
#[cfg(any(debug_assertions, test))]
mod claims;
#[cfg(all(loom, test))]
mod loom;
mod pace;
mod shared;
mod sync;

use crate::error::{Error, Result};
use barrier::{Barrier, Bed, look};
use pace::{Chunk, Measured};
use sync::{AtomicBool, AtomicUsize, Mutex, UnsafeCell};

pub use pace::Pace;
pub use shared::Shared;

/// How long a helper that has nothing to do looks for the next chunk: a bit longer than the lead takes to try a few short
/// steps alone.
const IDLE: Duration = Duration::from_micros(100);

/// How long a helper that was called does so: the lead comes after its step, which may have just begun.
const CALLED: Duration = Duration::from_micros(2 * pace::LONG_US);

/// The threads. Between two runs they sleep.
pub struct Team {
    crew: std::sync::Arc<Crew>,
    /// Held by the run that uses the crew.
    pace: Mutex<Pace>,
    helpers: Vec<std::thread::JoinHandle<()>>,
    pool: rayon::ThreadPool,
}

impl Team {
    /// A team of `threads` threads, the caller's among them; 0 for one a core. On a machine with fewer cores for this process
    /// the others work only where [`Team::run`] asks for all.
    ///
    /// # Errors
    /// [`Error::Usage`] when the threads cannot be started.
    pub fn new(threads: usize) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| Error::Usage(format!("cannot start {threads} threads: {error}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| failed(&error))?;
        let threads = pool.current_num_threads();
        let cores = std::thread::available_parallelism().map_or(threads, usize::from);
        let crew = std::sync::Arc::new(Crew::new(threads));
        let pace = Pace::Measured(Measured::new(threads.min(cores)));
        let mut team = Self { crew, pace: Mutex::new(pace), helpers: Vec::new(), pool };
        for index in 1..threads {
            let crew = std::sync::Arc::clone(&team.crew);
            let helper = std::thread::Builder::new().name(format!("mlp-gpu {index}")).spawn(move || crew.help(index));
            team.helpers.push(helper.map_err(|error| failed(&error))?);
        }
        Ok(team)
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.crew.posts.len() + 1
    }

    /// Chooses by `pace` how many members work from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = Mutex::new(pace);
    }

    /// Calls `work` once on each thread, all at the same time.
    pub fn run(&self, work: impl Fn(&Member) + Sync) {
        let _alone = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        self.crew.work(self.threads(), 0..1, &|member, _| work(member));
    }

    /// Calls `work` for each of `steps` steps in turn, each on some of the threads at the same time: on as many as are
    /// fastest. Between two steps they wait for each other.
    pub fn steps(&self, steps: usize, work: impl Fn(&Member, usize) + Sync) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        let mut start = Instant::now();
        while done < steps {
            let Chunk { members, steps: count, call } = pace.next(steps - done, |members| self.crew.awake(members));
            self.crew.call(call);
            self.crew.work(members, done..done + count, &work);
            done += count;
            let end = Instant::now();
            pace.took((end - start).as_secs_f64());
            start = end;
        }
    }

    /// Calls `work` where rayon's parallel iterators run on threads of their own, as many as the team has.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.crew.leave();
        for helper in self.helpers.drain(..) {
            // What a helper's work panics with, the lead has said.
            let _ = helper.join();
        }
    }
}

/// What a step is to its members: called with its number.
type Work<'a> = dyn Fn(&Member, usize) + Sync + 'a;

/// What the members of a chunk do: `work`, for each of `steps`.
struct Task {
    work: *const Work<'static>,
    steps: Range<usize>,
    members: usize,
}

/// Where a helper waits for the lead.
struct Post {
    /// Chunks that it was told to work on.
    orders: AtomicUsize,
    /// Whether it looks for the next.
    awake: AtomicBool,
    /// Whether it shall wake up to do so.
    called: AtomicBool,
    bed: Bed,
}

/// What lead and helpers have in common.
struct Crew {
    barrier: Barrier,
    posts: Vec<Post>,
    /// The chunk's. The lead writes it while no helper is at work, a helper reads it from its order on until it is no more at work.
    task: UnsafeCell<Task>,
    /// Helpers that are not done with the chunk.
    at_work: AtomicUsize,
    /// Where the lead waits for them.
    bed: Bed,
    leaving: AtomicBool,
    /// What the first member to fail panicked with.
    failure: Mutex<Option<Box<dyn Any + Send>>>,
    #[cfg(debug_assertions)]
    claims: claims::Claims,
}

// SAFETY: `task` alone is not `Sync`. It is written and read in turn, as its comment says, and the work it points to is `Sync`
// and outlives the chunk, since `Crew::work` returns when no helper is at work.
unsafe impl Sync for Crew {}
// SAFETY: as for `Sync`.
unsafe impl Send for Crew {}

impl Crew {
    fn new(threads: usize) -> Self {
        let post = || Post {
            orders: AtomicUsize::new(0),
            awake: AtomicBool::new(false),
            called: AtomicBool::new(false),
            bed: Bed::new(),
        };
        Self {
            barrier: Barrier::new(),
            posts: (1..threads).map(|_| post()).collect(),
            task: UnsafeCell::new(Task { work: &|_, _| {}, steps: 0..0, members: 0 }),
            at_work: AtomicUsize::new(0),
            bed: Bed::new(),
            leaving: AtomicBool::new(false),
            failure: Mutex::new(None),
            #[cfg(debug_assertions)]
            claims: claims::Claims::new(),
        }
    }

    /// Whether all of the first `members` look for their next chunk.
    fn awake(&self, members: usize) -> bool {
        self.posts[..members - 1].iter().all(|post| post.awake.load(Relaxed))
    }

    /// Wakes the first `members`, so that they look for their next chunk.
    fn call(&self, members: usize) {
        for post in &self.posts[..members.max(1) - 1] {
            if !post.awake.load(Relaxed) && !post.called.swap(true, AcqRel) {
                post.bed.wake();
            }
        }
    }

    /// Does a chunk of `work`, as the lead.
    fn work(&self, members: usize, steps: Range<usize>, work: &Work) {
        if members == 1 {
            let member = Member { index: 0, count: 1, crew: self };
            steps.for_each(|step| work(&member, step));
            return;
        }
        // SAFETY: only the lifetime is another; no helper calls it when this function has returned.
        let work = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: no helper is at work, so nobody reads it.
        self.task.with_mut(|task| unsafe { *task = Task { work, steps, members } });
        self.at_work.store(members - 1, Relaxed);
        for post in &self.posts[..members - 1] {
            post.orders.fetch_add(1, Release);
            post.bed.wake();
        }
        self.walk(0);
        self.bed.wait(|| self.at_work.load(Acquire) == 0);
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(failure) = failure {
            self.barrier.mend();
            #[cfg(debug_assertions)]
            self.claims.clear();
            resume_unwind(failure);
        }
        #[cfg(debug_assertions)]
        self.claims.check(members);
    }

    /// Does the share of member `index` in a chunk.
    fn walk(&self, index: usize) {
        let walk = || {
            self.task.with(|task| {
                // SAFETY: the lead wrote it before it gave the order, and writes it again when nobody is at work.
                let Task { work, steps, members } = unsafe { &*task };
                let member = Member { index, count: *members, crew: self };
                for step in steps.clone() {
                    if step > steps.start {
                        member.wait();
                    }
                    #[cfg(debug_assertions)]
                    claims::record(claims::sampled(step));
                    // SAFETY: it outlives the chunk, as `Crew::work` waits for those at work.
                    unsafe { (**work)(&member, step) };
                }
            });
        };
        if let Err(failure) = catch_unwind(AssertUnwindSafe(walk)) {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
            self.barrier.break_up();
        }
        #[cfg(debug_assertions)]
        {
            self.claims.hand_in(index);
            claims::record(false);
        }
    }

    /// Does all chunks that helper `index` is told to work on, until the team is left.
    fn help(&self, index: usize) {
        let post = &self.posts[index - 1];
        let (mut orders, mut called) = (0, false);
        loop {
            let ordered = || post.orders.load(Acquire) != orders || self.leaving.load(Acquire);
            post.awake.store(true, Relaxed);
            let found = look(if called { CALLED } else { IDLE }, ordered);
            if !found {
                post.awake.store(false, Relaxed);
                post.bed.sleep(|| ordered() || post.called.load(Acquire));
            }
            called = post.called.swap(false, Relaxed);
            if post.orders.load(Acquire) != orders {
                orders = orders.wrapping_add(1);
                self.walk(index);
                if self.at_work.fetch_sub(1, AcqRel) == 1 {
                    self.bed.wake();
                }
            } else if self.leaving.load(Acquire) {
                return;
            }
        }
    }

    /// Sends the helpers home.
    fn leave(&self) {
        self.leaving.store(true, Release);
        self.posts.iter().for_each(|post| post.bed.wake());
    }
}

/// One thread of a [`Team`] at work.
pub struct Member<'a> {
    /// Its number, from 0.
    pub index: usize,
    count: usize,
    crew: &'a Crew,
}

impl Member<'_> {
    /// How many members work on this step.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits until all members are here. What any of them wrote before is seen by all of them after.
    pub fn wait(&self) {
        if self.count == 1 {
            return;
        }
        #[cfg(debug_assertions)]
        self.crew.claims.hand_in(self.index);
        self.crew.barrier.wait(self.count, || {
            #[cfg(debug_assertions)]
            self.crew.claims.check(self.count);
        });
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
        if self.index >= across * down {
            return (0..0, 0..0);
        }
        (share(rows, grains.0, self.index / across, down), share(columns, grains.1, self.index % across, across))
    }
}

/// The share of `0..n` that number `index` of `count` has, in whole multiples of `grain` but for the last.
fn share(n: usize, grain: usize, index: usize, count: usize) -> Range<usize> {
    let share = n.div_ceil(count).next_multiple_of(grain);
    (share * index).min(n)..(share * (index + 1)).min(n)
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
        after_barriers(&Team::new(4).unwrap());
    }

    fn after_barriers(team: &Team) {
        let mut values = vec![0usize; team.threads()];
        let shared = Shared::new(&mut values);
        team.run(|member| {
            for round in 1..500 {
                // SAFETY: each member writes its own value.
                unsafe { shared.part_mut(member.index..member.index + 1)[0] = round };
                member.wait();
                // SAFETY: nobody writes until the next barrier.
                assert!(unsafe { shared.all() }.iter().all(|&value| value == round));
                member.wait();
            }
        });
    }

    #[test]
    fn a_member_that_fails_does_not_leave_the_others_waiting() {
        let team = Team::new(3).unwrap();
        let run = AssertUnwindSafe(|| {
            team.run(|member| {
                assert!(member.index != 1, "on purpose");
                member.wait();
            });
        });
        assert!(catch_unwind(run).is_err());
    }

    #[test]
    fn members_change_from_step_to_step_and_all_see_what_all_wrote() {
        let mut team = Team::new(4).unwrap();
        for pace in [Pace::Fixed(1), Pace::Fixed(4), Pace::Drawn { most: 4, state: 5 }] {
            team.set_pace(pace);
            let mut values = vec![0usize; 16];
            let shared = Shared::new(&mut values);
            team.steps(1000, |member, step| {
                // SAFETY: shares do not overlap.
                unsafe { shared.part_mut(member.share(16, 1)) }.iter_mut().for_each(|value| *value += step);
                member.wait();
                // SAFETY: nobody writes until the next step.
                let values = unsafe { shared.all() };
                assert!(values.iter().all(|&value| value == step * (step + 1) / 2));
            });
            assert_eq!(values, [999 * 1000 / 2; 16]);
        }
    }

    #[test]
    fn a_team_works_on_after_a_failure() {
        let team = Team::new(3).unwrap();
        for failing in 0..3 {
            let run = AssertUnwindSafe(|| team.run(|member| assert!(member.index != failing, "on purpose")));
            let failure = catch_unwind(run).unwrap_err();
            assert_eq!(failure.downcast_ref::<&str>(), Some(&"on purpose"));
        }
        after_barriers(&team);
    }

    #[cfg(debug_assertions)]
    #[test]
    fn members_that_claim_the_same_values_are_caught() {
        let team = Team::new(2).unwrap();
        // What each of the two members claims, whether to write, and whether that is refused.
        for (claims, refused) in [
            ([(0..5, true), (4..8, true)], true),
            ([(0..5, true), (4..8, false)], true),
            ([(0..8, false), (3..4, true)], true),
            ([(0..4, true), (4..8, true)], false),
            ([(0..4, true), (4..8, false)], false),
            ([(0..8, false), (2..8, false)], false),
            ([(3..3, true), (0..8, false)], false),
        ] {
            // Before a barrier, and before the end.
            for last in [false, true] {
                let mut values = [0u8; 8];
                let shared = Shared::new(&mut values);
                let run = AssertUnwindSafe(|| {
                    team.run(|member| {
                        if last {
                            member.wait();
                        }
                        let (range, writes) = claims[member.index].clone();
                        // SAFETY: the references are not used.
                        let _ = if writes { unsafe { shared.part_mut(range) } } else { unsafe { shared.part(range) } };
                        if !last {
                            member.wait();
                        }
                    });
                });
                assert_eq!(catch_unwind(run).is_err(), refused, "{claims:?}");
            }
        }
        // Parts of different phases may overlap.
        let mut values = [0u8; 8];
        let shared = Shared::new(&mut values);
        team.run(|member| {
            for round in 0..2 {
                if member.index == round {
                    // SAFETY: the other member has no reference in this phase.
                    unsafe { shared.part_mut(0..8) }.fill(1);
                }
                member.wait();
            }
        });
    }
}
