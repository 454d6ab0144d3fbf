//! Tables of numbers as text: one row per line, one column of labels, and features in the others. Cells are separated by
//! commas, semicolons or tabs; the first line may be a header; the file may be gzipped.

use std::path::Path;

use ::csv::{ByteRecord, Position};

use crate::data::classes;
use crate::data::targets::{Cells, Column, Fault, Found};
use crate::data::{Expected, Inputs, Known, Options, Raw, Task};
use crate::error::{Error, Result};

mod alike;
mod cells;
mod columns;
mod dialect;
mod kept;
mod lines;

pub(crate) use cells::is_missing;
pub use columns::Columns;
pub use dialect::Header;
pub use kept::Kept;

use columns::Layout;
use lines::Lines;

/// The rows of a file.
struct Table {
    values: Vec<f32>,
    found: Found,
    columns: Columns,
    /// For each row, the byte at which the reader found it (see [`Lines::numbers`]).
    starts: Vec<u64>,
    /// Names of columns that were left aside.
    extra: Vec<String>,
}

/// Reads `path` as a training file, and `options.test` as its test part. What the file was taken for goes to `notes`.
///
/// # Errors
/// [`Error::File`] with the line and column of the first bad cell; [`Error::Usage`] where the label column does not exist.
pub fn read(path: &Path, options: &Options, notes: &mut Vec<String>) -> Result<Raw> {
    let wanted = Wanted::New(options.column());
    let table = table(&mut Lines::open(path, None)?, options.header, wanted, Expected::of(options.task))?;
    let columns = &table.columns;
    let about = match &table.found.cells {
        Cells::Classes { names, .. } => format!("{columns}, classes {}", classes::list(names)),
        Cells::Values(_) => columns.note("targets"),
    };
    notes.push(format!("{} rows, {about}", table.starts.len()));
    notes.extend(table.found.note.clone());
    let columns = table.columns.clone();
    raw(path, table, columns, options)
}

/// Reads `path`, and `options.test` as its test part, into the columns and targets that a model knows.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns and classes that the model does not know.
pub fn read_for(path: &Path, options: &Options, known: &Known<'_>, columns: &Columns) -> Result<Raw> {
    let expected = match known.task {
        Task::Classes => Expected::Classes(&known.classes),
        Task::Values => Expected::Values,
    };
    let table = read_like(path, options, columns, expected)?;
    raw(path, table, columns.clone(), options)
}

/// The data set of the training file `table` at `path`, which has `columns`, and of `options.test`.
fn raw(path: &Path, table: Table, columns: Columns, options: &Options) -> Result<Raw> {
    let (cells, width) = (table.found.cells, columns.count - 1);
    let target_scale = cells.scale(|| vec![columns.output()]);
    let classes = cells.classes().to_vec();
    let test = options.test.as_deref();
    let test = test.map(|test| read_like(test, options, &columns, cells.expected())).transpose()?;
    let samples = |cells: Cells, values| cells.with(Inputs::F32(values), width, target_scale.as_ref());
    Ok(Raw {
        name: path.display().to_string(),
        test: test.map(|test| samples(test.found.cells, test.values)).transpose()?,
        train: samples(cells, table.values)?,
        classes,
        target_scale,
        columns: Some(columns),
    })
}

/// Reads a file whose columns correspond to `columns`.
fn read_like(path: &Path, options: &Options, columns: &Columns, expected: Expected<'_>) -> Result<Table> {
    let wanted = Wanted::Labelled(options.column(), columns);
    table(&mut Lines::open(path, None)?, options.header, wanted, expected)
}

/// Rows of features, and where each begins in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Row-major values, one per row and column other than the label's.
    pub values: Vec<f32>,
    /// The line of the file on which each row begins, from 1.
    pub lines: Vec<u64>,
    /// Names of columns that were left aside, as there were none such in training.
    pub extra: Vec<String>,
}

/// Reads the features of the file at `path`, or of `content`, which messages call `path`. Rows have the features of
/// `columns`, and columns of other names are left aside. A label column is left out if there is one; `label` gives it where it
/// differs from that of `columns`.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns that are not there.
pub fn features(
    path: &Path,
    content: Option<&[u8]>,
    label: Option<&str>,
    header: Header,
    columns: &Columns,
) -> Result<Features> {
    let mut lines = Lines::open(path, content)?;
    let table = table(&mut lines, header, Wanted::Features(label, columns), Expected::NewClasses)?;
    Ok(Features { values: table.values, lines: lines.numbers(&table.starts), extra: table.extra })
}

