//! Where the text of a table comes from: a file or bytes at hand, unpacked and decoded.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use ruzstd::decoding::StreamingDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::data::unpacked;
use crate::error::{Error, Remedy, Result};

/// The byte order mark of UTF-8, which some software writes at the start of files.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// The number of bytes by which the encoding is known.
const LOOK: u64 = 1 << 12;

/// The number of bytes by which the kind of a file is known.
const START: u64 = 16;

/// A table's file, or bytes from elsewhere that messages call `path`. It can be read more than once.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) content: Option<&'a [u8]>,
}

/// Text that is being read: UTF-8 without a byte order mark, but for cells in an older encoding.
pub(super) struct Text<'a> {
    pub(super) reader: Box<dyn Read + Send + 'a>,
    /// How it is packed, if it is; for errors in the middle of it.
    packed: Option<&'static str>,
    /// What there is to say of where the text lies.
    pub(super) note: Option<String>,
}

/// The bytes of a file, from any place on.
pub(super) trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

impl<'a> Source<'a> {
    /// Its bytes, whatever they hold.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn bytes(self) -> Result<Box<dyn Bytes + 'a>> {
        Ok(match self.content {
            Some(content) => Box::new(Cursor::new(content)),
            None => Box::new(File::open(self.path).map_err(Error::io("read", self.path))?),
        })
    }

    /// Its first bytes, at most 16, by which its kind is known.
    ///
    /// # Errors
    /// [`Error::Io`].
    #[cfg(feature = "columnar")]
    pub(super) fn start(self) -> Result<Vec<u8>> {
        peek(&mut self.bytes()?, START).map_err(Error::io("read", self.path))
    }

    /// Opens it from the start as text.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::File`] for a file of another kind, which is named where it is known.
    pub(super) fn open(self) -> Result<Text<'a>> {
        let read = |error| Error::io("read", self.path)(error);
        let mut bytes = self.bytes()?;
        let start = peek(&mut bytes, START).map_err(read)?;
        if let Some((kind, help)) = other_kind(&start) {
            return Err(Error::file(self.path, kind, help));
        }
        if is_zip(&start) {
            return self.zipped(bytes);
        }
        let length = self.length(&mut bytes).map_err(read)?;
        let whole = Cursor::new(start.clone()).chain(bytes);
        let (reader, packed): (Box<dyn Read + Send + 'a>, _) = match start[..] {
            [0x1f, 0x8b, ..] => (Box::new(MultiGzDecoder::new(BufReader::new(whole))), Some("gzip file")),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = StreamingDecoder::new(BufReader::new(whole));
                let damaged = |error| Error::file(self.path, format!("a damaged zstd file ({error})"), "a whole one");
                (Box::new(decoder.map_err(damaged)?), Some("zstd file"))
            }
            _ => (Box::new(whole), None),
        };
        match packed {
            Some(_) => self.decoded(Box::new(unpacked::Bounded::new(reader, length)), packed, None),
            None => self.decoded(reader, None, None),
        }
    }

    /// The number of its bytes; where they end only when they were read, the most that there can be.
    fn length(self, bytes: &mut dyn Bytes) -> std::io::Result<u64> {
        match self.content {
            Some(content) => Ok(content.len() as u64),
            None => {
                let at = bytes.stream_position();
                let is_file = self.path.metadata()?.is_file();
                match at {
                    Ok(at) if is_file => {
                        let end = bytes.seek(SeekFrom::End(0))?;
                        bytes.seek(SeekFrom::Start(at)).map(|_| end)
                    }
                    _ => Ok(u64::MAX),
                }
            }
        }
    }

    /// The one table in a zip archive.
    fn zipped(self, mut bytes: Box<dyn Bytes + 'a>) -> Result<Text<'a>> {
        let damaged = |error: &dyn std::fmt::Display| {
            Error::file(self.path, format!("a damaged zip archive ({error})"), "a whole one")
        };
        bytes.seek(SeekFrom::Start(0)).map_err(Error::io("read", self.path))?;
        let mut archive = ZipArchive::new(bytes).map_err(|error| damaged(&error))?;
        let names: Vec<String> = archive.file_names().flatten().map(std::borrow::Cow::into_owned).collect();
        let hidden = |name: &str| name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        let files: Vec<&String> = names.iter().filter(|name| !name.ends_with('/') && !hidden(name)).collect();
        if files.iter().any(|name| name.starts_with("xl/")) {
            return Err(Error::file(self.path, "an Excel workbook", "its sheet saved as CSV"));
        }
        let is_table = |name: &&&String| {
            let name = name.to_ascii_lowercase();
            [".csv", ".tsv", ".txt", ".dat", ".data", ".tab"].iter().any(|ending| name.ends_with(ending))
        };
        let tables: Vec<&String> = files.iter().filter(is_table).copied().collect();
        let name = match (&tables[..], &files[..]) {
            ([one], _) | ([], [one]) => (*one).clone(),
            (several, _) => {
                let found = if several.is_empty() { files.clone() } else { several.to_vec() };
                let list: Vec<String> = found.into_iter().cloned().collect();
                let found = format!("a zip archive of {} files: {}", list.len(), crate::data::classes::list(&list));
                return Err(Error::file(
                    self.path,
                    found,
                    "one table in it: unpack it, and give the one that you mean",
                ));
            }
        };
        let (start, length, method) = {
            let file = archive.by_name(&name).map_err(|error| damaged(&error))?;
            (file.data_start(), file.compressed_size(), file.compression())
        };
        let start = start.ok_or_else(|| damaged(&"no start of its data"))?;
        let mut bytes = archive.into_inner();
        bytes.seek(SeekFrom::Start(start)).map_err(Error::io("read", self.path))?;
        let reader: Box<dyn Read + Send + 'a> = match method {
            CompressionMethod::Stored => Box::new(bytes.take(length)),
            CompressionMethod::Deflated => {
                let unpacked = DeflateDecoder::new(BufReader::new(bytes.take(length)));
                Box::new(unpacked::Bounded::new(unpacked, length))
            }
            other => {
                let found = format!("a zip archive packed by {other}");
                return Err(Error::file(self.path, found, "the usual method, or the file unpacked"));
            }
        };
        self.decoded(reader, Some("zip archive"), Some(format!("{name} of the archive")))
    }

    /// The text in `reader`, whatever its encoding.
    fn decoded(
        self,
        mut reader: Box<dyn Read + Send + 'a>,
        packed: Option<&'static str>,
        note: Option<String>,
    ) -> Result<Text<'a>> {
        let start = peek(&mut reader, LOOK).map_err(|error| failed(self.path, packed, error))?;
        if let (Some((kind, _)), Some(packed)) = (other_kind(&start), packed) {
            return Err(Error::file(self.path, format!("{kind} in a {packed}"), "it unpacked, or a table as text"));
        }
        let encoding = wide(&start);
        if encoding.is_none() && start.contains(&0) {
            return Err(Error::file(self.path, "a file of another kind", crate::data::UNDERSTOOD));
        }
        let skip = if start.starts_with(MARK) { MARK.len() } else { 0 };
        if let Some((kind, help)) = other_text(&start[skip..]) {
            return Err(Error::file(self.path, kind, help));
        }
        let whole = Cursor::new(start[skip..].to_vec()).chain(reader);
        let reader: Box<dyn Read + Send + 'a> = match encoding {
            Some(encoding) => Box::new(DecodeReaderBytesBuilder::new().encoding(Some(encoding)).build(whole)),
            None => Box::new(whole),
        };
        let wide = encoding.map(|encoding| format!("text in {}", encoding.name()));
        let note = [note, wide].into_iter().flatten().collect::<Vec<_>>().join(", ");
        Ok(Text { reader, packed, note: (!note.is_empty()).then_some(note) })
    }
}

