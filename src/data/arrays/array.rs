//! One array: NumPy's format (.npy) is parsed here, because libraries for it overflow or panic on shapes that a damaged file may
//! have; IDX files are in [`super::idx`].

use std::io::Read;
use std::path::Path;

use half::f16;

use crate::data::Inputs;
use crate::error::{Error, Result};
use crate::memory;

/// The most bytes of an array that are read.
pub(in crate::data) const MAX_BYTES: usize = 4 << 30;
/// The most axes of an array, which NumPy has too.
const MAX_AXES: usize = 64;
/// The longest header that is read. NumPy writes some hundred bytes.
const MAX_HEADER: usize = 1 << 16;
/// How an array in NumPy's format begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The header of an array.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the header of the array `name`.
    fn read(path: &Path, name: &str, source: &mut impl Read) -> Result<Self> {
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let start = taken(path, name, source, 8)?;
        let length = match start.strip_prefix(MAGIC) {
            Some([1, _]) => taken(path, name, source, 2)?,
            Some([2 | 3, _]) => taken(path, name, source, 4)?,
            _ => {
                let found = format!("{name} that is no NumPy array of versions 1 to 3");
                return Err(bad(found, "one, as numpy.savez writes it"));
            }
        };
        let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
        if length > MAX_HEADER {
            return Err(bad(format!("{name} with a header of {length} bytes"), "one of a plain array"));
        }
        let header = taken(path, name, source, length)?;
        let text = String::from_utf8_lossy(&header);
        let plain = || bad(format!("{name} with the header {:?}", text.trim_end()), "one of a plain array");
        Self::parse(&text).ok_or_else(plain)
    }

    /// The type of the elements of the array `name`, which has this header, and the bytes of all of them.
    fn element_and_size(&self, path: &Path, name: &str) -> Result<(Element, usize)> {
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let Some(element) = Element::parse(&self.descr) else {
            let (what, help) = other_type(&self.descr);
            return Err(bad(format!("{name} of {what}"), help));
        };
        if self.shape.len() > MAX_AXES {
            return Err(bad(format!("{name} of {} axes", self.shape.len()), "at most 64"));
        }
        // An axis of length 0 hides how long the others are.
        let count = self.shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n.max(1)));
        let size = count.and_then(|count| count.checked_mul(element.size)).filter(|&size| size <= MAX_BYTES);
        let Some(size) = size else {
            return Err(bad(format!("{name} of shape {:?}", self.shape), "at most 4 GiB"));
        };
        Ok((element, if self.shape.contains(&0) { 0 } else { size }))
    }

    /// Parses a Python dictionary such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`. The fields of a record,
    /// `[('a', '<f4'), ...]`, stand in `descr` as they are.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let descr = value("descr")?;
        let descr = match descr.strip_prefix('\'') {
            Some(name) => name.split_once('\'')?.0,
            None => descr.strip_prefix('[').and(descr.split_once(']'))?.0,
        };
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

/// At most so many bytes of the array `name`.
fn taken(path: &Path, name: &str, source: &mut impl Read, bytes: usize) -> Result<Vec<u8>> {
    let mut taken = Vec::with_capacity(bytes);
    let damaged = |error| Error::file(path, format!("a damaged {name} ({error})"), "a whole NumPy array");
    source.take(bytes as u64).read_to_end(&mut taken).map_err(damaged)?;
    Ok(taken)
}

/// The kind of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) enum Kind {
    Boolean,
    Signed,
    Unsigned,
    Float,
    /// Text of one byte per character, with zeros after its end.
    Bytes,
    /// Text of four bytes per character, with zeros after its end.
    Text,
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) struct Element {
    pub(in crate::data) kind: Kind,
    /// Bytes of an element.
    pub(in crate::data) size: usize,
    pub(in crate::data) big_endian: bool,
}

impl Element {
    /// Parses NumPy's name of a type, such as `<f4`.
    fn parse(descr: &str) -> Option<Self> {
        let (order, name) = descr.split_at_checked(1)?;
        let (kind, size) = name.split_at_checked(1)?;
        let size: usize = size.parse().ok().filter(|size| (1..=1 << 16).contains(size))?;
        let (kind, size) = match (kind, size) {
            ("b", 1) => (Kind::Boolean, 1),
            ("u", 1 | 2 | 4 | 8) => (Kind::Unsigned, size),
            ("i", 1 | 2 | 4 | 8) => (Kind::Signed, size),
            ("f", 2 | 4 | 8) => (Kind::Float, size),
            ("S", _) => (Kind::Bytes, size),
            ("U", _) => (Kind::Text, 4 * size),
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

    /// The number with these bits, but for whole numbers.
    fn float(self, bits: u64) -> f64 {
        match self.size {
            2 => f16::from_bits(bits as u16).to_f64(),
            4 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        }
    }

    /// The text in an element, without the zeros after its end.
    fn text(self, bytes: &[u8]) -> String {
        let text: String = match self.kind {
            Kind::Text => {
                let character = |bytes: &[u8]| {
                    let array = bytes.try_into().unwrap_or_default();
                    let code = if self.big_endian { u32::from_be_bytes(array) } else { u32::from_le_bytes(array) };
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                };
                bytes.chunks_exact(4).map(character).collect()
            }
            // What is no UTF-8 is of an older encoding; of these, Latin-1 has a character for each byte.
            _ => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
            },
        };
        text.trim_end_matches('\0').to_owned()
    }
}

/// What elements are that are neither numbers nor text, and what helps.
fn other_type(descr: &str) -> (String, &'static str) {
    let name = descr.trim_start_matches(['<', '>', '|', '=']);
    match name.chars().next() {
        Some('O') => ("Python objects".into(), "numbers or text: save x.astype(float), or labels.astype(str)"),
        Some('M' | 'm') => ("dates or times".into(), "numbers: save x.astype('datetime64[s]').astype('int64')"),
        Some('c') => ("complex numbers".into(), "real numbers"),
        Some('f') => ("floats of more than 64 bits".into(), "others: save x.astype('float64')"),
        Some('[') => {
            let help = "a plain array: save numpy.lib.recfunctions.structured_to_unstructured(x)";
            ("records of several fields".into(), help)
        }
        _ => (format!("type {descr}"), "integers, floats, booleans or text"),
    }
}

/// An array in C order.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(in crate::data) element: Element,
    pub(in crate::data) bytes: Vec<u8>,
}

