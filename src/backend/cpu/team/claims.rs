//! What the members of a team read and write of shared values between two barriers, recorded where debug assertions are on:
//! proof that no member touches what another one writes.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Claims of a thread from which on they are put together: what a wide product writes, row by row, is many.
const MANY: usize = 1 << 14;

/// Addresses that a member reads, or that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    start: usize,
    end: usize,
    writes: bool,
}

thread_local! {
    /// What this thread claimed since the last barrier; none where it is not one of several members.
    static OWN: RefCell<Option<Vec<Claim>>> = const { RefCell::new(None) };
}

/// Whether the claims of step `step` of a run are recorded: of a long run those of some, as recording takes many times the work.
pub fn sampled(step: usize) -> bool {
    step < 8 || step.is_multiple_of(16)
}

/// Begins to record what this thread claims, or ends it.
pub fn record(on: bool) {
    OWN.set(on.then(Vec::new));
}

/// Records that this thread reads or writes `values` until the next barrier.
pub fn claim<T>(values: Range<*mut T>, writes: bool) {
    let claim = Claim { start: values.start.addr(), end: values.end.addr(), writes };
    OWN.with_borrow_mut(|own| {
        if let (Some(own), true) = (own, claim.start < claim.end) {
            match own.last_mut() {
                Some(last) if last.writes == writes && last.end == claim.start => last.end = claim.end,
                Some(last) if *last == claim => {}
                _ => own.push(claim),
            }
            if own.len() >= MANY && own.len().is_power_of_two() {
                put_together(own);
            }
        }
    });
}

/// Sorts claims, and makes one of those of a kind that touch.
fn put_together(claims: &mut Vec<Claim>) {
    claims.sort_unstable_by_key(|claim| (claim.writes, claim.start));
    claims.dedup_by(|next, claim| {
        let touch = next.writes == claim.writes && next.start <= claim.end;
        if touch {
            claim.end = claim.end.max(next.end);
        }
        touch
    });
}

/// All members' claims of a phase.
pub struct Claims(Mutex<Vec<(Claim, usize)>>);

impl Claims {
    /// No claims.
    pub fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Adds what this thread, `member`, claimed since it last did so.
    pub fn hand_in(&self, member: usize) {
        OWN.with_borrow_mut(|own| {
            if let Some(own) = own {
                put_together(own);
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(own.drain(..).map(|claim| (claim, member)));
            }
        });
    }

    /// Drops all claims.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Drops all claims of a phase whose members have handed in theirs.
    ///
    /// # Panics
    /// When one of them writes what another one reads or writes.
    pub fn check(&self, members: usize) {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_unstable();
        // How far each member's claims reach so far: those that read, and those that write.
        let mut reach = vec![[0; 2]; members];
        for (claim, member) in all {
            for (other, &[reads, writes]) in reach.iter().enumerate() {
                let clash = writes > claim.start || claim.writes && reads > claim.start;
                assert!(other == member || !clash, "members {member} and {other} of a team claim the same values");
            }
            let reach = &mut reach[member][usize::from(claim.writes)];
            *reach = claim.end.max(*reach);
        }
    }
}
