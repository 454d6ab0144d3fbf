//! Values that the members of a team share.

use std::marker::PhantomData;
use std::ops::Range;

/// Values that the members of a team share: in each phase each writes a part of its own, or all read.
///
/// With debug assertions each part is recorded, and a barrier panics where two members claimed the same values and one of
/// them to write.
#[derive(Clone, Copy)]
pub struct Shared<'a, T> {
    start: *mut T,
    length: usize,
    values: PhantomData<&'a mut [T]>,
}

// SAFETY: a reference is only ever made by `part` and `part_mut`, whose callers keep writers and readers apart.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}
// SAFETY: as for `Sync`.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Shares `values` for as long as they are borrowed.
    pub fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), values: PhantomData }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the values of `range` start.
    fn place(&self, range: &Range<usize>, writes: bool) -> *mut T {
        assert!(range.start <= range.end && range.end <= self.length, "a part of shared values");
        // SAFETY: inside the values that `new` borrowed, or at their end.
        let place = unsafe { self.start.add(range.start) };
        #[cfg(debug_assertions)]
        super::claims::claim(place..place.wrapping_add(range.len()), writes);
        #[cfg(not(debug_assertions))]
        let _ = writes;
        place
    }

    /// The values of `range`.
    ///
    /// # Safety
    /// Until the next barrier no other member writes any of them.
    pub unsafe fn part(&self, range: Range<usize>) -> &'a [T] {
        // SAFETY: inside the values that `new` borrowed; the caller rules out writers.
        unsafe { std::slice::from_raw_parts(self.place(&range, false), range.len()) }
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
        // SAFETY: inside the values that `new` borrowed mutably; the caller rules out other references.
        unsafe { std::slice::from_raw_parts_mut(self.place(&range, true), range.len()) }
    }
}
