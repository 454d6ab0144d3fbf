//! The text of a table in blocks that end where a record ends, so that each can be read by itself.

use std::io::Read;

use super::marks::{Marks, quote_end};
use super::source::{MARK, Source, Text};
use crate::error::{Error, Result};

/// Bytes of a block.
const BLOCK: usize = 1 << 20;
/// The most bytes of one record.
const LONGEST: usize = 1 << 26;
/// The most cells of the first record.
const MOST_CELLS: usize = 1 << 20;

/// The blocks of a file.
pub(super) struct Blocks<'a> {
    source: Source<'a>,
    text: Text<'a>,
    marks: Marks,
    /// What was read beyond the last block.
    rest: Vec<u8>,
    /// The number of the next block's first line, from 1.
    line: u64,
    ended: bool,
    /// Whether it is known that all quotes are closed.
    closed: bool,
}

/// Whole records, or the end of a file.
pub(super) struct Block {
    pub(super) text: Vec<u8>,
    /// The number of its first line, from 1.
    pub(super) line: u64,
}

impl<'a> Blocks<'a> {
    /// The blocks of `source` from its start.
    pub(super) fn new(source: Source<'a>) -> Result<Self> {
        Ok(Self {
            source,
            text: source.open()?,
            marks: Marks::of(b','),
            rest: Vec::new(),
            line: 1,
            ended: false,
            closed: false,
        })
    }

    /// What there is to say of where the text lies.
    pub(super) fn note(&self) -> Option<&str> {
        self.text.note.as_deref()
    }

    /// The first block, which stays to be read.
    ///
    /// # Errors
    /// As [`Blocks::next`], and [`Error::File`] for more columns than are read.
    pub(super) fn head(&mut self) -> Result<&[u8]> {
        let end = self.whole()?;
        let head = &self.rest[..end];
        if head.len() > MOST_CELLS {
            let line = &head[..memchr::memchr2(b'\n', b'\r', head).unwrap_or(head.len())];
            let cells = [b',', b';', b'\t', b'|', b' '].map(|mark| memchr::memchr_iter(mark, line).count() + 1);
            if let Some(cells) = cells.into_iter().find(|cells| *cells > MOST_CELLS) {
                let found = format!("{cells} cells in the first line");
                return Err(Error::file(self.source.path, found, format!("at most {MOST_CELLS} columns")));
            }
        }
        Ok(head)
    }

    /// Goes on after so many bytes and lines of the head; `marks` part cells.
    ///
    /// # Errors
    /// [`Error::File`] for a quote that is not closed.
    pub(super) fn start(&mut self, (bytes, lines): (usize, u64), marks: Marks) -> Result<()> {
        self.rest.drain(..bytes);
        self.line += lines;
        self.marks = marks;
        self.check_quotes()
    }

    /// Refuses a quote that is not closed, once the file ends: it would be a cell of all that follows.
    fn check_quotes(&mut self) -> Result<()> {
        if !self.ended || std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        self.marks.unclosed(&self.rest).map_or(Ok(()), |lines| {
            let found = format!("a quote that begins in line {} and is not closed", self.line + lines);
            Err(Error::file(self.source.path, found, "an end to each quote that begins"))
        })
    }

    /// Leaves out the next record that is not blank: the header.
    pub(super) fn skip_record(&mut self) -> Result<()> {
        self.whole()?;
        let text = &self.rest[..];
        let mut end = 0;
        while end < text.len() {
            let length = first_end(&text[end..], self.marks);
            let record = &text[end..end + length];
            end += length;
            if !record.trim_ascii().is_empty() {
                break;
            }
        }
        self.line += memchr::memchr_iter(b'\n', &text[..end]).count() as u64;
        self.rest.drain(..end);
        Ok(())
    }

