//! The form of a table's text, known from its first lines: what stands between cells, the decimal mark, lines before the
//! table, and whether its first line is a header.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ::csv::{ByteRecord, Position};
use serde::{Deserialize, Serialize};

use super::cells::{Decimal, Number, Reading, decode, has_decimal_comma, is_grouped};
use super::is_number_with;
use super::marks::{DELIMITERS, Marks, quote};
use crate::data::{Note, Options, classes};
use crate::error::{Error, Result};

/// The most records by which a form is known.
pub(super) const RECORDS: usize = 1000;

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// It does where the label column is found in it by name, or where its cells do not look like those under them
    #[default]
    Auto,
    /// It does
    Yes,
    /// It is a row
    No,
}

/// What stands between cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delimiter {
    /// What parts the first lines into the same number of cells
    #[default]
    Auto,
    /// ,
    Comma,
    /// ;
    Semicolon,
    /// A tab
    Tab,
    /// |
    Pipe,
    /// Any number of spaces and tabs
    Blanks,
}

impl Delimiter {
    /// The byte that parts cells, once runs of blanks are one.
    fn byte(self) -> Option<u8> {
        match self {
            Self::Auto => None,
            Self::Comma => Some(b','),
            Self::Semicolon => Some(b';'),
            Self::Tab => Some(b'\t'),
            Self::Pipe => Some(b'|'),
            Self::Blanks => Some(b' '),
        }
    }
}

/// The form of a file.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    /// What parts cells.
    pub(super) marks: Marks,
    /// How cells are read.
    pub(super) reading: Reading,
    /// Bytes and lines before the table.
    pub(super) skipped: (usize, u64),
    /// The first records, the first line included, trimmed; comments are not among them.
    pub(super) records: Vec<Vec<String>>,
    /// Cells of the first one that are no UTF-8.
    pub(super) odd: u64,
    /// Where the second record has a cell more than the first: its line, and whether first cells are quoted as R quotes names of rows.
    pub(super) longer: Option<(u64, bool)>,
    /// Whether the file is text; one in columns names them.
    pub(super) is_text: bool,
}

/// Splits text that ends with a whole record, or with the file, into its first records that are not blank.
pub(super) fn records(text: &[u8], marks: Marks, most: usize) -> Vec<ByteRecord> {
    let text = marks.plain(text);
    let mut reader = marks.reader().from_reader(&text[..]);
    let records = reader.byte_records().map_while(Result::ok).map(|mut record| {
        record.trim();
        record
    });
    records.filter(|record| !is_blank(record)).take(most).collect()
}

/// Whether a line, as a record, holds nothing.
pub(super) fn is_blank(record: &ByteRecord) -> bool {
    record.len() <= 1 && record.get(0).is_none_or(<[u8]>::is_empty)
}

