//! Packed data that unpacks to so many times its size that it is made to fill the memory.

use std::io::{Error, ErrorKind, Read, Result};

/// How many times as long as the packed data the unpacked ones may be. Of real tables, gzip makes a tenth; of columns that are nearly
/// all zeros, a hundredth. Sparser ones are to be unpacked first.
const MULTIPLE: u64 = 200;
/// What may be unpacked whatever the length of the packed data.
const ALWAYS: u64 = 64 << 20;
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
        Self { inner, read: 0, most: packed.saturating_mul(MULTIPLE).max(ALWAYS) }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if self.read > self.most {
            let what = format!("{BEYOND} {MULTIPLE} times its size, and more than {} MiB", ALWAYS >> 20);
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
        let all = |length, packed| {
            std::io::copy(&mut Bounded::new(std::io::repeat(0).take(length), packed), &mut std::io::sink())
        };
        assert_eq!(all(ALWAYS, 1).unwrap(), ALWAYS);
        assert_eq!(all(MULTIPLE << 20, 1 << 20).unwrap(), MULTIPLE << 20);
        assert!(is_beyond(&all(ALWAYS + 1, 1).unwrap_err()));
    }
}