impl Array {
    /// Reads the array `name` in NumPy's format, of the archive at `path`, from `source`.
    ///
    /// # Errors
    /// [`Error::File`] for an array that is damaged, too large, or of a type that holds neither numbers nor text.
    pub(crate) fn read(path: &Path, name: &str, mut source: impl Read) -> Result<Self> {
        let bad = |found: String, expected: &str| Error::file(path, found, expected);
        let header = Header::read(path, name, &mut source)?;
        let (element, size) = header.element_and_size(path, name)?;
        memory::check(size as u64, || format!("the array {name} of {}", path.display()))?;
        // One byte more than the header promises: to see whether there is one, and to make the archive check its checksum.
        let mut bytes = taken(path, name, &mut source, size + 1)?;
        if bytes.len() != size {
            let found = if bytes.len() > size { "more".into() } else { bytes.len().to_string() };
            return Err(bad(format!("{found} bytes in {name}"), &format!("{size}, for its shape {:?}", header.shape)));
        }
        if header.fortran_order {
            bytes = c_order(&bytes, &header.shape, element.size);
        }
        Ok(Self { shape: header.shape, element, bytes })
    }

    /// The shape of the array `name` alone.
    ///
    /// # Errors
    /// Those of [`Array::read`] that its header shows.
    pub(super) fn shape_of(path: &Path, name: &str, mut source: impl Read) -> Result<Vec<usize>> {
        let header = Header::read(path, name, &mut source)?;
        header.element_and_size(path, name)?;
        Ok(header.shape)
    }

    /// Each element.
    fn elements(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.element.size)
    }

    /// Whether the elements are floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        self.element.kind == Kind::Float
    }

    /// Whether the elements are numbers or booleans.
    pub(super) fn is_number(&self) -> bool {
        !matches!(self.element.kind, Kind::Bytes | Kind::Text)
    }

    /// The elements as text: numbers in decimal, booleans as Python writes them.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let element = self.element;
        let text = move |bytes: &[u8]| match element.kind {
            Kind::Bytes | Kind::Text => element.text(bytes),
            Kind::Signed => (element.bits(bytes) as i64).to_string(),
            Kind::Unsigned => element.bits(bytes).to_string(),
            Kind::Boolean if element.bits(bytes) == 0 => "False".into(),
            Kind::Boolean => "True".into(),
            Kind::Float if element.size == 8 => format!("{:?}", element.float(element.bits(bytes))),
            // The shortest decimal that is this number in its own precision, and not in a wider one.
            Kind::Float => format!("{:?}", element.float(element.bits(bytes)) as f32),
        };
        self.elements().map(text)
    }

    /// The elements as numbers.
    ///
    /// # Errors
    /// A text that says that they are none.
    pub(super) fn numbers(&self) -> Result<impl Iterator<Item = f64>, String> {
        let element = self.element;
        let value = move |bytes: &[u8]| match element.kind {
            Kind::Signed => element.bits(bytes) as i64 as f64,
            Kind::Float => element.float(element.bits(bytes)),
            _ => element.bits(bytes) as f64,
        };
        if self.is_number() { Ok(self.elements().map(value)) } else { Err("of text".into()) }
    }

    /// The elements as inputs. Bytes stay bytes.
    ///
    /// # Errors
    /// A text that names the first element that float32 cannot hold.
    pub(crate) fn inputs(self) -> Result<Inputs, String> {
        if (self.element.kind, self.element.size) == (Kind::Unsigned, 1) {
            return Ok(Inputs::U8(self.bytes));
        }
        let values: Vec<f32> = self.numbers()?.map(|value| value as f32).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => {
                let width = self.shape.iter().skip(1).product::<usize>().max(1);
                Err(format!("with {} in row {}, value {}", values[index], index / width, index % width))
            }
            None => Ok(Inputs::F32(values)),
        }
    }

    /// The same with its axes in the order `axes`.
    pub(super) fn transposed(self, axes: &[usize]) -> Self {
        let shape: Vec<usize> = axes.iter().map(|axis| self.shape[*axis]).collect();
        // How far apart in the old order neighbours along each new axis are.
        let stride = |axis: &usize| self.shape[axis + 1..].iter().product::<usize>();
        let strides: Vec<usize> = axes.iter().map(stride).collect();
        let bytes = gathered(&self.bytes, &shape, &strides, self.element.size);
        Self { shape, bytes, ..self }
    }
}

/// Brings the elements of an array from Fortran order (first index fastest) into C order (last index fastest).
fn c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[..axis].iter().product()).collect();
    gathered(bytes, shape, &strides, size)
}

/// The elements of an array of `shape` whose neighbours along each axis are `strides` elements apart, in C order.
fn gathered(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let (mut index, mut at) = (vec![0; shape.len()], 0);
    for _ in 0..bytes.len() / size {
        ordered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for ((index, length), stride) in index.iter_mut().zip(shape).zip(strides).rev() {
            (*index, at) = (*index + 1, at + stride);
            if *index < *length {
                break;
            }
            (*index, at) = (0, at - length * stride);
        }
    }
    ordered
}
