//! Tables of numbers as text: a row a line, one column of labels, the others features. Commas, semicolons or tabs between
//! the cells; a header or none; plain or gzipped.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::data::classes::{self, Numbering};
use crate::data::{Inputs, Raw, Samples};
use crate::error::{Error, Result};

/// What a label column is called where none is named, in this order of preference.
const LABELS: [&str; 4] = ["label", "class", "target", "y"];
/// Cells that stand for a missing value. A first line with one of them is no header for that.
const MISSING: [&str; 8] = ["", "?", "-", "na", "n/a", "nan", "null", "none"];
/// Bytes at the start of a file that decide what it is.
const HEAD: u64 = 1 << 16;
/// The most values that are read: 4 GiB of them.
const MAX_VALUES: usize = 1 << 30;

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

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// How many there are, the label's included.
    pub count: usize,
    /// Which one holds the labels, from 0.
    pub label: usize,
    /// Their names, where the file has a header.
    pub names: Option<Vec<String>>,
}

impl Columns {
    /// The name or the number (from 1) of column `index`, as messages give it.
    fn name(&self, index: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(index)) {
            Some(name) => format!("column {} ({name:?})", index + 1),
            None => format!("column {}", index + 1),
        }
    }
}

/// In a note: whether there is a header, how many features, and where the labels are.
impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = if self.names.is_some() { "a header" } else { "no header" };
        write!(f, "{header}, {} features, labels in {}", self.count - 1, self.name(self.label))
    }
}

/// What the rows of a file become.
struct Table {
    values: Vec<f32>,
    labels: Vec<u32>,
    columns: Columns,
    classes: Vec<String>,
    /// The byte that each row begins at or before.
    starts: Vec<u64>,
}

/// Reads `path` as a training file, and `test` as its test part. `label` names the label column: by its name in the
/// header, by its number from 1 on (from -1 on down from the last), or as `last`.
///
/// # Errors
/// [`Error::File`] with the line and column of the first cell that is not what it should be; [`Error::Usage`] where the
/// label column is not there.
pub fn read(path: &Path, test: Option<&Path>, label: Option<&str>, header: Header) -> Result<Raw> {
    let table = Lines::open(path, None)?.table(header, Wanted::New(label))?;
    let test = test.map(|test| read_like(test, label, header, &table.columns, &table.classes)).transpose()?;
    let Table { values, labels, columns, classes, .. } = table;
    Ok(Raw {
        name: path.display().to_string(),
        train: Samples::new(Inputs::F32(values), columns.count - 1, labels)?,
        test,
        classes,
        image: None,
        columns: Some(columns),
    })
}

/// Reads `path`, with labels, into the features and classes of another file, or of a model.
///
/// # Errors
/// As [`read`], and for columns and classes that the other file does not have.
pub fn read_like(
    path: &Path,
    label: Option<&str>,
    header: Header,
    columns: &Columns,
    classes: &[String],
) -> Result<Samples> {
    let table = Lines::open(path, None)?.table(header, Wanted::Labelled(label, columns, classes))?;
    Samples::new(Inputs::F32(table.values), columns.count - 1, table.labels)
}

/// Rows of features, and the line of the file that each begins on, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Rows as wide as the columns without the label.
    pub values: Vec<f32>,
    /// One a row.
    pub lines: Vec<u64>,
}

/// Reads the features of the file at `path`, or of `content` that came from elsewhere and is only called so: rows as wide as
/// `columns` without the label. A column of labels may be there; it is left out. `label` says which one it is, where that
/// is another one than in `columns`.
///
/// # Errors
/// As [`read`], and for columns that `columns` does not have.
pub fn features(
    path: &Path,
    content: Option<&[u8]>,
    label: Option<&str>,
    header: Header,
    columns: &Columns,
) -> Result<Features> {
    let mut lines = Lines::open(path, content)?;
    let table = lines.table(header, Wanted::Features(label, columns))?;
    Ok(Features { values: table.values, lines: lines.numbers(&table.starts) })
}

