//! What a file is by its first bytes: a picture that is read, one of a format that is not, or no picture.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use image::ImageFormat;

use crate::error::Error;

/// The formats that are read, for messages.
pub(crate) const READ: &str = "PNG, JPEG, GIF, BMP, WebP, TIFF or PNM";

/// The bytes that tell a format.
const LOOKED_AT: usize = 4096;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A picture of a format that is read, or a file that is called so.
    Picture,
    /// A file of a format that is not.
    Unread(Format),
    /// Anything else.
    Other,
}

/// A format that is not read, and what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Format {
    /// Its name.
    pub(crate) name: &'static str,
    /// What to do about it.
    pub(crate) help: &'static str,
}

impl Format {
    /// The error for a file of this format.
    pub(crate) fn error(self, path: &Path) -> Error {
        let Self { name, help } = self;
        Error::file(path, format!("the format {name}, which is not read"), format!("{READ}: {help}"))
    }
}

const CONVERT: &str = "save them as PNG or JPEG";
const DRAW: &str = "draw them to PNG";
const NO_PICTURE: &str = "save single pictures of them";

const fn format(name: &'static str, help: &'static str) -> Format {
    Format { name, help }
}

const HEIC: Format = format("HEIC", "set the camera to JPEG, \"Most Compatible\", or convert them to JPEG");
const AVIF: Format = format("AVIF", CONVERT);
const JPEG_XL: Format = format("JPEG XL", CONVERT);
const JPEG_2000: Format = format("JPEG 2000", CONVERT);
const RAW: Format = format("camera RAW", "develop them to JPEG");
const SVG: Format = format("SVG", DRAW);
const EPS: Format = format("EPS", DRAW);
const PDF: Format = format("PDF", DRAW);
const VIDEO: Format = format("video", NO_PICTURE);

/// Formats by what a file begins with.
const BEGINNINGS: &[(&[u8], Format)] = &[
    (b"\xff\x0a", JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"8BPS", format("PSD", CONVERT)),
    (b"%PDF-", PDF),
    (b"%!PS", EPS),
    (b"\xc5\xd0\xd3\xc6", EPS),
    (b"\0\0\x01\0", format("ICO", CONVERT)),
    (b"II*\0\x10\0\0\0CR", RAW),
    (b"IIU\0", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),
    (b"\0MRM", RAW),
    (b"DDS ", format("DDS", CONVERT)),
    (b"v/1\x01", format("OpenEXR", CONVERT)),
    (b"#?RADIANCE", format("Radiance HDR", CONVERT)),
    (b"farbfeld", format("farbfeld", CONVERT)),
    (b"qoif", format("QOI", CONVERT)),
    (b"gimp xcf", format("XCF", CONVERT)),
    (b"AT&TFORM", format("DjVu", DRAW)),
    (b"SIMPLE  =", format("FITS", CONVERT)),
    (b"\x1aE\xdf\xa3", VIDEO),
];

/// Formats by the brands of ISO's media files.
const BRANDS: &[(&[u8], Format)] = &[
    (b"avif", AVIF),
    (b"avis", AVIF),
    (b"hei", HEIC),
    (b"hev", HEIC),
    (b"crx ", RAW),
    (b"mif1", HEIC),
    (b"msf1", HEIC),
];

/// Formats by the ends of names, for files that do not begin as they should or as many others do.
const ENDINGS: &[(&[&str], Format)] = &[
    (&["heic", "heif"], HEIC),
    (&["avif"], AVIF),
    (&["jxl"], JPEG_XL),
    (&["jp2", "j2k", "jpx"], JPEG_2000),
    (&["svg", "svgz"], SVG),
    (&["cr2", "cr3", "nef", "nrw", "arw", "dng", "pef", "srw", "raf", "orf", "rw2"], RAW),
    (&["tga"], format("TGA", CONVERT)),
];

/// The ends of the names of tables and texts, which may begin with the letters of a format.
const TEXT: &[&str] = &["csv", "tsv", "txt"];

