//! The form of a CSV file: compression, encoding, delimiter, and whether its first line is a header.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::cells::is_missing;
use crate::error::{Error, Result};

/// The number of bytes at the start of a file that decide its form.
const HEAD: u64 = 1 << 16;

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// It does where the label column is found in it by name, or where a cell of another column is no number
    #[default]
    Auto,
    /// It does
    Yes,
    /// It is a row
    No,
}

/// A text file, or text from elsewhere, decompressed and without a byte order mark.
pub(super) struct Text<'a> {
    /// The first bytes: enough to guess the delimiter by.
    pub(super) head: Vec<u8>,
    /// The bytes after `head`.
    pub(super) rest: Box<dyn Read + 'a>,
    /// Whether the source is compressed.
    pub(super) gzipped: bool,
}

impl<'a> Text<'a> {
    /// Opens the file at `path`, or takes `content`, which messages call `path`.
    pub(super) fn open(path: &Path, content: Option<&'a [u8]>) -> Result<Self> {
        let source: Box<dyn Read + 'a> = match content {
            Some(content) => Box::new(content),
            None => Box::new(File::open(path).map_err(Error::io("read", path))?),
        };
        let (head, rest) = peek(source, 2).map_err(Error::io("read", path))?;
        let gzipped = head == [0x1f, 0x8b];
        let bytes = Cursor::new(head).chain(rest);
        let bytes: Box<dyn Read + 'a> =
            if gzipped { Box::new(MultiGzDecoder::new(BufReader::new(bytes))) } else { Box::new(bytes) };
        let (mut head, rest) = peek(bytes, HEAD).map_err(|error| failed(path, gzipped, error))?;
        if head.starts_with(b"\xef\xbb\xbf") {
            head.drain(..3);
        }
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(Error::file(path, "UTF-16 text", "UTF-8: save it as such"));
        }
        if head.contains(&0) {
            return Err(Error::file(path, "a file of another kind", crate::data::UNDERSTOOD));
        }
        Ok(Self { head, rest, gzipped })
    }

    /// All bytes, from the first.
    pub(super) fn reader(self) -> Box<dyn Read + 'a> {
        Box::new(Cursor::new(self.head).chain(self.rest))
    }
}

/// Splits `source` into its first bytes and the rest.
fn peek<R: Read>(mut source: R, bytes: u64) -> std::io::Result<(Vec<u8>, R)> {
    let mut head = Vec::new();
    source.by_ref().take(bytes).read_to_end(&mut head)?;
    Ok((head, source))
}

/// The error for a read that failed: compressed data is damaged, anything else is the operating system's.
pub(super) fn failed(path: &Path, gzipped: bool, error: std::io::Error) -> Error {
    if gzipped {
        Error::file(path, format!("a damaged gzip file ({error})"), "a whole one")
    } else {
        Error::io("read", path)(error)
    }
}

/// The most frequent of tab, semicolon and comma in the first line, outside quotes.
pub(super) fn delimiter(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    for &byte in &head[start..] {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => counts.iter_mut().filter(|(delimiter, _)| *delimiter == byte).for_each(|(_, count)| *count += 1),
        }
    }
    // With equal counts the last one wins: in 1,5;2,5 the comma belongs to the numbers.
    counts.into_iter().max_by_key(|&(_, count)| count).filter(|&(_, count)| count > 0).map_or(b',', |(byte, _)| byte)
}

/// Whether a cell of the first line names its column. The cell of the label column `label` does not count: classes are
/// text in rows, too.
pub(super) fn is_header(first: &[String], label: Option<usize>) -> bool {
    first.iter().enumerate().any(|(index, cell)| Some(index) != label && is_name(cell))
}

/// Whether a cell is a name: neither a number nor a missing value.
pub(super) fn is_name(cell: &str) -> bool {
    cell.parse::<f32>().is_err() && !is_missing(cell)
}