/// The purpose that a file is read for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// Rows to learn from; with the label column that the user gave.
    New(Option<&'a str>),
    /// Rows with labels, of these columns.
    Labelled(Option<&'a str>, &'a Columns),
    /// Rows of these columns, with or without labels.
    Features(Option<&'a str>, &'a Columns),
}

/// Reads all rows of a file.
fn table(lines: &mut Lines<'_>, header: Header, wanted: Wanted<'_>, expected: Expected<'_>) -> Result<Table> {
    let mut record = ByteRecord::new();
    if !lines.next(&mut record)? {
        return Err(Error::file(lines.path, "an empty file", "one row per line"));
    }
    let unnamed = Columns { count: record.len(), label: 0, names: None };
    let first = (0..record.len()).map(|index| lines.text(&record, index, &unnamed).map(str::to_owned));
    let first: Vec<String> = first.collect::<Result<_>>()?;
    let mut layout = match wanted {
        Wanted::New(label) => Layout::new(lines.path, first, header, label)?,
        Wanted::Labelled(label, columns) | Wanted::Features(label, columns) => {
            Layout::like(lines.path, first, header, columns, label)?
        }
    };
    match wanted {
        Wanted::Features(..) => layout.label = None,
        _ if !layout.extra.is_empty() => {
            return Err(Error::file(lines.path, format!("a column {:?}", layout.extra[0]), "only those of training"));
        }
        _ if layout.label.is_none() => {
            return Err(Error::file(lines.path, "no column of labels", "one, as in training (see --label)"));
        }
        _ => {}
    }
    let (mut values, mut targets, mut starts) = (Vec::new(), Column::new(expected), Vec::new());
    let mut more = layout.columns.names.is_none() || lines.next(&mut record)?;
    while more {
        lines.row(&record, &layout, &mut values)?;
        starts.push(record.position().map_or(0, Position::byte));
        if let Some(label) = layout.label {
            let text = lines.text(&record, label, &layout.columns)?;
            let bad = |expected| Error::file(lines.path, lines.place(&record, label, &layout.columns), expected);
            targets.push(text).map_err(bad)?;
        }
        more = lines.next(&mut record)?;
    }
    if values.is_empty() {
        return Err(Error::file(lines.path, "no row under the header", "one row per line"));
    }
    let Layout { columns, extra, .. } = layout;
    let found = targets.finish().map_err(|Fault { row, text, expected }| {
        Error::file(lines.path, lines.place_at(starts[row], &text, columns.label, &columns), expected)
    })?;
    Ok(Table { values, found, columns, starts, extra })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::Samples;

    fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_ref()).unwrap();
        file
    }

    fn read(path: &Path, test: Option<&Path>, label: Option<&str>, header: Header) -> Result<Raw> {
        let (test, label) = (test.map(Path::to_path_buf), label.map(str::to_owned));
        super::read(path, &Options { test, label, header, ..Options::default() }, &mut Vec::new())
    }

    fn parse(content: &str, label: Option<&str>) -> Result<Raw> {
        read(file(content).path(), None, label, Header::Auto)
    }

    /// Reads a table of which the user gave the task, and what is said of it.
    fn parse_as(content: &str, task: Option<Task>) -> Result<(Raw, Vec<String>)> {
        let mut notes = Vec::new();
        let raw = super::read(file(content).path(), &Options { task, ..Options::default() }, &mut notes)?;
        Ok((raw, notes))
    }

    fn values(samples: &Samples) -> &[f32] {
        match &samples.inputs {
            Inputs::F32(values) => values,
            Inputs::U8(_) => &[],
        }
    }

    /// The training targets in their own unit.
    fn targets(raw: &Raw) -> Vec<f64> {
        raw.target_scale.as_ref().unwrap().undo(raw.train.values())
    }

    fn outputs(raw: &Raw) -> &[String] {
        raw.target_scale.as_ref().map_or(&[], |scale| &scale.names)
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, value)| (found - value).abs() < 1e-5)
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
                (&raw.classes[..], raw.train.labels()),
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
        assert_eq!(
            (raw.classes, raw.train.labels()),
            (["01", "2", "10"].map(String::from).to_vec(), &[2, 1, 2, 0][..])
        );
    }

    #[test]
    fn a_column_of_numbers_is_a_target_and_the_notes_say_so() {
        let (raw, notes) = parse_as("size,y\n1,10.5\n2,-3\n3,0\n", None).unwrap();
        assert!(close(&targets(&raw), &[10.5, -3.0, 0.0]) && raw.train.labels().is_empty(), "{raw:?}");
        assert_eq!(
            (raw.classes.len(), outputs(&raw), values(&raw.train)),
            (0, &["y".into()][..], &[1.0, 2.0, 3.0][..])
        );
        assert!(notes[0].contains("targets in column 2 (\"y\")") && notes[1].contains("numbers"), "{notes:?}");
        let (raw, notes) = parse_as("size,y\n1,1\n2,0\n3,0\n", None).unwrap();
        assert_eq!((raw.train.labels(), outputs(&raw)), (&[1, 0, 0][..], &[][..]));
        assert!(notes[0].contains("classes \"0\", \"1\"") && notes[1].contains("--task values"), "{notes:?}");
        let (raw, notes) = parse_as("size,y\n1,1\n2,0\n3,0\n", Some(Task::Values)).unwrap();
        assert!(close(&targets(&raw), &[1.0, 0.0, 0.0]) && notes.len() == 1, "{raw:?} {notes:?}");
        let counted: String = (0..150).map(|row| format!("{row},{}\n", row * 3)).collect();
        let counted = format!("size,y\n{counted}");
        let (raw, notes) = parse_as(&counted, None).unwrap();
        assert!(raw.train.task() == Task::Values && notes[1].contains("--task classes"), "{notes:?}");
        assert_eq!(parse_as(&counted, Some(Task::Classes)).unwrap().0.classes.len(), 150);
    }

    #[test]
    fn bad_numbers_among_targets_are_found_by_line_and_column() {
        for (content, task, parts) in [
            ("a,y\n1,1.5\n\n2,\n", None, ["an empty cell in line 4, column 2 (\"y\")", "finite number"]),
            ("a,y\n1,1.5\n\n2,x\n", None, ["\"x\" in line 4, column 2 (\"y\")", "a finite number"]),
            ("a,y\n1,1\n2,x\n", Some(Task::Values), ["\"x\" in line 3, column 2 (\"y\")", "a finite number"]),
            ("a,y\n1,1\n2,1e39\n", Some(Task::Values), ["\"1e39\" in line 3", "a finite number"]),
            ("a,y\n1,1\n2,nan\n", Some(Task::Values), ["\"nan\" in line 3", "a finite number"]),
            ("a,y\n1,1\n2,1.5\n", Some(Task::Classes), ["\"1.5\" in line 3, column 2 (\"y\")", "a whole number"]),
        ] {
            let error = parse_as(content, task).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{content:?}: {error}");
        }
        let (train, test) = (file("a,y\n1,1.5\n2,2\n"), file("y,a\n3,4\nx,4\n"));
        let error = read(train.path(), Some(test.path()), None, Header::Auto).unwrap_err().to_string();
        assert!(error.contains("\"x\" in line 3, column 1 (\"y\")") && error.contains("a finite number"), "{error}");
        let test = file("y,a\n3,4\n7,4\n");
        let raw = read(train.path(), Some(test.path()), None, Header::Auto).unwrap();
        let test = raw.target_scale.as_ref().unwrap().undo(raw.test.as_ref().unwrap().values());
        assert!(close(&test, &[3.0, 7.0]), "{test:?}");
    }

    #[test]
    fn the_target_may_be_named_as_such() {
        let options = Options { target: Some("b".into()), ..Options::default() };
        let raw = super::read(file("a,b,label\n1,2.5,3\n4,5,6\n").path(), &options, &mut Vec::new()).unwrap();
        assert!(close(&targets(&raw), &[2.5, 5.0]), "{raw:?}");
        assert_eq!((outputs(&raw), values(&raw.train)), (&["b".into()][..], &[1.0, 3.0, 4.0, 6.0][..]));
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
            assert_eq!((values(&test), test.labels()), (&[5.0, 6.0][..], &[1][..]));
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
        let cases: [(&[u8], &[&str]); 24] = [
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
            (b"a,b,label\n1,2,x\n\n1,2,y\n1,2,5.1\n", &["\"5.1\" in line 5, column 3", "--label"]),
            (b"a,b,label\n1,2,5.1\n\n1,2,?\n", &["\"?\" in line 4, column 3 (\"label\")", "a finite number"]),
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
