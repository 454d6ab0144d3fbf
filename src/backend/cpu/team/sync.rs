//! What the threads of a team meet by: the standard library's, or those of the `loom` crate, which tries every order of
//! events in the tests that are built with `--cfg loom`.

#[cfg(all(loom, test))]
pub use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, fence},
    },
};
#[cfg(not(all(loom, test)))]
pub use std::{
    hint::spin_loop,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, fence},
    },
};

/// [`std::cell::UnsafeCell`] with loom's way of access.
#[cfg(not(all(loom, test)))]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(all(loom, test)))]
impl<T> UnsafeCell<T> {
    /// A cell with `value`.
    pub fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `with` with a pointer to the value, to be read.
    pub fn with<R>(&self, with: impl FnOnce(*const T) -> R) -> R {
        with(self.0.get())
    }

    /// Calls `with` with a pointer to the value, to be written.
    pub fn with_mut<R>(&self, with: impl FnOnce(*mut T) -> R) -> R {
        with(self.0.get())
    }
}