    /// The next block; none at the end.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for a record that is too long, as one without an end is.
    pub(super) fn next(&mut self) -> Result<Option<Block>> {
        let end = self.whole()?;
        self.check_quotes()?;
        if self.rest.is_empty() {
            return Ok(None);
        }
        let rest = self.rest.split_off(end);
        let text = std::mem::replace(&mut self.rest, rest);
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &text).count() as u64;
        Ok(Some(Block { text, line }))
    }

    /// Reads on until there is a whole record: where the last one ends.
    fn whole(&mut self) -> Result<usize> {
        let mut wanted = BLOCK;
        loop {
            self.fill(wanted)?;
            let end = if self.ended { Some(self.rest.len()) } else { last_end(&self.rest, self.marks) };
            if let Some(end) = end {
                return Ok(end);
            }
            wanted = (2 * self.rest.len()).min(LONGEST);
            if self.rest.len() >= LONGEST {
                let found = format!("a row from line {} on that does not end in {LONGEST} bytes", self.line);
                return Err(Error::file(self.source.path, found, "shorter rows, and an end to each quote that begins"));
            }
        }
    }

    /// Reads until there are `wanted` bytes, or no more.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let missing = wanted.saturating_sub(self.rest.len());
        if missing > 0 && !self.ended {
            self.rest.reserve_exact(missing);
            let from = self.rest.len();
            let read = self.text.reader.by_ref().take(missing as u64).read_to_end(&mut self.rest);
            self.ended = read.map_err(|error| self.text.failed(self.source.path, error))? < missing;
            drop_marks(&mut self.rest, from.saturating_sub(MARK.len()));
        }
        Ok(())
    }
}

/// Leaves out marks of UTF-8 that begin a line of `text`, which does so itself, from `from` on: they stand between files that were put
/// together.
fn drop_marks(text: &mut Vec<u8>, from: usize) {
    let begins = |at: &usize| at.checked_sub(1).is_none_or(|before| matches!(text[before], b'\n' | b'\r'));
    let found: Vec<usize> = memchr::memmem::find_iter(&text[from..], MARK).map(|at| from + at).filter(begins).collect();
    let Some(&first) = found.first() else { return };
    let mut rest = Vec::with_capacity(text.len() - first);
    let ends = found[1..].iter().copied().chain([text.len()]);
    found.iter().zip(ends).for_each(|(at, end)| rest.extend_from_slice(&text[at + MARK.len()..end]));
    text.truncate(first);
    text.extend(rest);
}

/// Where the first record of `text` ends.
fn first_end(text: &[u8], marks: Marks) -> usize {
    let Marks { delimiter, quote, padded, .. } = marks;
    let mut at = 0;
    let mut begins = true;
    while let Some(&byte) = text.get(at) {
        match byte {
            _ if begins && byte == quote => at = quote_end(text, at + 1, quote).unwrap_or(text.len()),
            b'\n' => return at + 1,
            b'\r' => return at + if text.get(at + 1) == Some(&b'\n') { 2 } else { 1 },
            _ => at += 1,
        }
        begins = byte == delimiter || (delimiter == b' ' && byte == b'\t') || (padded && begins && byte == b' ');
    }
    text.len()
}