impl Dialect {
    /// The form of a file that begins with `head`, which ends with a whole record. What `options` say goes before what it
    /// looks like, and so does the form of the table's first file, which it is `like`; what was guessed goes to `notes`.
    pub(super) fn of(head: &[u8], options: &Options, like: Option<&Self>, notes: &mut Vec<Note>) -> Self {
        let Preamble { bytes, lines, named, comment } = Preamble::of(head, options.skip_lines.unwrap_or(0));
        let table = &head[bytes..];
        let given = options.delimiter.byte().or(named);
        let quote = like.map_or_else(|| quote(table, given), |like| like.marks.quote);
        let marks = match (given, like) {
            _ if options.delimiter == Delimiter::Blanks => Marks::of_blanks(),
            (Some(byte), _) => Marks { quote, ..Marks::of(byte) }.in_text(table),
            (None, Some(like)) => like.marks.in_text(table),
            (None, None) => guess(table, quote),
        };
        let (delimiter, blanks) = (marks.delimiter, marks.blanks);
        let mut found = records(table, marks, RECORDS);
        leave_comments_out(&mut found);
        let title = if options.skip_lines.is_none() && !blanks { title(&found) } else { 0 };
        found.drain(..title);
        let above = found.first().filter(|_| title > 0).map_or(0, |first| start_of(first, table));
        let (bytes, lines) = (bytes + above, lines + memchr::memchr_iter(b'\n', &table[..above]).count() as u64);
        let text = |record: &ByteRecord| record.iter().map(|cell| decode(cell).0.into_owned()).collect();
        let odd = |record: &ByteRecord| record.iter().filter(|cell| decode(cell).1).count() as u64;
        let longer = found.get(1).filter(|second| second.len() == found[0].len() + 1).map(|second| {
            let plain = marks.plain(table);
            let before = &plain[above..start_of(second, &plain)];
            (lines + 1 + memchr::memchr_iter(b'\n', before).count() as u64, marks.quotes_names(&table[above..]))
        });
        let reading = Reading { comma: false, missing: options.missing_values.clone() };
        let records_of_text = found.iter().map(text).collect();
        let mut dialect = Self {
            marks,
            reading,
            skipped: (bytes, lines),
            records: records_of_text,
            odd: found.first().map_or(0, odd),
            longer,
            is_text: true,
        };
        dialect.reading.comma = match (options.decimal, like) {
            // A file of whole numbers alone says nothing, so each is asked, and the first one only where this one is silent.
            (Decimal::Auto, like) => {
                let first = like.is_some_and(|like| like.reading.comma);
                decimal_comma(&found, delimiter).unwrap_or(first)
            }
            (given, _) => given == Decimal::Comma,
        };
        // A header may begin as comments do: it has a cell for each of those below, among which there is none.
        if let Some((start, before)) = comment.filter(|_| title == 0) {
            let line = head[start..].strip_prefix(b"#").unwrap_or_default();
            let header = records(&line[..line_length(line)], marks, 1);
            if let (Some(header), Some(first)) = (header.first(), found.first())
                && header.len() == first.len()
                && header.len() > 1
                && !header.iter().any(|cell| is_number_with(cell, false))
                && !dialect.has_names(None)
                && options.header != Header::No
            {
                dialect.records.insert(0, text(header));
                dialect.odd = odd(header);
                dialect.skipped = (start + 1, before);
            }
        }
        let aside = dialect.skipped.1 - u64::from(named.is_some());
        if aside > 0 {
            let what = if title > 0 || options.skip_lines.is_some() { "" } else { " of comments" };
            let text = format!("{aside} lines{what} before the table are left aside");
            notes.push(if title > 0 { Note::new(text, "skip_lines") } else { text.into() });
        }
        if named.is_some() {
            notes.push("the first line says what stands between cells".to_owned().into());
        }
        if options.delimiter == Delimiter::Auto && (blanks || delimiter == b'|') {
            let what = if blanks { "blanks" } else { "|" };
            notes.push(Note::new(format!("cells are parted by {what}"), "delimiter"));
        }
        if marks.quote == b'\'' {
            notes.push("cells are quoted by ' in place of \"".to_owned().into());
        }
        if options.decimal == Decimal::Auto && dialect.reading.comma {
            notes.push(Note::new("numbers have a decimal comma".into(), "decimal"));
        }
        dialect
    }

    /// That of a file in columns, of which these are the first records and the names.
    #[cfg(feature = "columnar")]
    pub(super) fn of_columns(records: Vec<Vec<String>>, options: &Options) -> Self {
        let reading = Reading { comma: options.decimal == Decimal::Comma, missing: options.missing_values.clone() };
        Self { marks: Marks::of(b','), reading, skipped: (0, 0), records, odd: 0, longer: None, is_text: false }
    }