/// What a file is read for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// To learn from; with the label column's name.
    New(Option<&'a str>),
    /// As rows with labels, of these columns and classes.
    Labelled(Option<&'a str>, &'a Columns, &'a [String]),
    /// As rows of these columns, with or without labels.
    Features(Option<&'a str>, &'a Columns),
}

/// Which cells of a line are which.
struct Layout {
    columns: Columns,
    /// The cell of each feature.
    features: Vec<usize>,
    label: Option<usize>,
}

/// A file being read.
struct Lines<'a> {
    path: &'a Path,
    content: Option<&'a [u8]>,
    reader: Reader<Box<dyn Read + 'a>>,
    gzipped: bool,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path, content: Option<&'a [u8]>) -> Result<Self> {
        let (head, rest, gzipped) = open(path, content)?;
        let delimiter = delimiter(&head);
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Box::new(Cursor::new(head).chain(rest)) as Box<dyn Read + 'a>);
        Ok(Self { path, content, reader, gzipped })
    }

    /// Reads the next line that is not blank; false at the end.
    fn next(&mut self, record: &mut ByteRecord) -> Result<bool> {
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

    /// The number of the line that `record` begins on, from 1, for a message.
    fn line(&self, record: &ByteRecord) -> u64 {
        let start = record.position().map_or(0, csv::Position::byte);
        self.numbers(&[start]).pop().unwrap_or(0)
    }

    /// The numbers of the lines, from 1, of the records that the reader found at the bytes `starts`. It finds them where
    /// the record before ends, so that line ends between the two count too; for that the file is read again.
    fn numbers(&self, starts: &[u64]) -> Vec<u64> {
        let Ok((head, rest, _)) = open(self.path, self.content) else { return vec![0; starts.len()] };
        let bytes = BufReader::new(Cursor::new(head).chain(rest)).bytes().map_while(Result::ok);
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

    fn table(&mut self, header: Header, wanted: Wanted<'_>) -> Result<Table> {
        let mut record = ByteRecord::new();
        if !self.next(&mut record)? {
            return Err(Error::file(self.path, "an empty file", "a row a line"));
        }
        let unnamed = Columns { count: record.len(), label: 0, names: None };
        let first = (0..record.len()).map(|index| self.text(&record, index, &unnamed).map(str::to_owned));
        let first: Vec<String> = first.collect::<Result<_>>()?;
        let (mut layout, mut numbering) = match wanted {
            Wanted::New(label) => (Layout::new(self.path, first, header, label)?, Numbering::default()),
            Wanted::Labelled(label, columns, classes) => {
                (Layout::like(self.path, first, header, columns, label)?, Numbering::of(classes))
            }
            Wanted::Features(label, columns) => {
                (Layout::like(self.path, first, header, columns, label)?, Numbering::default())
            }
        };
        match wanted {
            Wanted::Features(..) => layout.label = None,
            _ if layout.label.is_none() => {
                return Err(Error::file(self.path, "no column of labels", "one, as in training (see --label)"));
            }
            _ => {}
        }
        let (mut values, mut labels, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let mut more = layout.columns.names.is_none() || self.next(&mut record)?;
        while more {
            self.row(&record, &layout, &mut values)?;
            starts.push(record.position().map_or(0, csv::Position::byte));
            if let Some(label) = layout.label {
                labels.push(self.label(&record, label, &layout.columns, &mut numbering)?);
            }
            more = self.next(&mut record)?;
        }
        if values.is_empty() {
            return Err(Error::file(self.path, "no row under the header", "a row a line"));
        }
        let classes = numbering.finish(&mut labels);
        Ok(Table { values, labels, columns: layout.columns, classes, starts })
    }

    fn row(&self, record: &ByteRecord, layout: &Layout, values: &mut Vec<f32>) -> Result<()> {
        if record.len() != layout.columns.count {
            let found = format!("{} cells in line {}", record.len(), self.line(record));
            return Err(Error::file(self.path, found, format!("{}, as in the first line", layout.columns.count)));
        }
        for &index in &layout.features {
            values.push(number(&record[index]).ok_or_else(|| {
                let place = self.place(record, index, &layout.columns);
                Error::file(self.path, place, "a finite number (missing values must be filled in or left out)")
            })?);
        }
        if values.len() > MAX_VALUES {
            return Err(Error::file(self.path, "more than 4 GiB of values", "fewer rows"));
        }
        Ok(())
    }

    fn label(&self, record: &ByteRecord, index: usize, columns: &Columns, numbering: &mut Numbering) -> Result<u32> {
        let text = self.text(record, index, columns)?;
        let bad = |expected: String| Error::file(self.path, self.place(record, index, columns), expected);
        let value: Option<f64> = text.parse().ok();
        match value {
            _ if text.is_empty() => Err(bad("a label".into())),
            Some(value) if !value.is_finite() => Err(bad("a label".into())),
            Some(value) if value.fract() != 0.0 => {
                Err(bad("a label, text or a whole number: is --label the right column?".into()))
            }
            // As NumPy and pandas write whole numbers among others: 1.0, 1.000000000000000000e+00.
            Some(value) if text.contains(['.', 'e', 'E']) => {
                numbering.number(&format!("{:.0}", value + 0.0)).map_err(bad)
            }
            _ => numbering.number(text).map_err(bad),
        }
    }

    fn text<'c>(&self, record: &'c ByteRecord, index: usize, columns: &Columns) -> Result<&'c str> {
        std::str::from_utf8(&record[index]).map_err(|_| {
            let found = format!("bytes that are not UTF-8 in line {}, {}", self.line(record), columns.name(index));
            Error::file(self.path, found, "UTF-8 text: save it as such")
        })
    }

    /// A cell and where it is.
    fn place(&self, record: &ByteRecord, index: usize, columns: &Columns) -> String {
        format!("{} in line {}, {}", show(&record[index]), self.line(record), columns.name(index))
    }
}

