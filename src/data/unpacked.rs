//! Packed data that unpacks to so many times its size that it is made to fill the memory.

use std::io::{Error, ErrorKind, Read, Result};

use crate::memory::{self, Bytes};

/// How many times as long as the packed data the unpacked ones may be. Of real tables, gzip makes a tenth; of columns that are nearly
/// all zeros, a hundredth.
const MULTIPLE: u64 = 200;
/// What may be unpacked whatever the length of the packed data.
const ALWAYS: u64 = 64 << 20;
/// The part of the memory that is left which sparser tables may unpack to. Their rows take two to eight times the text.
const PART: u64 = 64;
/// The same where the user said how much memory may be taken.
const PART_OF_LIMIT: u64 = 4;
/// How the error begins that says so.
const BEYOND: &str = "more than";

/// A reader of unpacked data that fails where they are beyond the bound.
pub(super) struct Bounded<R> {
    inner: R,
    read: u64,
    most: u64,
}

impl<R: Read> Bounded<R> {
    /// What `inner` unpacks of `packed` bytes.
    pub(super) fn new(inner: R, packed: u64) -> Self {
        let part = if memory::limit().is_some() { PART_OF_LIMIT } else { PART };
        let of_memory = memory::available().map_or(0, |left| left / part);
        Self { inner, read: 0, most: packed.saturating_mul(MULTIPLE).max(ALWAYS).max(of_memory) }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if self.read > self.most {
            let what = format!("{BEYOND} {MULTIPLE} times its size, and more than {}", Bytes(self.most));
            return Err(Error::new(ErrorKind::InvalidData, what));
        }
        Ok(read)
    }
}

/// Whether a read failed for data beyond the bound.
pub(super) fn is_beyond(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidData && error.to_string().starts_with(BEYOND)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_longer_than_its_packed_form_ends_in_an_error() {
        let all = |length, most| {
            let mut bounded = Bounded { most, ..Bounded::new(std::io::repeat(0).take(length), 1) };
            std::io::copy(&mut bounded, &mut std::io::sink())
        };
        assert_eq!(all(ALWAYS, ALWAYS).unwrap(), ALWAYS);
        let error = all(ALWAYS + 1, ALWAYS).unwrap_err();
        assert!(is_beyond(&error) && error.to_string().ends_with("more than 64.0 MiB"), "{error}");
    }

    #[test]
    fn sparse_tables_may_take_a_part_of_the_memory() {
        let most = |packed| Bounded::new(std::io::empty(), packed).most;
        assert_eq!(most(u64::MAX), u64::MAX);
        assert_eq!(most(1 << 40), MULTIPLE << 40);
        let left = memory::available().unwrap_or(0);
        assert!(most(1) >= ALWAYS && most(1) >= left / PART / 2, "{} of {left}", most(1));
        assert!(most(1) <= ALWAYS.max(left / PART_OF_LIMIT * 2));
    }
}