impl Kind {
    /// What the file at `path` is. One that cannot be opened is what its name says: who reads it says why not. Pipes and devices
    /// give what they hold only once, and are not looked into.
    pub(crate) fn of(path: &Path) -> Self {
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Self::Other;
        }
        let mut start = Vec::new();
        if let Ok(file) = File::open(path) {
            // What cannot be read is told by who reads the rest.
            let _ = file.take(LOOKED_AT as u64).read_to_end(&mut start);
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        Self::of_start(&start, &ending)
    }

    /// What `content` is, of which no name is known.
    pub(crate) fn of_content(content: &[u8]) -> Self {
        Self::of_start(&content[..content.len().min(LOOKED_AT)], "")
    }

    fn of_start(start: &[u8], ending: &str) -> Self {
        if TEXT.contains(&ending) && !start.contains(&0) {
            return Self::Other;
        }
        let by_ending = ENDINGS.iter().find(|(endings, _)| endings.contains(&ending)).map(|(_, format)| *format);
        if let Some(format) = unread(start).or(by_ending.filter(|format| *format == RAW)) {
            return Self::Unread(format);
        }
        let read = |format: ImageFormat| format.reading_enabled();
        if image::guess_format(start).is_ok_and(read) && is_header(start) {
            return Self::Picture;
        }
        match by_ending {
            Some(format) => Self::Unread(format),
            // A broken one, which is told of where it is decoded.
            None if ImageFormat::from_extension(ending).is_some_and(read) => Self::Picture,
            None => Self::Other,
        }
    }
}

/// Whether a file that begins as a picture does goes on as one. Two letters are the beginning of words as well.
fn is_header(start: &[u8]) -> bool {
    /// The lengths of the second header of a BMP file.
    const HEADERS: [u32; 8] = [12, 16, 40, 52, 56, 64, 108, 124];
    match start {
        [b'B', b'M', ..] => {
            let length = start.get(14..).and_then(|rest| rest.first_chunk());
            length.is_some_and(|length| HEADERS.contains(&u32::from_le_bytes(*length)))
        }
        [b'P', b'1'..=b'7', rest @ ..] => {
            let begun = rest.trim_ascii_start();
            let first = begun.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'#');
            begun.len() < rest.len() && (first || start[1] == b'7' && begun.starts_with(b"WIDTH"))
        }
        _ => true,
    }
}

