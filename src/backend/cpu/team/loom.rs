//! Every order in which the threads of a team can meet, tried by the `loom` crate.
//!
//!     RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p loom-team loom

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::barrier::Barrier;
use super::{Crew, Member};

/// Tries all orders with at most this many switches away from a thread that could go on.
fn model(switches: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(test);
}

/// Values of which loom says when two members touch one at the same time, of which one writes.
struct Values(Vec<UnsafeCell<usize>>);

// SAFETY: loom checks every access.
unsafe impl Sync for Values {}
// SAFETY: as for `Sync`.
unsafe impl Send for Values {}

impl Values {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| UnsafeCell::new(0)).collect())
    }

    fn set(&self, index: usize, value: usize) {
        // SAFETY: loom checks every access.
        self.0[index].with_mut(|at| unsafe { *at = value });
    }

    fn all_are(&self, value: usize) -> bool {
        // SAFETY: loom checks every access.
        self.0.iter().all(|cell| cell.with(|at| unsafe { *at == value }))
    }
}

fn barrier(members: usize, rounds: usize, switches: usize) {
    model(switches, move || {
        let shared = Arc::new((Barrier::new(), Values::new(members)));
        let walk = move |shared: &(Barrier, Values), index| {
            for round in 1..=rounds {
                shared.1.set(index, round);
                shared.0.wait(members, || ());
                assert!(shared.1.all_are(round));
                shared.0.wait(members, || ());
            }
        };
        let others: Vec<_> = (1..members)
            .map(|index| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || walk(&shared, index))
            })
            .collect();
        walk(&shared, 0);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn loom_two_members_meet_at_a_barrier() {
    barrier(2, 2, 3);
}

#[test]
fn loom_three_members_meet_at_a_barrier() {
    barrier(3, 1, 2);
}

/// A lead and `members - 1` helpers in a crew.
fn crew(members: usize, switches: usize, lead: impl Fn(&Crew) + Send + Sync + 'static) {
    let lead = std::sync::Arc::new(lead);
    model(switches, move || {
        let crew = Arc::new(Crew::new(members));
        let helpers: Vec<_> = (1..members)
            .map(|index| {
                let crew = Arc::clone(&crew);
                thread::spawn(move || crew.help(index))
            })
            .collect();
        lead(&crew);
        crew.leave();
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}

/// A chunk of two steps in which each member writes a value of its own.
fn chunk(crew: &Crew, members: usize) {
    let values = Values::new(members);
    crew.work(members, 1..3, &|member: &Member, step| {
        assert_eq!(member.count(), members);
        values.set(member.index, step);
    });
    assert!(values.all_are(2));
}

#[test]
fn loom_a_helper_comes_and_goes() {
    crew(2, 3, |crew| {
        chunk(crew, 2);
        chunk(crew, 1);
        chunk(crew, 2);
    });
}

#[test]
fn loom_a_helper_that_is_called_wakes_up() {
    crew(2, 3, |crew| {
        crew.call(2);
        chunk(crew, 1);
        chunk(crew, 2);
    });
}

#[test]
fn loom_one_of_two_helpers_works() {
    crew(3, 2, |crew| chunk(crew, 2));
}

#[test]
fn loom_a_failing_member_is_not_waited_for() {
    for failing in 0..2 {
        crew(2, 2, move |crew| {
            let fail = || {
                crew.work(2, 0..2, &|member: &Member, _| {
                    if member.index == failing {
                        // Not a panic's message on standard error for each order.
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }
                });
            };
            assert!(catch_unwind(AssertUnwindSafe(fail)).is_err());
            chunk(crew, 2);
        });
    }
}