    /// What the place of a row is called.
    pub(super) fn unit(&self) -> &'static str {
        if self.is_text { "line" } else { "row" }
    }

    /// The number of columns by which one is found that is named by its number: an empty last one does not count, nor the index
    /// that pandas saves behind the columns.
    pub(super) fn count(&self) -> usize {
        let count = self.records.first().map_or(0, Vec::len);
        if !self.is_text {
            let names = self.records.first().into_iter().flatten().rev();
            return count - names.take_while(|name| name.starts_with("__index_level_")).count();
        }
        let empty = |record: &Vec<String>| record.len() == count && record.last().is_some_and(String::is_empty);
        if count > 2 && self.records.iter().all(empty) { count - 1 } else { count }
    }

    /// The cells of the first record, which names the columns; before them an empty one where rows have a cell more, as in files of
    /// R, which write the names of rows without a name above them. Where it is `known` of the columns, any cells may be such names.
    ///
    /// # Errors
    /// [`Error::File`] where rows have a cell more, and the first ones are no names of rows.
    pub(super) fn header(&self, path: &Path, known: bool) -> Result<Vec<String>> {
        let first = self.records.first().cloned().unwrap_or_default();
        let rows: Vec<&Vec<String>> = self.rows().collect();
        let Some((line, quoted)) = self.longer.filter(|_| rows.iter().all(|row| row.len() == first.len() + 1)) else {
            return Ok(first);
        };
        let are_names = are_names_of_rows(&rows, quoted);
        // An empty last cell is left aside, and no column.
        let is_last_empty = rows.iter().all(|row| row.last().is_some_and(String::is_empty));
        if is_last_empty && !(known && are_names) {
            return Ok(first);
        }
        if known || are_names {
            return Ok([vec![String::new()], first].concat());
        }
        let (count, row) = (rows[0].len(), classes::list(rows[0]));
        let (names, header) = (first.len(), classes::list(&first));
        let found = format!("{count} cells in line {line} ({row}) under a header of {names} ({header})");
        let expected = format!(
            "as many: add the name that is missing to the header, or put quotes around cells that hold {}, and double \
             each quote in them",
            self.marks.name()
        );
        Err(Error::file(path, found, expected))
    }

    /// The first records under the header, which may come again among them.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Vec<String>> {
        let (first, rows) = self.records.split_first().unzip();
        rows.unwrap_or_default().iter().filter(move |row| Some(*row) != first)
    }

    /// Whether the first record names the columns: by the cells in the columns where those under it are numbers, else by
    /// whether its cells come again under it. The column of the labels, which is text in rows too, goes by the latter.
    pub(super) fn has_names(&self, label: Option<usize>) -> bool {
        let Some((first, rows)) = self.records.split_first() else { return false };
        let number = |cell: &String| matches!(self.reading.number(cell.as_bytes()), Number::Value(_));
        let missing = |cell: &String| super::is_missing(cell);
        let (mut names, mut values) = (0, 0);
        for (index, cell) in first.iter().enumerate().filter(|(index, _)| Some(*index) != label) {
            let under: Vec<&String> =
                rows.iter().filter_map(|row| row.get(index)).filter(|cell| !missing(cell)).collect();
            let numbers = under.iter().filter(|cell| number(cell)).count();
            if missing(cell) || under.is_empty() {
                continue;
            }
            if 2 * numbers > under.len() {
                *(if number(cell) { &mut values } else { &mut names }) += 1;
            }
        }
        if names + values > 0 {
            return names > 0;
        }
        if rows.is_empty() {
            return first.iter().enumerate().any(|(at, cell)| Some(at) != label && !number(cell) && !missing(cell));
        }
        // A header may stand in the file more than once.
        let rows: Vec<&Vec<String>> =
            if self.rows().next().is_some() { self.rows().collect() } else { rows.iter().collect() };
        let again =
            |(index, cell): (usize, &String)| !missing(cell) && rows.iter().any(|row| row.get(index) == Some(cell));
        let mut met = HashSet::new();
        let different = first.iter().all(|cell| met.insert(cell) || cell.is_empty());
        different && !first.iter().enumerate().any(again) && !first.iter().any(number)
    }
}

