//! MNIST and its kin as they are published: files, sizes, hashes, mirrors, licences.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::idx;
use crate::error::{Error, Result};
use crate::hex::hex;

mod names;

pub use names::class_names;

/// A published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its name without the ending `.gz`.
    pub name: &'static str,
    /// Its length in bytes; 0 where it is not published.
    pub bytes: u64,
    /// Its SHA-256, where it is published.
    pub sha256: Option<&'static str>,
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
    /// The name of its folder, which sets may share.
    pub folder: &'static str,
    /// Its licence and authors.
    pub licence: &'static str,
    /// The addresses of its servers, to which a file's name is appended. HTTPS comes first.
    pub mirrors: &'static [&'static str],
    /// Its files: training images and labels, test images and labels.
    pub files: [Published; 4],
    /// The zip archive in which they are published, if they are.
    pub archive: Option<Published>,
}

/// Files of the lengths `content` and with these lengths and hashes as they are published.
const fn files(
    names: [&'static str; 4],
    content: [u64; 4],
    published: [(u64, Option<&'static str>); 4],
) -> [Published; 4] {
    let mut files = [Published { name: "", bytes: 0, sha256: None, content_bytes: 0, content_sha256: None }; 4];
    let mut i = 0;
    while i < 4 {
        let (bytes, sha256) = published[i];
        files[i] = Published { name: names[i], bytes, sha256, content_bytes: content[i], content_sha256: None };
        i += 1;
    }
    files
}

/// The lengths of the uncompressed files of `train` and `test` images of 28 x 28, with labels of one byte.
const fn lengths(train: u64, test: u64) -> [u64; 4] {
    [16 + train * 784, 8 + train, 16 + test * 784, 8 + test]
}

/// The lengths of the files of MNIST, and of the sets that are to take its place.
const MNIST: [u64; 4] = lengths(60_000, 10_000);

/// The hashes of MNIST's uncompressed files.
const MNIST_CONTENT: [&str; 4] = [
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
];

const fn mnist() -> [Published; 4] {
    let mut files = files(
        idx::NAMES,
        MNIST,
        [
            (9_912_422, Some("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609")),
            (28_881, Some("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c")),
            (1_648_877, Some("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6")),
            (4_542, Some("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")),
        ],
    );
    let mut i = 0;
    while i < 4 {
        files[i].content_sha256 = Some(MNIST_CONTENT[i]);
        i += 1;
    }
    files
}

/// The archive of all parts of EMNIST (Cohen and others 2017). Hash: TensorFlow Datasets.
const EMNIST: Published = Published {
    name: "gzip.zip",
    bytes: 561_753_746,
    sha256: Some("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    content_bytes: 0,
    content_sha256: None,
};

/// A part of EMNIST with so many training and test images.
const fn emnist(name: &'static str, files: [&'static str; 4], train: u64, test: u64) -> Set {
    Set {
        name,
        folder: "emnist",
        licence: "public domain (NIST; Gregory Cohen, Saeed Afshar, Jonathan Tapson, Andre van Schaik)",
        mirrors: &[
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ],
        files: self::files(files, lengths(train, test), [(0, None); 4]),
        archive: Some(EMNIST),
    }
}

/// The names of the files of the part `$part` of EMNIST.
macro_rules! emnist_files {
    ($part:literal) => {
        [
            concat!("emnist-", $part, "-train-images-idx3-ubyte"),
            concat!("emnist-", $part, "-train-labels-idx1-ubyte"),
            concat!("emnist-", $part, "-test-images-idx3-ubyte"),
            concat!("emnist-", $part, "-test-labels-idx1-ubyte"),
        ]
    };
}

/// The published data sets.
pub static SETS: [Set; 10] = [
    Set {
        name: "mnist",
        folder: "mnist",
        licence: "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes, Christopher J. C. Burges)",
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: mnist(),
        archive: None,
    },
    Set {
        name: "fashion-mnist",
        folder: "fashion-mnist",
        licence: "MIT (Zalando SE)",
        mirrors: &[
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: files(
            idx::NAMES,
            MNIST,
            [
                (26_421_880, Some("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84")),
                (29_515, Some("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845")),
                (4_422_102, Some("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073")),
                (5_148, Some("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5")),
            ],
        ),
        archive: None,
    },
    Set {
        name: "kmnist",
        folder: "kmnist",
        licence: "CC BY-SA 4.0 (KMNIST Dataset, Center for Open Data in the Humanities)",
        mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        files: files(
            idx::NAMES,
            MNIST,
            [
                (18_165_135, Some("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4")),
                (29_497, Some("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17")),
                (3_041_136, Some("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5")),
                (5_120, Some("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c")),
            ],
        ),
        archive: None,
    },
    // Hashes: TensorFlow Datasets. A label is eight whole numbers of four bytes, of which the first is the class.
    Set {
        name: "qmnist",
        folder: "qmnist",
        licence: "BSD (Chhavi Yadav, Leon Bottou; from NIST's Special Database 19)",
        mirrors: &["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"],
        files: files(
            [
                "qmnist-train-images-idx3-ubyte",
                "qmnist-train-labels-idx2-int",
                "qmnist-test-images-idx3-ubyte",
                "qmnist-test-labels-idx2-int",
            ],
            [16 + 60_000 * 784, 12 + 60_000 * 32, 16 + 60_000 * 784, 12 + 60_000 * 32],
            [
                (9_704_059, Some("9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d")),
                (463_024, Some("2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f")),
                (9_742_279, Some("43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375")),
                (526_800, Some("9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06")),
            ],
        ),
        archive: None,
    },
    emnist("emnist-balanced", emnist_files!("balanced"), 112_800, 18_800),
    emnist("emnist-byclass", emnist_files!("byclass"), 697_932, 116_323),
    emnist("emnist-bymerge", emnist_files!("bymerge"), 697_932, 116_323),
    emnist("emnist-digits", emnist_files!("digits"), 240_000, 40_000),
    emnist("emnist-letters", emnist_files!("letters"), 124_800, 20_800),
    emnist("emnist-mnist", emnist_files!("mnist"), 60_000, 10_000),
];

/// The set called `name`.
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|set| set.name == name)
}

/// The names of all sets, for messages.
pub fn names() -> String {
    SETS.iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

impl Set {
    /// Those of its files that are in `folder`.
    pub fn found(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.iter().filter_map(|file| idx::find(folder, file.name).ok()).collect()
    }

    /// Whether any of its files is in `folder`.
    pub fn present(&self, folder: &Path) -> bool {
        !self.found(folder).is_empty()
    }

    /// Whether all of its files are in `folder`.
    pub fn complete(&self, folder: &Path) -> bool {
        self.found(folder).len() == self.files.len()
    }

    /// Whether its files are called and made as MNIST's are.
    pub fn is_like_mnist(&self) -> bool {
        self.files.iter().map(|file| file.name).eq(idx::NAMES)
    }

    /// Bytes that are fetched for it.
    pub fn bytes(&self) -> u64 {
        self.archive.map_or_else(|| self.files.iter().map(|file| file.bytes).sum(), |archive| archive.bytes)
    }
}

impl Published {
    /// Whether it is a zip archive of other files.
    pub(super) fn is_archive(&self) -> bool {
        self.name.ends_with(".zip")
    }

    /// The name under which it is published.
    pub fn file_name(&self) -> String {
        if self.is_archive() { self.name.into() } else { format!("{}.gz", self.name) }
    }

    /// Checks that the file at `path` is the published one: as published, compressed anew, or uncompressed. Returns false
    /// where that cannot be known: the content has the right length, and no hash is published.
    ///
    /// # Errors
    /// [`Error::File`] saying what the file is instead; [`Error::Io`] where it cannot be read.
    pub fn verify(&self, path: &Path) -> Result<bool> {
        let read = || File::open(path).map_err(Error::io("read", path));
        let (bytes, sha256) = hash(&mut read()?, u64::MAX).map_err(Error::io("read", path))?;
        let plain = path.file_name().is_some_and(|name| name == self.name) && !self.is_archive();
        if !plain && self.sha256.is_none() {
            let content = hash(&mut MultiGzDecoder::new(read()?), self.content_bytes);
            let damaged = |error| Error::file(path, format!("a damaged gzip file ({error})"), "a whole one");
            return match content.map_err(damaged)? {
                (bytes, _) if bytes == self.content_bytes => Ok(false),
                (bytes, _) => {
                    let expected = format!("{} bytes", self.content_bytes);
                    Err(Error::file(path, format!("{bytes} bytes or more in it"), expected))
                }
            };
        }
        let (wanted_bytes, wanted) =
            if plain { (self.content_bytes, self.content_sha256) } else { (self.bytes, self.sha256) };
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
        let what = if plain || self.is_archive() { "" } else { describe(path).map_err(Error::io("read", path))? };
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
    Ok((length, hex(&hasher.finalize())))
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
            sha256: Some(text(&mut &compressed[..])),
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
            assert!(set.mirrors.iter().all(|mirror| mirror.starts_with("http") && mirror.ends_with('/')));
            // What is fetched has a hash.
            let fetched = set.archive.map_or(set.files.to_vec(), |archive| vec![archive]);
            assert!(fetched.iter().all(|file| file.sha256.is_some_and(|hash| hash.len() == 64) && file.bytes > 4_000));
            assert!(set.archive.is_some() || set.files.iter().all(|file| file.bytes < 64 << 20));
            let kinds: Vec<_> = set.files.iter().map(|file| file.name.contains("images")).collect();
            assert_eq!(kinds, [true, false, true, false], "{}", set.name);
        }
    }
}