/// Where the last whole record of `text` ends. A quote begins a cell of any characters only where the cell begins, as for the
/// reader of records.
fn last_end(text: &[u8], marks: Marks) -> Option<usize> {
    let Marks { delimiter, quote, padded, .. } = marks;
    if memchr::memchr(quote, text).is_none() {
        return match memchr::memrchr(b'\n', text) {
            Some(at) => Some(at + 1),
            // The line feed of the last one may not have been read yet.
            None => memchr::memrchr(b'\r', &text[..text.len().saturating_sub(1)]).map(|at| at + 1),
        };
    }
    let feeds = memchr::memchr(b'\n', text).is_some();
    let (mut end, mut at, mut begins) = (None, 0, true);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            _ if begins && byte == quote => {
                let Ok(after) = quote_end(text, at, quote) else { return end };
                (at, begins) = (after, false);
            }
            b'\n' => (end, begins) = (Some(at), true),
            b'\r' => {
                if !feeds && at < text.len() {
                    end = Some(at);
                }
                begins = true;
            }
            // Blanks part cells too where the delimiter is not known yet or is a blank.
            _ => {
                begins = byte == delimiter
                    || (delimiter == b'\0' && b",;\t|".contains(&byte))
                    || (delimiter == b' ' && byte == b'\t')
                    || (padded && begins && byte == b' ')
            }
        }
    }
    end
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_head_holds_a_whole_record_however_long_it_is() {
        let first: String = (0..400_000).map(|column| format!("c{column},")).collect();
        let text = format!("{first}end\n1,2\n");
        assert!(first.len() > 2 * BLOCK);
        let mut blocks = Blocks::new(Source { path: "some".as_ref(), content: Some(text.as_bytes()) }).unwrap();
        assert!(blocks.head().unwrap().starts_with(format!("{first}end\n").as_bytes()));
        blocks.start((0, 0), Marks::of(b',')).unwrap();
        blocks.skip_record().unwrap();
        let Block { text, line } = blocks.next().unwrap().unwrap();
        assert_eq!((&text[..], line), (&b"1,2\n"[..], 2));
    }

    #[test]
    fn blocks_end_where_the_reader_of_records_ends_one() {
        for text in [
            "a,b\n1,2\n3,4",
            "\"a\nb\",c\n\"d",
            "x\"y,\"1\"\"\n2\"z\n,\"",
            "\"\"\"\n\",1\n2,\"",
            "a \"b\nc\" d\ne,f\n",
            "\"a\"\r\n\"b\r\nc\"\r\n",
        ] {
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let mut ends = Vec::new();
            let mut record = ::csv::ByteRecord::new();
            while reader.read_byte_record(&mut record).unwrap() {
                ends.push(reader.position().byte() as usize);
            }
            for length in 0..=text.len() {
                let found = last_end(&text.as_bytes()[..length], Marks::of(b','));
                let expected = ends.iter().copied().filter(|end| {
                    let line = text.as_bytes()[..*end].ends_with(b"\n") || text.as_bytes()[*end..].starts_with(b"\n");
                    let end = if text.as_bytes()[*end..].starts_with(b"\n") { end + 1 } else { *end };
                    line && end <= length
                });
                let expected =
                    expected.max().map(|end| if text.as_bytes()[end..].starts_with(b"\n") { end + 1 } else { end });
                assert_eq!(found, expected, "{:?}", &text[..length]);
            }
        }
    }

    #[test]
    fn marks_of_utf_8_at_the_start_of_lines_are_left_out() {
        for (text, from, expected) in [
            ("\u{feff}a,b\n\u{feff}1,\u{feff}2\n", 0, "a,b\n1,\u{feff}2\n"),
            ("a,b\r\u{feff}1\n\u{feff}", 2, "a,b\r1\n"),
            ("a\u{feff}b", 1, "a\u{feff}b"),
        ] {
            let mut text = text.as_bytes().to_vec();
            drop_marks(&mut text, from);
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_in_some_block_and_lines_are_counted() {
        let row = |row: usize| format!("{row},\"{}\n\",{}\n", "x".repeat(row % 50), row * 7);
        let text: String = (0..60_000).map(row).collect();
        let source = Source { path: "some".as_ref(), content: Some(text.as_bytes()) };
        let (mut blocks, mut all, mut lines) = (Blocks::new(source).unwrap(), Vec::new(), Vec::new());
        assert!(blocks.head().unwrap().ends_with(b"\n"));
        while let Some(block) = blocks.next().unwrap() {
            assert!(block.text.ends_with(b"\n") && block.text[0].is_ascii_digit());
            assert_eq!(block.line, 1 + all.iter().filter(|byte| **byte == b'\n').count() as u64);
            all.extend(block.text);
            lines.push(block.line);
        }
        assert!(all == text.as_bytes() && lines.len() > 2, "{lines:?}");
    }
}