/// Whether the first cells of `rows` are what R writes as names of rows: different texts, or 1, 2, 3; any different ones where they
/// are `quoted` among numbers that are not.
fn are_names_of_rows(rows: &[&Vec<String>], quoted: bool) -> bool {
    let mut met = HashSet::new();
    let names: Vec<&String> = rows.iter().filter_map(|row| row.first()).collect();
    let different = names.iter().all(|name| !super::is_missing(name) && met.insert(*name));
    let are_texts = || !names.iter().any(|name| is_number_with(name, false));
    let are_counted = || names.iter().zip(1..).all(|(name, row)| name.parse() == Ok(row));
    different && (quoted || are_texts() || are_counted())
}

/// Leaves out records that begin as comments do and have not as many cells as most; the first one may be a header.
fn leave_comments_out(records: &mut Vec<ByteRecord>) {
    let is_marked = |record: &ByteRecord| record.get(0).is_some_and(|cell| cell.starts_with(b"#"));
    if !records.iter().skip(1).any(is_marked) {
        return;
    }
    let mut counts = HashMap::new();
    records.iter().for_each(|record| *counts.entry(record.len()).or_insert(0) += 1);
    let usual = counts.into_iter().max_by_key(|(cells, count)| (*count, *cells)).map_or(0, |(cells, _)| cells);
    let mut at = 0;
    records.retain(|record| {
        at += 1;
        at == 1 || record.len() == usual || !is_marked(record)
    });
}

/// What stands before a table.
struct Preamble {
    /// Bytes and lines that are no part of the table, unless the last comment is a header.
    bytes: usize,
    lines: u64,
    /// What a first line `sep=;` says.
    named: Option<u8>,
    /// Where the last line of comments begins, and the number of lines before it.
    comment: Option<(usize, u64)>,
}

impl Preamble {
    /// What stands before the table in `head`, of which the first `skipped` lines are no part of it.
    fn of(head: &[u8], skipped: usize) -> Self {
        let mut preamble = Self { bytes: 0, lines: 0, named: None, comment: None };
        for _ in 0..skipped {
            let length = line_length(&head[preamble.bytes..]);
            preamble.bytes += length;
            preamble.lines += u64::from(length > 0);
        }
        if skipped > 0 {
            return preamble;
        }
        let first = &head[..line_length(head)];
        let text = first.trim_ascii_end().trim_ascii_start();
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', byte] =
            text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
        {
            (preamble.bytes, preamble.lines, preamble.named) = (first.len(), 1, Some(*byte));
        } else if first.strip_suffix(b"\n").unwrap_or(first).eq_ignore_ascii_case(b"sep=\t") {
            (preamble.bytes, preamble.lines, preamble.named) = (first.len(), 1, Some(b'\t'));
        }
        while head[preamble.bytes..].starts_with(b"#") {
            let length = line_length(&head[preamble.bytes..]);
            if preamble.bytes + length == head.len() {
                break;
            }
            preamble.comment = Some((preamble.bytes, preamble.lines));
            preamble.bytes += length;
            preamble.lines += 1;
        }
        preamble
    }
}

/// The length of the first line, its end included.
fn line_length(text: &[u8]) -> usize {
    match memchr::memchr2(b'\n', b'\r', text) {
        Some(at) if text[at] == b'\r' && text.get(at + 1) == Some(&b'\n') => at + 2,
        Some(at) => at + 1,
        None => text.len(),
    }
}

/// The most lines of a title.
const MOST_OF_TITLE: usize = 20;

