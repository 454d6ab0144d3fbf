//! The MNIST family as it is published: files, sizes, hashes, mirrors, licences.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::idx;
use crate::error::{Error, Result};

/// A published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its name without the ending `.gz`.
    pub name: &'static str,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: &'static str,
    /// The length of its uncompressed content in bytes.
    pub content_bytes: u64,
    /// The SHA-256 of the uncompressed content, where it is published.
    pub content_sha256: Option<&'static str>,
}

/// A published data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Its name, as `--data` takes it.
    pub name: &'static str,
    /// Its licence and authors.
    pub licence: &'static str,
    /// The addresses of its servers, to which a file's name is appended. HTTPS comes first.
    pub mirrors: &'static [&'static str],
    /// Its files: training images and labels, test images and labels.
    pub files: [Published; 4],
}

/// The lengths of the uncompressed files, which are the same in all sets.
const CONTENT_BYTES: [u64; 4] = [16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000];

const fn files(published: [(u64, &'static str, Option<&'static str>); 4]) -> [Published; 4] {
    let mut files = [Published { name: "", bytes: 0, sha256: "", content_bytes: 0, content_sha256: None }; 4];
    let mut i = 0;
    while i < 4 {
        let (bytes, sha256, content_sha256) = published[i];
        files[i] = Published { name: idx::NAMES[i], bytes, sha256, content_bytes: CONTENT_BYTES[i], content_sha256 };
        i += 1;
    }
    files
}

/// The published data sets.
pub static SETS: [Set; 3] = [
    Set {
        name: "mnist",
        licence: "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes, Christopher J. C. Burges)",
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: files([
            (
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            ),
            (
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            ),
            (
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            ),
            (
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            ),
        ]),
    },
    Set {
        name: "fashion-mnist",
        licence: "MIT (Zalando SE)",
        mirrors: &[
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: files([
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", None),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", None),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", None),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", None),
        ]),
    },
    Set {
        name: "kmnist",
        licence: "CC BY-SA 4.0 (KMNIST Dataset, Center for Open Data in the Humanities)",
        mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        files: files([
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", None),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", None),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", None),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", None),
        ]),
    },
];

/// The set called `name`.
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|set| set.name == name)
}

impl Published {
    /// The name under which it is published.
    pub fn file_name(&self) -> String {
        format!("{}.gz", self.name)
    }

    /// Checks that the file at `path` is the published one: as published, compressed anew, or uncompressed. Returns false
    /// where that cannot be known: an uncompressed file has the right length, and no hash of it is published.
    ///
    /// # Errors
    /// [`Error::File`] saying what the file is instead; [`Error::Io`] where it cannot be read.
    pub fn verify(&self, path: &Path) -> Result<bool> {
        let read = || File::open(path).map_err(Error::io("read", path));
        let (bytes, sha256) = hash(&mut read()?, u64::MAX).map_err(Error::io("read", path))?;
        let plain = path.file_name().is_some_and(|name| name == self.name);
        let (wanted_bytes, wanted) =
            if plain { (self.content_bytes, self.content_sha256) } else { (self.bytes, Some(self.sha256)) };
        match wanted {
            Some(wanted) if bytes == wanted_bytes && sha256 == wanted => return Ok(true),
            None if bytes == wanted_bytes => return Ok(false),
            _ => {}
        }
        if !plain && let Some(wanted) = self.content_sha256 {
            // What cannot be decompressed is described below.
            let content = hash(&mut MultiGzDecoder::new(read()?), self.content_bytes);
            if matches!(content, Ok((_, sha256)) if sha256 == wanted) {
                return Ok(true);
            }
        }
        let what = if plain { "" } else { describe(path).map_err(Error::io("read", path))? };
        let with = wanted.map_or_else(String::new, |wanted| format!(" with SHA-256 {wanted}"));
        Err(Error::file(
            path,
            format!("{what}{bytes} bytes with SHA-256 {sha256}"),
            format!("{wanted_bytes} bytes{with}"),
        ))
    }
}

/// Describes a file whose first bytes show that it is no gzip file. Empty for a gzip file.
fn describe(path: &Path) -> std::io::Result<&'static str> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(match start.trim_ascii_start() {
        _ if start.starts_with(&[0x1f, 0x8b]) => "",
        [] => "an empty file, ",
        [b'<', ..] => "a page of HTML or XML, ",
        _ => "no gzip file, ",
    })
}

/// The length and the SHA-256 in hexadecimal of `source`, of which at most `most + 1` bytes are read.
fn hash(source: &mut dyn Read, most: u64) -> std::io::Result<(u64, String)> {
    let mut source = source.take(most.saturating_add(1));
    let (mut hasher, mut length, mut block) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match source.read(&mut block)? {
            0 => break,
            read => {
                hasher.update(&block[..read]);
                length += read as u64;
            }
        }
    }
    Ok((length, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A small published file, and its content.
    fn small(content: &[u8], compressed: &[u8], hashed: bool) -> Published {
        let text = |bytes: &mut &[u8]| -> &'static str { hash(bytes, u64::MAX).unwrap().1.leak() };
        Published {
            name: "small",
            bytes: compressed.len() as u64,
            sha256: text(&mut &compressed[..]),
            content_bytes: content.len() as u64,
            content_sha256: hashed.then(|| text(&mut &content[..])),
        }
    }

    fn gzip(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn files_are_known_as_published_compressed_anew_or_plain() {
        let content = b"some content, some content, some content".repeat(20);
        let folder = tempfile::tempdir().unwrap();
        let found = |hashed, name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            small(&content, &gzip(&content, 9), hashed).verify(&path).map_err(|error| error.to_string())
        };
        let anew = gzip(&content, 0);
        assert_eq!(found(true, "small.gz", &gzip(&content, 9)), Ok(true));
        assert_eq!(found(true, "small.gz", &anew), Ok(true));
        assert_eq!(found(true, "small", &content), Ok(true));
        assert_eq!(found(false, "small", &content), Ok(false));
        assert!(found(false, "small.gz", &anew).unwrap_err().contains("bytes with SHA-256"));
        assert!(found(false, "small", &content[1..]).unwrap_err().contains("expected 800 bytes"));
        let mut more = content.clone();
        more.push(0);
        for wrong in [&gzip(&more, 9)[..], &anew[..anew.len() - 9], b"", b"<html>not found</html>", &[7; 30]] {
            assert!(found(true, "small.gz", wrong).is_err());
        }
        assert!(found(true, "small.gz", b" <!doctype html>").unwrap_err().contains("a page of HTML"));
    }

    #[test]
    fn the_catalogue_is_whole() {
        for set in &SETS {
            assert!(crate::data::FAMILY.contains(&set.name));
            assert!(set.mirrors.iter().all(|mirror| mirror.starts_with("http") && mirror.ends_with('/')));
            assert!(set.files.iter().all(|file| file.sha256.len() == 64 && file.bytes < 64 << 20));
        }
    }
}
