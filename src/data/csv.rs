//! Tables of numbers as text: one row per line, one column of labels, and features in the others. Cells are separated by
//! commas, semicolons or tabs; the first line may be a header; the file may be gzipped.

use std::path::Path;

use ::csv::{ByteRecord, Position};

use crate::data::classes::Numbering;
use crate::data::{Inputs, Raw, Samples};
use crate::error::{Error, Result};

mod alike;
mod cells;
mod columns;
mod dialect;
mod lines;

pub use columns::Columns;
pub use dialect::Header;

use columns::Layout;
use lines::Lines;

/// The rows of a file.
struct Table {
    values: Vec<f32>,
    labels: Vec<u32>,
    columns: Columns,
    classes: Vec<String>,
    /// For each row, the byte at which the reader found it (see [`Lines::numbers`]).
    starts: Vec<u64>,
}

/// Reads `path` as a training file, and `test` as its test part. `label` gives the label column: its name in the header, its
/// number from 1 (or from -1, counting from the last), or `last`.
///
/// # Errors
/// [`Error::File`] with the line and column of the first bad cell; [`Error::Usage`] where the label column does not exist.
pub fn read(path: &Path, test: Option<&Path>, label: Option<&str>, header: Header) -> Result<Raw> {
    let table = table(&mut Lines::open(path, None)?, header, Wanted::New(label))?;
    let test = test.map(|test| read_like(test, label, header, &table.columns, &table.classes)).transpose()?;
    let Table { values, labels, columns, classes, .. } = table;
    Ok(Raw {
        name: path.display().to_string(),
        train: Samples::new(Inputs::F32(values), columns.count - 1, labels)?,
        test,
        classes,
        outputs: Vec::new(),
        image: None,
        columns: Some(columns),
    })
}

/// Reads `path`, with labels, into the features and classes of another file or of a model.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns and classes that the other file does not have.
pub fn read_like(
    path: &Path,
    label: Option<&str>,
    header: Header,
    columns: &Columns,
    classes: &[String],
) -> Result<Samples> {
    let table = table(&mut Lines::open(path, None)?, header, Wanted::Labelled(label, columns, classes))?;
    Samples::new(Inputs::F32(table.values), columns.count - 1, table.labels)
}

/// Rows of features, and where each begins in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Row-major values, one per row and column other than the label's.
    pub values: Vec<f32>,
    /// The line of the file on which each row begins, from 1.
    pub lines: Vec<u64>,
}

/// Reads the features of the file at `path`, or of `content`, which messages call `path`. Rows have the features of
/// `columns`. A label column is left out if there is one; `label` gives it where it differs from that of `columns`.
///
/// # Errors
/// Those of [`read`], and [`Error::File`] for columns that `columns` does not have.
pub fn features(
    path: &Path,
    content: Option<&[u8]>,
    label: Option<&str>,
    header: Header,
    columns: &Columns,
) -> Result<Features> {
    let mut lines = Lines::open(path, content)?;
    let table = table(&mut lines, header, Wanted::Features(label, columns))?;
    Ok(Features { values: table.values, lines: lines.numbers(&table.starts) })
}

/// The purpose that a file is read for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// Rows to learn from; with the label column that the user gave.
    New(Option<&'a str>),
    /// Rows with labels, of these columns and classes.
    Labelled(Option<&'a str>, &'a Columns, &'a [String]),
    /// Rows of these columns, with or without labels.
    Features(Option<&'a str>, &'a Columns),
}

/// Reads all rows of a file.
fn table(lines: &mut Lines<'_>, header: Header, wanted: Wanted<'_>) -> Result<Table> {
    let mut record = ByteRecord::new();
    if !lines.next(&mut record)? {
        return Err(Error::file(lines.path, "an empty file", "a row a line"));
    }
    let unnamed = Columns { count: record.len(), label: 0, names: None };
    let first = (0..record.len()).map(|index| lines.text(&record, index, &unnamed).map(str::to_owned));
    let first: Vec<String> = first.collect::<Result<_>>()?;
    let (mut layout, mut numbering) = match wanted {
        Wanted::New(label) => (Layout::new(lines.path, first, header, label)?, Numbering::default()),
        Wanted::Labelled(label, columns, classes) => {
            (Layout::like(lines.path, first, header, columns, label)?, Numbering::of(classes))
        }
        Wanted::Features(label, columns) => {
            (Layout::like(lines.path, first, header, columns, label)?, Numbering::default())
        }
    };
    match wanted {
        Wanted::Features(..) => layout.label = None,
        _ if layout.label.is_none() => {
            return Err(Error::file(lines.path, "no column of labels", "one, as in training (see --label)"));
        }
        _ => {}
    }
    let (mut values, mut labels, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    let mut more = layout.columns.names.is_none() || lines.next(&mut record)?;
    while more {
        lines.row(&record, &layout, &mut values)?;
        starts.push(record.position().map_or(0, Position::byte));
        if let Some(label) = layout.label {
            labels.push(lines.label(&record, label, &layout.columns, &mut numbering)?);
        }
        more = lines.next(&mut record)?;
    }
    if values.is_empty() {
        return Err(Error::file(lines.path, "no row under the header", "a row a line"));
    }
    let classes = numbering.finish(&mut labels);
    Ok(Table { values, labels, columns: layout.columns, classes, starts })
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