/// How many of the first records `found` are a title above the table: lines with fewer cells than all of those that follow have, as
/// reports of other software begin.
fn title(found: &[ByteRecord]) -> usize {
    let Some(cells) = found.last().map(ByteRecord::len).filter(|cells| *cells > 1) else { return 0 };
    let whole = found.iter().rposition(|record| record.len() != cells).map_or(0, |last| last + 1);
    let (above, table) = found.split_at(whole);
    let missing = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(super::is_missing);
    let is_text = |cell: &[u8]| !is_number_with(cell, false) && !missing(cell);
    let are_numbers = |column: usize| {
        let under = table[1..].iter().filter_map(|record| record.get(column)).filter(|cell| !missing(cell));
        let (numbers, others): (Vec<&[u8]>, _) = under.partition(|cell| is_number_with(cell, false));
        numbers.len() > others.len()
    };
    let is_named = table[0].iter().all(is_text) && (0..cells).any(are_numbers);
    // A header of R has a cell less than the rows under it.
    let lacking = above.last().is_some_and(|record| record.len() + 1 == cells) && !is_named;
    let first = whole - usize::from(lacking);
    let is_title = (1..=MOST_OF_TITLE).contains(&first)
        && table.len() >= above.len().max(2)
        && above[..first].iter().all(|record| record.len() < cells && record.iter().any(is_text));
    if is_title { first } else { 0 }
}

/// Where `record` begins in `text`, which it was read from. The reader puts its start before any ends of lines that are above it.
pub(super) fn start_of(record: &ByteRecord, text: &[u8]) -> usize {
    let start = record.position().map_or(0, Position::byte) as usize;
    start + text[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count()
}

/// What parts the lines of `text`, in which `quote` begins a cell of any characters, into the same number of cells.
fn guess(text: &[u8], quote: u8) -> Marks {
    let score = |marks: Marks| {
        let mut found = records(text, marks, 100);
        leave_comments_out(&mut found);
        let counts: Vec<usize> = found.iter().map(ByteRecord::len).collect();
        // A header may lack a cell, as that of R's tables does.
        let alike = |count: usize| {
            let lacking = counts.first().is_some_and(|first| first + 1 == count);
            counts.iter().filter(|other| **other == count).count() + usize::from(lacking)
        };
        let usual = counts.iter().copied().max_by_key(|&count| alike(count)).unwrap_or(0);
        let share = if usual > 1 { alike(usual) as f64 / counts.len() as f64 } else { 0.0 };
        // Nearly all is as good as all: a single line may be broken.
        if share >= 0.95 { 1.0 } else { share }
    };
    let marks = |byte| Marks { quote, ..Marks::of(byte) }.in_text(text);
    let best = DELIMITERS.into_iter().map(|byte| (score(marks(byte)), byte));
    let (share, byte) = best.rev().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, b','));
    match () {
        () if share < 0.8 && score(Marks::of_blanks()) >= 1.0 => Marks::of_blanks(),
        () if share > 0.0 => marks(byte),
        () => marks(b','),
    }
}