/// The text at `path`, or `content`, unpacked: its first bytes, its rest, and whether it is gzipped.
fn open<'a>(path: &Path, content: Option<&'a [u8]>) -> Result<(Vec<u8>, Box<dyn Read + 'a>, bool)> {
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
    Ok((head, rest, gzipped))
}

/// The first bytes of `source`, and the rest of it.
fn peek<R: Read>(mut source: R, bytes: u64) -> std::io::Result<(Vec<u8>, R)> {
    let mut head = Vec::new();
    source.by_ref().take(bytes).read_to_end(&mut head)?;
    Ok((head, source))
}

fn failed(path: &Path, gzipped: bool, error: std::io::Error) -> Error {
    match gzipped {
        true => Error::file(path, format!("a damaged gzip file ({error})"), "a whole one"),
        false => Error::io("read", path)(error),
    }
}

/// What there is most of in the first line, outside quotes: tabs, semicolons or commas.
fn delimiter(head: &[u8]) -> u8 {
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
    // Of as many the last: where a comma is in a number, as in 1,5;2,5.
    counts.into_iter().max_by_key(|&(_, count)| count).filter(|&(_, count)| count > 0).map_or(b',', |(byte, _)| byte)
}

fn number(cell: &[u8]) -> Option<f32> {
    std::str::from_utf8(cell).ok()?.parse().ok().filter(|value: &f32| value.is_finite())
}

/// A cell in a message: on one line, not too long.
fn show(cell: &[u8]) -> String {
    if cell.is_empty() {
        return "an empty cell".into();
    }
    let text = String::from_utf8_lossy(cell);
    let short: String = text.chars().take(40).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{rest}")
}

/// The column that `text` gives by number: from 1 on, from -1 on down, or `last`.
fn numbered(text: &str, count: usize) -> Option<usize> {
    if text == "last" {
        return count.checked_sub(1);
    }
    match text.parse::<isize>().ok()? {
        0 => None,
        number if number > 0 => Some(number as usize - 1).filter(|&index| index < count),
        number => count.checked_sub(number.unsigned_abs()),
    }
}

/// Whether a cell of the first line, that of `label` left out, names its column.
fn is_header(first: &[String], label: Option<usize>) -> bool {
    first.iter().enumerate().any(|(index, cell)| Some(index) != label && is_name(cell))
}

fn is_name(cell: &str) -> bool {
    cell.parse::<f32>().is_err() && !MISSING.contains(&cell.to_ascii_lowercase().as_str())
}

fn check_names(path: &Path, names: &[String]) -> Result<()> {
    match names.iter().enumerate().find(|(index, name)| !name.is_empty() && names[..*index].contains(name)) {
        Some((_, name)) => Err(Error::file(path, format!("two columns named {name:?}"), "a name for each")),
        None => Ok(()),
    }
}