impl Text<'_> {
    /// The error for a read that failed.
    pub(super) fn failed(&self, path: &Path, error: std::io::Error) -> Error {
        failed(path, self.packed, error)
    }
}

/// Packed data that cannot be read is damaged; any other failure is the operating system's.
fn failed(path: &Path, packed: Option<&str>, error: std::io::Error) -> Error {
    match packed {
        Some(packed) if unpacked::is_beyond(&error) => {
            let found = format!("a {packed} that unpacks to {error}");
            Error::file(path, found, "less: unpack the file first if that is right").advise(&[Remedy::Limit])
        }
        Some(packed) => Error::file(path, format!("a damaged {packed} ({error})"), "a whole one"),
        None => Error::io("read", path)(error),
    }
}

/// The first bytes of `source`, at most so many.
fn peek(source: &mut (impl Read + ?Sized), bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.take(bytes).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether a file that begins so is a zip archive.
fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Whether the zip archive `source` is one of NumPy's: it holds arrays.
pub(in crate::data) fn holds_arrays(source: impl Read + Seek) -> bool {
    // A damaged archive is left to the reader of arrays to complain of.
    ZipArchive::new(source).ok().is_none_or(|archive| {
        let mut names = archive.file_names().flatten().peekable();
        names.peek().is_none() || names.any(|name| name.ends_with(".npy"))
    })
}

/// The encoding of 16-bit text, by its mark or by where the zeros of ASCII characters lie.
fn wide(start: &[u8]) -> Option<&'static Encoding> {
    match Encoding::for_bom(start) {
        Some((encoding, _)) => Some(encoding).filter(|encoding| *encoding != encoding_rs::UTF_8),
        None => {
            let zeros = |from: usize| start.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
            let (even, odd, pairs) = (zeros(0), zeros(1), start.len() / 2);
            match () {
                () if pairs < 4 => None,
                () if 2 * odd > pairs && 20 * even <= pairs => Some(UTF_16LE),
                () if 2 * even > pairs && 20 * odd <= pairs => Some(UTF_16BE),
                () => None,
            }
        }
    }
}