/// Whether numbers have a decimal comma: there are such, and none with a decimal point. Where commas part cells, those in
/// quotes that may part thousands do.
fn decimal_comma(records: &[ByteRecord], delimiter: u8) -> Option<bool> {
    let (mut commas, mut points) = (0, 0);
    for cell in records.iter().flat_map(ByteRecord::iter).filter(|cell| cell.len() < 32) {
        if has_decimal_comma(cell) {
            commas += usize::from(delimiter != b',' || !is_grouped(cell, b','));
        } else if cell.contains(&b'.') && !is_grouped(cell, b'.') && is_number_with(cell, false) {
            points += 1;
        }
    }
    match (commas, points) {
        (0, 0) => None,
        (_, points) => Some(points == 0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn dialect(text: &str) -> (Dialect, Vec<String>) {
        let mut notes = Vec::new();
        let dialect = Dialect::of(text.as_bytes(), &Options::default(), None, &mut notes);
        (dialect, notes.into_iter().map(|note| note.text).collect())
    }

    #[test]
    fn a_header_of_a_cell_less_has_an_empty_one_before_it() {
        for (text, header) in [
            ("size,kind\nr1,1,x\n", &["", "size", "kind"][..]),
            ("size,kind\nr1,1,x\nr2,2,x\n", &["", "size", "kind"]),
            ("size,kind\n1,5,x\n2,7,x\n", &["", "size", "kind"]),
            ("\"size\" \"kind\"\n\"7\" 5 \"x\"\n\"3\" 7 \"y\"\n", &["", "size", "kind"]),
            ("size,kind\n1,x,\n", &["size", "kind"]),
            ("size,kind\n1,x\n", &["size", "kind"]),
            ("size,kind\n", &["size", "kind"]),
        ] {
            assert_eq!(dialect(text).0.header("some".as_ref(), false).unwrap(), header, "{text:?}");
        }
        for (text, line) in [
            ("size,kind\n7,x,good\n3,y,\n", "3 cells in line 2 (\"7\", \"x\", \"good\")"),
            ("# made\nsize,kind\n\n7.5,Smith, John\n3,Doe, Jim\n", "3 cells in line 4 (\"7.5\", \"Smith\", \"John\")"),
            ("size,kind\nr1,1,x\nr1,2,x\n", "3 cells in line 2"),
            ("\"size\",\"kind\"\n\"7\",\"5\",\"x\"\n\"3\",\"7\",\"y\"\n", "3 cells in line 2"),
        ] {
            let dialect = dialect(text).0;
            let error = dialect.header("some".as_ref(), false).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains("a header of 2 (\"size\", \"kind\")"), "{error}");
            assert_eq!(dialect.header("some".as_ref(), true).unwrap(), ["", "size", "kind"], "{text:?}");
        }
    }

    #[test]
    fn first_lines_of_any_kind_are_no_panic() {
        for text in ["\"", "\"\na,b\n", "\"\"\n1,2\n", "sep=\"\n1\n", "#\n", "\"sep=;\"\na;b\n1;2\n"] {
            dialect(text);
        }
        assert_eq!(dialect("\"sep=;\"\na;b\n1;2\n").0.marks.delimiter, b';');
        // Where the user says that there is no header, comments are comments.
        let options = Options { header: Header::No, ..Options::default() };
        let records = |options| Dialect::of(b"#a,b\n1,2\n3,4\n", options, None, &mut Vec::new()).records.len();
        assert_eq!((records(&Options::default()), records(&options)), (3, 2));
    }

    #[test]
    fn what_parts_cells_is_what_parts_all_lines_alike() {
        for (text, delimiter, cells) in [
            ("a,b\n1,2\n", b',', 2),
            ("a;b\n1,5;2,5\n", b';', 2),
            ("1,5;2,5\n3,5;4,5\n", b';', 2),
            ("a\tb, or c\n1\t2\n", b'\t', 2),
            ("a|b\n1|2\n", b'|', 2),
            ("a,b\n\"x;y;z\",2\n", b',', 2),
            ("  1.5   2 x\n 10.25 3 y \n", b' ', 3),
            ("\"a b\"  c\n1 2\n", b' ', 2),
            ("sep=;\na;b,c\n1;2\n", b';', 2),
            ("\"a\" \"b\"\n\"1\" 5 6\n\"2\" 7 8\n", b' ', 2),
            ("alone\n1\n", b',', 1),
            ("a, b\n1, \"x, y\"\n2, \"z\"\n", b',', 2),
            ("a,b\n'1','x, y'\n'2','z'\n", b',', 2),
        ] {
            let (found, _) = dialect(text);
            assert_eq!((found.marks.delimiter, found.records[0].len()), (delimiter, cells), "{text:?}");
        }
    }

    #[test]
    fn a_title_of_lines_with_fewer_cells_is_left_aside() {
        for (text, lines, first) in [
            ("Report of 2020\nby X, and Y\n\na,b,c\n1,2,x\n3,4,y\n", 3, "a"),
            ("Report\na,b\n1,2\n3,4\n", 1, "a"),
            ("\"Report, of\n2020\"\r\na,b,c\r\n1,2,x\r\n3,4,y\r\n", 2, "a"),
            ("Cities\nsize,x\n1,x\n2,y\n", 1, "size"),
            ("# made\nReport\na;b;c\n1,5;2;x\n3;4;y\n", 2, "a"),
            // A header of R, of which a cell is lacking, under a title.
            ("Report\na,b\nr1,1,2\nr2,3,4\n", 1, "a"),
            // No titles: a header that lacks a cell, rows of many lengths, a row that is short.
            ("a,b\nr1,1,2\nr2,3,4\n", 0, "a"),
            ("1\n1,2\n1,2,3\n1,2\n", 0, "1"),
            ("a,b,c\n1\n1,2,3\n", 0, "a"),
            ("0.1\n0.1,0.2,yes\n0.3,0.2,no\n0.1,0.2,yes\n", 0, "0.1"),
            ("name,size,kind\nann,NA,x,\nbob,3,y,\n", 0, "name"),
            ("name,size,kind\nann,big,x,\nbob,3,y,\n", 0, "name"),
            ("a,b\nr1,x,NA\nr2,y,3\n", 0, "a"),
            ("alone\n1\n", 0, "alone"),
        ] {
            let (found, notes) = dialect(text);
            assert_eq!((found.skipped.1, &found.records[0][0][..]), (lines, first), "{text:?}");
            assert_eq!(notes.iter().any(|note| note.contains("before the table")), lines > 0, "{notes:?}");
        }
        let skip = |skip_lines| {
            let options = Options { skip_lines: Some(skip_lines), ..Options::default() };
            Dialect::of(b"Report\na,b\n1,2\n3,4\n", &options, None, &mut Vec::new())
        };
        assert_eq!((skip(0).records.len(), skip(2).skipped, skip(9).records.len()), (4, (11, 2), 0));
    }

    #[test]
    fn lines_before_the_table_are_left_aside() {
        let (found, notes) = dialect("# made by hand\n# a, b\na,b\n1,2\n");
        assert_eq!((found.skipped, &found.records[0][..]), ((22, 2), &["a".to_owned(), "b".to_owned()][..]));
        assert!(notes[0].contains("2 lines of comments"), "{notes:?}");
        let (found, _) = dialect("# made by hand\n# a  b\n1 2\n");
        assert_eq!((found.skipped, &found.records[0][..]), ((16, 1), &["a".to_owned(), "b".to_owned()][..]));
        let (found, notes) = dialect("sep=;\r\na;b\r\n1,5;2\r\n");
        assert_eq!((found.skipped, notes.len()), ((7, 1), 2), "{notes:?}");
    }

    #[test]
    fn a_comma_is_the_decimal_mark_where_no_point_is() {
        for (text, comma) in [
            ("a;b\n1,5;2\n", true),
            ("a;b\n1,5;2.5\n", false),
            ("a;b\n1.234,5;1.234\n", true),
            ("a,b\n\"1,5\",2\n", true),
            ("a,b\n\"1,234\",2\n", false),
            ("a;b\n1;2\n", false),
        ] {
            assert_eq!(dialect(text).0.reading.comma, comma, "{text:?}");
        }
    }

    #[test]
    fn a_header_is_known_by_what_stands_under_it() {
        for (text, names) in [
            ("a,b\n1,2\n", true),
            ("1,2\n3,4\n", false),
            ("5.1,red\n4.9,blue\n5.3,red\n", false),
            ("size,colour\n4.9,blue\n5.3,red\n", true),
            ("colour,shape\nred,round\nblue,flat\nred,flat\n", true),
            ("red,round\nblue,flat\nred,flat\n", false),
            (",colour,shape\n0,red,round\n1,blue,flat\n2,red,flat\n", true),
            ("240,4,first,\n1,2,3,4\n", true),
            ("date,n\n2024-01-01,\n2024-01-02,\n", true),
        ] {
            assert_eq!(dialect(text).0.has_names(None), names, "{text:?}");
        }
    }
}
