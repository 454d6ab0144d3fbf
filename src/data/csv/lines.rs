//! The lines of a CSV file as records, with their numbers for messages.

use std::io::{BufReader, Read};
use std::path::Path;

use ::csv::{ByteRecord, Position, Reader, ReaderBuilder};

use super::dialect::{Text, delimiter, failed};
use crate::error::Result;

/// A file that is being read.
pub(super) struct Lines<'a> {
    pub(super) path: &'a Path,
    content: Option<&'a [u8]>,
    reader: Reader<Box<dyn Read + 'a>>,
    gzipped: bool,
}

impl<'a> Lines<'a> {
    /// Opens the file at `path`, or takes `content`, which messages call `path`.
    pub(super) fn open(path: &'a Path, content: Option<&'a [u8]>) -> Result<Self> {
        let text = Text::open(path, content)?;
        let (delimiter, gzipped) = (delimiter(&text.head), text.gzipped);
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.reader());
        Ok(Self { path, content, reader, gzipped })
    }

    /// Reads the next line that is not blank into `record`. Returns false at the end.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool> {
        loop {
            let more = self.reader.read_byte_record(record);
            if !more.map_err(|error| failed(self.path, self.gzipped, error.into()))? {
                return Ok(false);
            }
            record.trim();
            if record.len() > 1 || record.get(0).is_some_and(|cell| !cell.is_empty()) {
                return Ok(true);
            }
        }
    }

    /// The number of the line on which `record` begins, from 1.
    pub(super) fn line(&self, record: &ByteRecord) -> u64 {
        let start = record.position().map_or(0, Position::byte);
        self.numbers(&[start]).pop().unwrap_or(0)
    }

    /// The numbers of the lines, from 1, of the records that the reader found at the bytes `starts`. The reader puts the
    /// start of a record where the previous one ends, before any blank lines between them. So the file is read once more.
    pub(super) fn numbers(&self, starts: &[u64]) -> Vec<u64> {
        let Ok(text) = Text::open(self.path, self.content) else { return vec![0; starts.len()] };
        let bytes = BufReader::new(text.reader()).bytes().map_while(Result::ok);
        let (mut numbers, mut line, mut starts) = (Vec::new(), 1, starts.iter().peekable());
        for (at, byte) in bytes.enumerate() {
            let blank = matches!(byte, b'\r' | b'\n');
            while starts.next_if(|start| !blank && **start <= at as u64).is_some() {
                numbers.push(line);
            }
            line += u64::from(byte == b'\n');
            if starts.peek().is_none() {
                break;
            }
        }
        numbers.extend(starts.map(|_| line));
        numbers
    }
}