impl Layout {
    /// Of a file to learn from.
    fn new(path: &Path, first: Vec<String>, header: Header, label: Option<&str>) -> Result<Self> {
        let count = first.len();
        if count < 2 {
            let expected = "features and a label, with commas, semicolons or tabs between them";
            return Err(Error::file(path, "a single column", expected));
        }
        let by_number = label.and_then(|label| numbered(label, count));
        let by_name = match label {
            Some(label) => first.iter().position(|cell| cell == label),
            None => LABELS.iter().find_map(|label| first.iter().position(|cell| cell.eq_ignore_ascii_case(label))),
        };
        let names = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => (by_number.is_none() && by_name.is_some()) || is_header(&first, by_number),
        };
        let Some(label) = by_name.filter(|_| names).or(by_number) else {
            let what = match label {
                Some(label) if header == Header::No => format!("--label {label:?} is no column's number"),
                Some(label) => format!("there is no column {label:?}, as --label says"),
                None => {
                    format!("no column is called {}: say with --label which one holds the labels", LABELS.join(", "))
                }
            };
            let columns = classes::list(&first);
            return Err(Error::Usage(format!(
                "{}: {what}; the {count} columns of its first line: {columns}",
                path.display()
            )));
        };
        let names = if names { Some(first) } else { None };
        check_names(path, names.as_deref().unwrap_or_default())?;
        let features = (0..count).filter(|&index| index != label).collect();
        Ok(Self { columns: Columns { count, label, names }, features, label: Some(label) })
    }

    /// Of a file whose rows go where those of `like` went: by name where both have a header, else by number.
    fn like(path: &Path, first: Vec<String>, header: Header, like: &Columns, label: Option<&str>) -> Result<Self> {
        let count = first.len();
        let by_number = match label {
            Some(label) => numbered(label, count),
            None => Some(like.label).filter(|_| count == like.count),
        };
        let find = |name: &str| first.iter().position(|cell| cell == name);
        let known = like.names.as_deref().unwrap_or_default();
        let fits = count == like.count || count + 1 == like.count;
        let names = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => {
                known.iter().any(|name| is_name(name) && find(name).is_some()) || (fits && is_header(&first, by_number))
            }
        };
        let bad = |found: String, expected: String| Error::file(path, found, expected);
        let (features, label) = match &like.names {
            Some(known) if names => {
                check_names(path, &first)?;
                let by_name = label.or(known.get(like.label).map(String::as_str)).and_then(find);
                let label = by_name.or(label.and(by_number));
                let known = known.iter().enumerate().filter(|(index, _)| *index != like.label);
                let features = known
                    .map(|(_, name)| {
                        find(name).ok_or_else(|| bad(format!("no column {name:?}"), "it, as in training".into()))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let other = (0..count).find(|index| Some(*index) != label && !features.contains(index));
                if let Some(other) = other {
                    return Err(bad(format!("a column {:?}", first[other]), "only those of training".into()));
                }
                (features, label)
            }
            _ if count == like.count => {
                // Columns without names: a label that is named as in training is found by its name all the same.
                let named = || match label {
                    Some(label) => find(label),
                    None => {
                        LABELS.iter().find_map(|label| first.iter().position(|cell| cell.eq_ignore_ascii_case(label)))
                    }
                };
                let by_name = if names { named() } else { None };
                let label = by_name.or(by_number).unwrap_or(like.label);
                ((0..count).filter(|&index| index != label).collect(), Some(label))
            }
            _ if count + 1 == like.count => ((0..count).collect(), None),
            _ => return Err(bad(format!("{count} columns"), format!("{}, as in training", like.count))),
        };
        Ok(Self {
            columns: Columns { count, label: label.unwrap_or(count), names: names.then_some(first) },
            features,
            label,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_ref()).unwrap();
        file
    }

    fn parse(content: &str, label: Option<&str>) -> Result<Raw> {
        read(file(content).path(), None, label, Header::Auto)
    }

    fn values(samples: &Samples) -> &[f32] {
        match &samples.inputs {
            Inputs::F32(values) => values,
            Inputs::U8(_) => &[],
        }
    }

    #[test]
    fn headers_delimiters_quotes_and_line_ends_of_all_kinds_give_the_same_rows() {
        let gzipped = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"a,b,label\n1,-2.5,x\n3e1,.5,w\n").unwrap();
            encoder.finish().unwrap()
        };
        let cases: [(&[u8], Option<&str>); 16] = [
            (b"a,b,label\n1,-2.5,x\n3e1,.5,w\n", None),
            (b"a,b,label\r\n1,-2.5,x\r\n3e1,.5,w\r\n\r\n\n", None),
            (b"\xef\xbb\xbfa,b,Label\n1,-2.5,x\n3e1,.5,w", None),
            (b"\xef\xbb\xbf\"Class\",b,c\nx,1,-2.5\nw,3e1,.5", None),
            (b"a;\"b;c\";y\n1;-2.5;x\n3e1;.5;w\n   \n", None),
            (b"a\tb\ttarget\n1\t-2.5\tx\n3e1\t.5\tw\n", None),
            (b"\n\na , b , label \n 1 , -2.5 , x\n\n 3e1 , .5 , w\n", None),
            (b"\"a\nb\",\"b,\"\"c\",label\n\"1\",\"-2.5\",\"x\"\n3e1,.5,w\n", None),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("3")),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("last")),
            (b"1,-2.5,x\n3e1,.5,w\n", Some("-1")),
            (b"1,x,-2.5\n3e1,w,.5\n", Some("-2")),
            (b"1,x,-2.5\n3e1,w,.5\n", Some("2")),
            (b"2,1,b\nx,1,-2.5\nw,3e1,.5\n", Some("2")),
            (b"a,kind,b\n1,x,-2.5\n3e1,w,.5\n", Some("kind")),
            (&gzipped, None),
        ];
        for (content, label) in cases {
            let text = String::from_utf8_lossy(content);
            let raw = read(file(content).path(), None, label, Header::Auto).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            assert_eq!(values(&raw.train), [1.0, -2.5, 30.0, 0.5], "{text:?}");
            assert_eq!(
                (&raw.classes[..], &raw.train.labels[..]),
                (&["w".into(), "x".into()][..], &[1, 0][..]),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_first_line_of_numbers_is_a_header_only_where_it_is_said_to_be() {
        let content = "0,1,2\n1,-2.5,5\n30,.5,5\n";
        assert_eq!(parse(content, Some("3")).unwrap().classes, ["2", "5"]);
        let raw = read(file(content).path(), None, Some("2"), Header::Yes).unwrap();
        assert_eq!((raw.classes, raw.columns.unwrap().label), (vec!["5".to_owned()], 2), "a name goes before a number");
        let raw = read(file("a,b\n1,2").path(), None, Some("2"), Header::No);
        assert!(raw.err().unwrap().to_string().contains("\"a\" in line 1, column 1"));
    }

    #[test]
    fn whole_numbers_name_classes_however_they_are_written() {
        let raw = parse("a,y\n1,10\n1,2.0\n1,1.0e1\n1,01\n", None).unwrap();
        assert_eq!((raw.classes, raw.train.labels), (["01", "2", "10"].map(String::from).to_vec(), vec![2, 1, 2, 0]));
    }

    #[test]
    fn a_test_file_is_read_into_the_columns_and_classes_of_the_training_file() {
        let named = file("a,b,label\n1,2,x\n3,4,w\n");
        let plain = file("1,2,x\n3,4,w\n");
        let both = |train: &tempfile::NamedTempFile, label, test: &str| {
            read(train.path(), Some(file(test).path()), label, Header::Auto).map(|raw| raw.test.unwrap())
        };
        for (train, label, test) in [
            (&named, None, "label,b,a\nx,6,5\n"),
            (&named, None, "5,6,x\n"),
            (&plain, Some("3"), "5,6,x\n"),
            (&plain, Some("3"), "q,r,s\n5,6,x\n"),
        ] {
            let test = both(train, label, test).unwrap();
            assert_eq!((values(&test), &test.labels[..]), (&[5.0, 6.0][..], &[1][..]));
        }
        for (test, parts) in [
            ("a,label\n5,x\n", &["no column \"b\""][..]),
            ("a,b,c,label\n5,6,7,x\n", &["a column \"c\""]),
            ("a,b\n5,6\n", &["no column of labels"]),
            ("5,6,7,x\n", &["4 columns", "3"]),
            ("a,b,label\n5,6,x\n\n5,6,v\n", &["\"v\" in line 4, column 3 (\"label\")", "\"w\", \"x\""]),
        ] {
            let error = both(&named, None, test).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{test:?}: {error}");
        }
    }

    #[test]
    fn features_are_read_with_and_without_a_column_of_labels() {
        let columns = parse("a,label,b\n1,x,2\n3,w,4\n", None).unwrap().columns.unwrap();
        for content in ["b,a\n6,5\n", "a,label,b\n5,,6", "5,6", "5,?,6\n", "a,b,label\n5,6,new"] {
            let read = features(file(content).path(), None, None, Header::Auto, &columns).unwrap();
            assert_eq!(read.values, [5.0, 6.0], "{content:?}");
            let read = features("elsewhere".as_ref(), Some(content.as_bytes()), None, Header::Auto, &columns).unwrap();
            assert_eq!(read.values, [5.0, 6.0], "{content:?}");
        }
        let lines = |content: &str| {
            let read = features("elsewhere".as_ref(), Some(content.as_bytes()), None, Header::Auto, &columns);
            read.unwrap().lines
        };
        assert_eq!(lines("a,b\r\n1,2\r\n\r\n\r\n3,4\r\n5,6"), [2, 5, 6]);
        assert_eq!(lines("\n\n1,2\n3,4\n\n"), [3, 4]);
        assert_eq!(lines("a,label,b\n1,\"x\ny\",2\n3,z,4\n"), [2, 4]);
        let unnamed = Columns { count: 3, label: 0, names: None };
        for (content, label) in
            [("7,5,6", None), ("u,v,class\n5,6,7", None), ("5,7,6", Some("2")), ("u,v,w\n5,7,6", Some("v"))]
        {
            let read = features("elsewhere".as_ref(), Some(content.as_bytes()), label, Header::Auto, &unnamed).unwrap();
            assert_eq!(read.values, [5.0, 6.0], "{content:?}");
        }
        assert!(features(file("a,c\n1,2").path(), None, None, Header::Auto, &columns).is_err());
        assert!(features(file("1").path(), None, None, Header::Auto, &columns).is_err());
    }

    #[test]
    fn every_kind_of_bad_file_gets_one_line_with_the_place() {
        let cases: [(&[u8], &[&str]); 23] = [
            (b"", &["an empty file"]),
            (b"\n\n", &["an empty file"]),
            (b"a,b,label\n", &["no row under the header"]),
            (b"a,b,c\n1,2,3\n", &["--label", "\"a\", \"b\", \"c\""]),
            (b"label\n1\n", &["a single column"]),
            (b"a,a,label\n1,2,x\n", &["two columns named \"a\""]),
            (b"a,b,label\n1,2,x\n1,abc,x\n", &["\"abc\" in line 3, column 2 (\"b\")", "a finite number"]),
            (b"a,b,label\r\n1,2,x\r\n\r\n1,0x1,x\r\n", &["\"0x1\" in line 4, column 2"]),
            (b"a,b,label\n1,2,x\n1,,x\n", &["an empty cell in line 3, column 2"]),
            (b"a,b,label\n1,NaN,x\n", &["\"NaN\" in line 2, column 2"]),
            (b"a,b,label\n1,-inf,x\n", &["\"-inf\" in line 2, column 2"]),
            (b"a,b,label\n1,1e39,x\n", &["\"1e39\" in line 2, column 2"]),
            (b"a,b,label\n1,\"1,5\",x\n", &["\"1,5\" in line 2, column 2"]),
            (b"a,b,label\n1,2\n", &["2 cells in line 2", "3"]),
            (b"a,b,label\n1,2,x\n\n\n1,2,x,3\n", &["4 cells in line 5", "3"]),
            (b"a,b,label\n\"1\n\",2,x\n1,2\n", &["2 cells in line 4"]),
            (b"a,b,label\n1,2,\n", &["an empty cell in line 2, column 3 (\"label\")"]),
            (b"a,b,label\n1,2,nan\n", &["\"nan\" in line 2, column 3"]),
            (b"a,b,label\n1,2,5.1\n", &["\"5.1\" in line 2, column 3", "--label"]),
            (b"a,b,label\n1,2,caf\xe9\n", &["not UTF-8 in line 2, column 3"]),
            (b"a,b,label\n1,\"2,x\n3,4,5\n", &["2 cells in line 2"]),
            (b"\xff\xfea\0,\0b\0", &["UTF-16"]),
            (b"\0\0\x08\x03", &["another kind", "IDX"]),
        ];
        for (content, parts) in cases {
            let text = String::from_utf8_lossy(content);
            let file = file(content);
            let error = read(file.path(), None, None, Header::Auto).err().unwrap_or_else(|| panic!("{text:?}"));
            let error = error.to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
        }
        let error = parse("5.1,?,x\n1,2,x\n", Some("3")).unwrap_err().to_string();
        assert!(error.contains("\"?\" in line 1, column 2"), "{error}");
        let error = parse("1,2,x\n", Some("4")).unwrap_err();
        assert!(error.to_string().contains("\"4\"") && error.exit_code() == 2, "{error}");
    }
}
