//! What lies in memory once of data sets, whoever trains on them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::network::Rows;
use crate::data::Samples;

/// The rows of samples as the engine reads them, which networks that are given the same store share. Cheap to clone.
#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<Vec<Listed>>>);

/// Samples, the threads that their rows were listed for, and the rows; neither is kept alive.
type Listed = (Weak<Samples>, usize, Weak<Rows>);

impl Store {
    /// The rows of `samples` for teams of `threads`; those that are there already are not listed again.
    pub(super) fn rows(&self, samples: &Arc<Samples>, threads: usize) -> Arc<Rows> {
        // Held while rows are listed: others wait for them rather than list them too.
        let mut listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listed.retain(|(_, _, rows)| rows.strong_count() > 0);
        // While there is a weak reference to samples, no others lie at their address.
        let same = |of: &Weak<Samples>| std::ptr::eq(of.as_ptr(), Arc::as_ptr(samples));
        let there = listed.iter().find(|(of, parts, _)| same(of) && *parts == threads);
        if let Some(rows) = there.and_then(|(.., rows)| rows.upgrade()) {
            return rows;
        }
        let rows = Arc::new(Rows::new(samples, threads));
        listed.push((Arc::downgrade(samples), threads, Arc::downgrade(&rows)));
        rows
    }
}
