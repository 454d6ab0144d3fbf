//! One array of an archive. The header is parsed here, because libraries for it overflow or panic on shapes that a damaged
//! file may have.

use std::io::Read;
use std::path::Path;

use crate::data::Inputs;
use crate::error::{Error, Result};

/// The most bytes of an array that are read.
const MAX_BYTES: usize = 4 << 30;
/// The longest header that is read. NumPy writes some hundred bytes.
const MAX_HEADER: usize = 1 << 16;

/// The header of an array.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses a Python dictionary such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let (descr, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let fortran_order = value("fortran_order")?;
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
        Some(Self {
            descr: descr.into(),
            fortran_order: fortran_order.starts_with("True"),
            shape: lengths.map(|length| length.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?,
        })
    }
}

/// The kind of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Boolean,
    Signed,
    Unsigned,
    Float,
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy)]
struct Element {
    kind: Kind,
    size: usize,
    big_endian: bool,
}

impl Element {
    /// Parses NumPy's name of a type, such as `<f4`.
    fn parse(descr: &str) -> Option<Self> {
        let (order, name) = descr.split_at_checked(1)?;
        let (kind, size) = match name {
            "b1" => (Kind::Boolean, 1),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            _ => return None,
        };
        matches!(order, "<" | ">" | "|" | "=").then_some(Self { kind, size, big_endian: order == ">" })
    }

    /// The bits of an element. Those of a signed integer are sign-extended.
    fn bits(self, bytes: &[u8]) -> u64 {
        let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        let bits = if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        match self.kind {
            Kind::Signed => {
                let unused = 64 - 8 * self.size;
                ((bits << unused) as i64 >> unused) as u64
            }
            _ => bits,
        }
    }
}

/// An array in C order.
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    element: Element,
    bytes: Vec<u8>,
}

impl Array {
    /// Reads the array `name` of the archive at `path` from `source`.
    ///
    /// # Errors
    /// [`Error::File`] for an array that is damaged, too large, or of a type that holds no numbers.
    pub(crate) fn read(path: &Path, name: &str, mut source: impl Read) -> Result<Self> {
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let damaged = |error: &dyn std::fmt::Display| bad(format!("a damaged {name} ({error})"), "a whole NumPy array");
        let mut take = |bytes: usize| -> Result<Vec<u8>> {
            let mut taken = Vec::new();
            source.by_ref().take(bytes as u64).read_to_end(&mut taken).map_err(|error| damaged(&error))?;
            Ok(taken)
        };
        let start = take(8)?;
        let length = match start[..] {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => take(2)?,
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => take(4)?,
            _ => {
                return Err(bad(
                    format!("{name} that is no NumPy array of versions 1 to 3"),
                    "one, as numpy.savez writes it",
                ));
            }
        };
        let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let header = take(length.min(MAX_HEADER))?;
        let text = String::from_utf8_lossy(&header);
        let header = Header::parse(&text)
            .ok_or_else(|| bad(format!("{name} with the header {:?}", text.trim_end()), "one of a plain array"))?;
        let Some(element) = Element::parse(&header.descr) else {
            return Err(bad(format!("{name} of type {}", header.descr), "integers or floats"));
        };
        let count = header.shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
        let size = count.and_then(|count| count.checked_mul(element.size)).filter(|&size| size <= MAX_BYTES);
        let Some(size) = size else {
            return Err(bad(format!("{name} of shape {:?}", header.shape), "at most 4 GiB"));
        };
        // One byte more than the header promises: to see whether there is one, and to make the archive check its checksum.
        let mut bytes = take(size + 1)?;
        if bytes.len() != size {
            let found = if bytes.len() > size { "more".into() } else { bytes.len().to_string() };
            return Err(bad(format!("{found} bytes in {name}"), &format!("{size}, for its shape {:?}", header.shape)));
        }
        if header.fortran_order {
            bytes = c_order(&bytes, &header.shape, element.size);
        }
        Ok(Self { shape: header.shape, element, bytes })
    }

    /// The bits of each element.
    fn bits(&self) -> impl Iterator<Item = u64> {
        self.bytes.chunks_exact(self.element.size).map(|bytes| self.element.bits(bytes))
    }

    /// Whether the elements are floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        self.element.kind == Kind::Float
    }

    /// The elements in decimal.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |bits: u64| match (self.element.kind, self.element.size) {
            (Kind::Signed, _) => (bits as i64).to_string(),
            (Kind::Boolean | Kind::Unsigned, _) => bits.to_string(),
            (Kind::Float, 4) => format!("{:?}", f32::from_bits(bits as u32)),
            (Kind::Float, _) => format!("{:?}", f64::from_bits(bits)),
        };
        self.bits().map(text).collect()
    }

    /// The elements as inputs. Bytes stay bytes.
    ///
    /// # Errors
    /// A text that names the first element that float32 cannot hold.
    pub(crate) fn inputs(self) -> Result<Inputs, String> {
        let Element { kind, size, .. } = self.element;
        if (kind, size) == (Kind::Unsigned, 1) {
            return Ok(Inputs::U8(self.bytes));
        }
        let value = |bits: u64| match (kind, size) {
            (Kind::Signed, _) => bits as i64 as f32,
            (Kind::Boolean | Kind::Unsigned, _) => bits as f32,
            (Kind::Float, 4) => f32::from_bits(bits as u32),
            (Kind::Float, _) => f64::from_bits(bits) as f32,
        };
        let values: Vec<f32> = self.bits().map(value).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => {
                let width = self.shape.iter().skip(1).product::<usize>().max(1);
                Err(format!("with {} in row {}, value {}", values[index], index / width, index % width))
            }
            None => Ok(Inputs::F32(values)),
        }
    }
}

/// Brings the elements of an array from Fortran order (first index fastest) into C order (last index fastest).
fn c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..bytes.len() / size {
        let at = index.iter().zip(shape).rev().fold(0, |at, (index, length)| at * length + index);
        ordered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for (index, length) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *length {
                break;
            }
            *index = 0;
        }
    }
    ordered
}