/// The format, of those that are not read, of a file that begins with `start`.
fn unread(start: &[u8]) -> Option<Format> {
    if let Some((_, format)) = BEGINNINGS.iter().find(|(beginning, _)| start.starts_with(beginning)) {
        return Some(*format);
    }
    if start.get(4..8) == Some(b"ftyp") {
        let length = start.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        let brands = start.get(8..length.clamp(12, start.len().max(12))).unwrap_or_default();
        let has = |brand: &[u8]| brands.chunks(4).any(|found| found.starts_with(brand));
        return Some(BRANDS.iter().find(|(brand, _)| has(brand)).map_or(VIDEO, |(_, format)| *format));
    }
    if start.get(128..132) == Some(b"DICM") {
        return Some(format("DICOM", CONVERT));
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let is_svg = text.starts_with(b"<svg")
        || (text.starts_with(b"<?xml") || text.starts_with(b"<!")) && memchr::memmem::find(text, b"<svg").is_some();
    if is_svg {
        return Some(SVG);
    }
    is_raw_tiff(start).then_some(RAW)
}

/// Whether a TIFF file is a camera's: it says so, or its first image is a small one beside others within.
fn is_raw_tiff(start: &[u8]) -> bool {
    const SUBFILE_TYPE: u16 = 254;
    const SUB_IMAGES: u16 = 330;
    const DNG_VERSION: u16 = 50706;
    let little = match start.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return false,
    };
    let short = |at: usize| {
        let bytes = start.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    };
    let long = |at: usize| {
        let bytes = start.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) })
    };
    let Some((first, count)) = long(4).and_then(|at| Some((at as usize, short(at as usize)?))) else { return false };
    let (mut reduced, mut within, mut dng) = (false, false, false);
    for entry in (0..usize::from(count)).map(|entry| first.saturating_add(2 + 12 * entry)) {
        match short(entry) {
            Some(SUBFILE_TYPE) => reduced = long(entry + 8).is_some_and(|kind| kind & 1 == 1),
            Some(SUB_IMAGES) => within = true,
            Some(DNG_VERSION) => dng = true,
            Some(_) => {}
            None => break,
        }
    }
    dng || reduced && within
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kind(start: &[u8], name: &str) -> String {
        match Kind::of_start(start, name) {
            Kind::Picture => "read".into(),
            Kind::Unread(format) => format.name.into(),
            Kind::Other => "other".into(),
        }
    }

    #[test]
    fn formats_are_told_by_bytes_first_and_then_by_names() {
        let brand = |brands: &str| [&[0, 0, 0, 8 + brands.len() as u8], b"ftyp", brands.as_bytes(), b"more"].concat();
        let tiff = |tags: &[(u16, u32)]| {
            let entry = |(tag, value): &(u16, u32)| {
                [&tag.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()].concat()
            };
            let count = (tags.len() as u16).to_le_bytes();
            [b"II*\0\x08\0\0\0", &count[..], &tags.iter().flat_map(entry).collect::<Vec<_>>()].concat()
        };
        for (start, ending, expected) in [
            (brand("heic\0\0\0\0mif1heic"), "jpg", "HEIC"),
            (brand("mif1\0\0\0\0mif1heic"), "", "HEIC"),
            (brand("mif1\0\0\0\0avifmif1"), "heic", "AVIF"),
            (brand("crx \0\0\0\x01crx "), "", "camera RAW"),
            (brand("qt  \0\0\0\0"), "mov", "video"),
            (b"\0\0\0\x1cftyp".to_vec(), "", "video"),
            (b"\xff\x0a\xfa".to_vec(), "", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), "png", "JPEG 2000"),
            (b"8BPS\0\x01".to_vec(), "", "PSD"),
            (b"%PDF-1.4".to_vec(), "", "PDF"),
            (b"%!PS-Adobe-3.0 EPSF-3.0".to_vec(), "", "EPS"),
            (b"\xef\xbb\xbf <?xml version='1.0'?><!-- x -->\n<svg>".to_vec(), "", "SVG"),
            (b"<?xml version='1.0'?><html>".to_vec(), "", "other"),
            (b"\0\0\x01\0\x01\0".to_vec(), "", "ICO"),
            (b"II*\0\x10\0\0\0CR\x02".to_vec(), "tif", "camera RAW"),
            (tiff(&[(256, 4), (50706, 1)]), "tif", "camera RAW"),
            (tiff(&[(254, 1), (330, 9)]), "", "camera RAW"),
            (tiff(&[(254, 1), (256, 9)]), "", "read"),
            (tiff(&[(254, 0), (330, 9)]), "nef", "camera RAW"),
            (b"II*\0\xff\xff\xff\xff".to_vec(), "tif", "read"),
            (b"\xff\xd8\xff\xe0".to_vec(), "heic", "read"),
            (b"nothing of the kind".to_vec(), "heic", "HEIC"),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec(), "", "read"),
            (b"BMI,age,height,class\n22,30,180,a\n".to_vec(), "", "other"),
            (b"BM".to_vec(), "bmp", "read"),
            (b"P5 28 28 255\n".to_vec(), "", "read"),
            (b"P2\n# drawn\n3 3\n".to_vec(), "pgm", "read"),
            (b"P7\nWIDTH 3\n".to_vec(), "", "read"),
            (b"P2,P3\n1,2\n".to_vec(), "", "other"),
            (b"P1 is the person".to_vec(), "", "other"),
            (b"P2\n1\n2\n".to_vec(), "csv", "other"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec(), "txt", "read"),
            (b"nothing of the kind".to_vec(), "png", "read"),
            (b"nothing of the kind".to_vec(), "txt", "other"),
            (Vec::new(), "", "other"),
        ] {
            assert_eq!(kind(&start, ending), expected, "{start:?} {ending}");
        }
    }
}