/// What a file is that is no text, and what helps.
fn other_kind(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let csv = "a table as text: pandas.read_parquet(FILE).to_csv(\"table.csv\", index=False) writes one";
    let kinds: [(&[u8], &str, &str); 8] = [
        (b"PAR1", "a Parquet file", csv),
        (
            b"ARROW1",
            "an Arrow file",
            "a table as text: pandas.read_feather(FILE).to_csv(\"table.csv\", index=False) writes one",
        ),
        (
            b"FEA1",
            "a Feather file of version 1",
            "version 2: pandas.read_feather(FILE).to_parquet(\"table.parquet\") writes a Parquet file",
        ),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "its sheet saved as CSV"),
        (b"SQLite format 3", "an SQLite database", "a table of it as CSV"),
        (b"\x89HDF", "an HDF5 file", "a table as text"),
        (b"BZh", "a bzip2 file", "it unpacked, or packed by gzip or zstd"),
        (b"\xfd7zXZ", "an xz file", "it unpacked, or packed by gzip or zstd"),
    ];
    kinds.into_iter().find(|(magic, ..)| start.starts_with(magic)).map(|(_, kind, help)| (kind, help))
}

/// What a text is that is no table, by its first lines, and what helps: the Python that makes it one.
fn other_text(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = start.trim_ascii_start();
    if text.starts_with(b"version https://git-lfs") {
        return Some(("a pointer of Git LFS", "the file that it stands for: git lfs pull fetches it"));
    }
    let first = &text[..memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len())];
    let rest = |open: u8| text.strip_prefix(&[open]).map(<[u8]>::trim_ascii_start).unwrap_or_default();
    if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(first).is_ok() {
        return Some((
            "JSON lines",
            "a table: pandas.read_json(FILE, lines=True).to_csv(\"table.csv\", index=False) writes one",
        ));
    }
    // An object over many lines, or longer than what is seen of it, begins with a name; and an array of tables with a row.
    let is_named = |rest: &[u8]| memchr::memmem::find(rest, b"\":").is_some() && rest.starts_with(b"\"");
    if is_named(rest(b'{')) || rest(b'[').starts_with(b"{") {
        return Some(("JSON", "a table: pandas.read_json(FILE).to_csv(\"table.csv\", index=False) writes one"));
    }
    is_sparse(text).then_some((
        "a file of libsvm (a label, and index:value of features)",
        "a table: x, y = sklearn.datasets.load_svmlight_file(FILE); \
         pandas.DataFrame(x.toarray()).assign(label=y).to_csv(\"table.csv\", index=False) writes one",
    ))
}

/// Whether all lines of `text` are a number and pairs of an ascending index and a value, not all of which may be times of a day. The
/// last line may be cut.
fn is_sparse(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(&text[..memchr::memrchr(b'\n', text).unwrap_or(text.len())]) else {
        return false;
    };
    let mut pairs = 0;
    let is_line = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut cells = line.split_ascii_whitespace();
        let mut last = None;
        cells.next().is_none_or(|label| label.parse::<f64>().is_ok())
            && cells.filter(|cell| !cell.starts_with("qid:")).all(|cell| {
                let Some((index, value)) = cell.split_once(':') else { return false };
                let (Ok(index), Ok(_)) = (index.parse::<u64>(), value.parse::<f64>()) else { return false };
                pairs += usize::from(index > 23 || value.len() != 2);
                last.replace(index).is_none_or(|last| last < index)
            })
    };
    text.lines().all(is_line) && pairs > 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn text(content: &[u8]) -> Result<String> {
        let source = Source { path: "some".as_ref(), content: Some(content) };
        let mut text = String::new();
        source.open()?.reader.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    fn zip(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn packed_and_encoded_text_is_the_same_text() {
        let plain = "name,size\ncaf\u{e9},1\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(plain.as_bytes()).unwrap();
        let little: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = plain.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let zstd = ruzstd::encoding::compress_to_vec(plain.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        for content in [
            plain.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", plain.as_bytes()].concat(),
            gzip.finish().unwrap(),
            zstd,
            zip(&[("train.csv", plain)]),
            zip(&[("data/", ""), ("__MACOSX/._train.csv", "x"), ("README.md", "x"), ("data/train.csv", plain)]),
            [b"\xff\xfe", &little[..]].concat(),
            [b"\xfe\xff", &big[..]].concat(),
            little,
            big,
        ] {
            assert_eq!(text(&content).unwrap(), plain, "{content:?}");
        }
    }

    #[test]
    fn files_of_another_kind_are_named() {
        let two = zip(&[("a.csv", "1"), ("b.csv", "2")]);
        let sheet = zip(&[("xl/workbook.xml", "x"), ("[Content_Types].xml", "x")]);
        let cases: [(&[u8], &str); 12] = [
            (b"PAR1....", "a Parquet file"),
            (b"FEA1....", "a Feather file of version 1"),
            (&two, "\"a.csv\", \"b.csv\""),
            (
                b"{\"a\": 1, \"label\": \"x\"}\n{\"a\": 2}\n",
                "JSON lines, expected a table: pandas.read_json(FILE, lines=True)",
            ),
            (b"[\n  {\"a\": 1}\n]\n", "found JSON,"),
            (b"{\n\"a\": {\"0\": 1}\n}\n", "found JSON,"),
            (b"0 1:0.5 7:1\n+1 2:1e3 # note\n1", "libsvm"),
            (b"1 qid:3 1:0.5\n", "libsvm"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (&sheet, "an Excel workbook"),
            (b"\0\0\x08\x03\0\0\0\0", "another kind"),
            (b"PK\x03\x04 and no more", "a damaged zip archive"),
        ];
        for table in ["{a},b\n1,2\n", "1 10:30 11:00\n2 09:15 10:00\n", "[a],{b}\n1,2\n", "1 2\n3 4\n"] {
            assert_eq!(text(table.as_bytes()).unwrap(), table);
        }
        for (content, part) in cases {
            let error = text(content).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
