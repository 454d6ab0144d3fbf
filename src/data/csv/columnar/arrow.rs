//! Arrow IPC: a stream of messages, or a file of messages with an index at its end. Each is read by itself, and nothing is asked
//! of memory because a length says so.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use ::arrow_array::RecordBatch;
use ::arrow_ipc::convert::try_fb_to_schema;
use ::arrow_ipc::reader::{FileDecoder, StreamDecoder};
use ::arrow_ipc::{Block, Message, root_as_footer, root_as_message};
use arrow_buffer::Buffer;

use super::{Found, Kind, Source, guarded, wanted};
use crate::error::{Error, Result};

/// The most bytes of a message's head, which says where its values lie, and of a file's index.
const LONGEST_HEAD: u64 = 1 << 28;
/// The most bytes that the values of a message are unpacked to.
const LONGEST_BODY: i64 = 1 << 32;
/// What stands before a message, and before the end, which is a message of length 0.
const MARK: [u8; 4] = [0xff; 4];
/// What a file begins with and ends with. Before the latter stands the length of its index, of 4 bytes.
const MAGIC: &[u8] = b"ARROW1";

/// The columns of a file or stream, and its rows with those that can be read. How many rows there are is not known.
///
/// # Errors
/// [`Error::Io`]. What is inside is what there is to say of a damaged file.
pub(super) fn open<'a>(source: Source<'a>, kind: Kind) -> Result<Result<Found<'a>, String>> {
    let mut bytes = source.bytes()?;
    let length = bytes.seek(SeekFrom::End(0)).and_then(|length| bytes.rewind().map(|()| length));
    let length = length.map_err(Error::io("read", source.path))?;
    let reader = BufReader::new(bytes);
    Ok(guarded(|| match kind {
        Kind::ArrowFile => file(reader, length),
        Kind::Parquet | Kind::ArrowStream => stream(reader),
    })
    .and_then(|opened| opened))
}

fn stream<'a>(reader: impl Read + Send + 'a) -> Result<Found<'a>, String> {
    let mut messages = Messages { reader, decoder: StreamDecoder::new(), rest: None, ended: false };
    let first = messages.next_batch()?;
    let schema = messages.decoder.schema().ok_or("it has no description of its columns")?;
    let kept = wanted(&schema);
    let batches = first.map(Ok).into_iter().chain(std::iter::from_fn(move || messages.next_batch().transpose()));
    let project = move |batch: RecordBatch| batch.project(&kept).map_err(|error| error.to_string());
    Ok((schema, Box::new(batches.map(move |batch| batch.and_then(&project))), None))
}

/// The messages of a stream.
struct Messages<R> {
    reader: R,
    decoder: StreamDecoder,
    /// What the decoder has not taken yet.
    rest: Option<Buffer>,
    ended: bool,
}

impl<R: Read> Messages<R> {
    /// The next batch; none at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            if let Some(mut buffer) = self.rest.take() {
                let batch = self.decoder.decode(&mut buffer).map_err(|error| error.to_string())?;
                self.rest = Some(buffer).filter(|buffer| !buffer.is_empty());
                if batch.is_some() {
                    return Ok(batch);
                }
            } else if self.ended {
                return Ok(None);
            } else {
                self.rest = Some(Buffer::from_vec(self.message()?));
            }
        }
    }

    /// The bytes of the next message, or of the end.
    fn message(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = some(&mut self.reader, 4)?;
        if bytes == MARK {
            bytes.extend(some(&mut self.reader, 4)?);
        }
        // A stream may end without a word.
        if bytes.is_empty() || bytes.ends_with(&[0; 4]) {
            self.ended = true;
            return Ok([MARK, [0; 4]].concat());
        }
        let length = bytes.last_chunk().map(|length| u64::from(u32::from_le_bytes(*length))).ok_or(CUT)?;
        bytes.extend(some(&mut self.reader, checked(length)?)?);
        let body = check(&bytes, |body| some(&mut self.reader, body))?;
        bytes.extend(body);
        Ok(bytes)
    }
}

fn file<'a>(mut reader: impl Read + Seek + Send + 'a, length: u64) -> Result<Found<'a>, String> {
    let tail = MAGIC.len() as u64 + 4;
    let end = length.checked_sub(tail).ok_or(CUT)?;
    let last = part(&mut reader, end, tail)?;
    let index = last.strip_suffix(MAGIC).and_then(|length| length.first_chunk()).ok_or(CUT)?;
    let index = checked(u64::from(u32::from_le_bytes(*index)))?;
    let index = part(&mut reader, end.checked_sub(index).ok_or(CUT)?, index)?;
    let footer = root_as_footer(&index).map_err(|error| error.to_string())?;
    let schema = footer.schema().ok_or("it has no description of its columns")?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err("its numbers are in another order of bytes than this machine's".into());
    }
    let schema = Arc::new(try_fb_to_schema(schema).map_err(|error| error.to_string())?);
    let decoder = FileDecoder::new(schema.clone(), footer.version()).with_projection(wanted(&schema));
    let mut blocks = Indexed { reader, decoder };
    for block in footer.dictionaries().iter().flatten() {
        let buffer = blocks.read(block)?;
        blocks.decoder.read_dictionary(block, &buffer).map_err(|error| error.to_string())?;
    }
    let batches: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
    let batches = batches.into_iter().filter_map(move |block| {
        let read = blocks.read(&block);
        let batch = read
            .and_then(|buffer| blocks.decoder.read_record_batch(&block, &buffer).map_err(|error| error.to_string()));
        batch.transpose()
    });
    Ok((schema, Box::new(batches), None))
}

/// The messages of a file.
struct Indexed<R> {
    reader: R,
    decoder: FileDecoder,
}

impl<R: Read + Seek> Indexed<R> {
    /// The bytes of a message, whose head and body are as long as the index says.
    fn read(&mut self, block: &Block) -> Result<Buffer, String> {
        let at = u64::try_from(block.offset()).map_err(|_| CUT)?;
        let head = checked(u64::try_from(block.metaDataLength()).map_err(|_| CUT)?)?;
        let mut bytes = part(&mut self.reader, at, head)?;
        let body = check(&bytes, |body| match i64::try_from(body) {
            Ok(body) if body == block.bodyLength() => some(&mut self.reader, body as u64),
            _ => Err("its index contradicts a message".into()),
        })?;
        bytes.extend(body);
        Ok(Buffer::from_vec(bytes))
    }
}

/// What is said of a file that was cut off.
const CUT: &str = "it ends before its end";

/// A length of what is no values.
fn checked(length: u64) -> Result<u64, String> {
    if length > LONGEST_HEAD { Err(format!("a head of {length} bytes")) } else { Ok(length) }
}

/// So many bytes, or what there is.
fn some(reader: &mut impl Read, bytes: u64) -> Result<Vec<u8>, String> {
    let mut found = Vec::new();
    reader.by_ref().take(bytes).read_to_end(&mut found).map_err(|error| error.to_string())?;
    Ok(found)
}

/// The bytes at a place.
fn part(reader: &mut (impl Read + Seek), at: u64, bytes: u64) -> Result<Vec<u8>, String> {
    reader.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
    let found = some(reader, bytes)?;
    if found.len() as u64 == bytes { Ok(found) } else { Err(CUT.into()) }
}

/// The body of a message with this head, as `read` reads so many bytes: whole, and with values that can be held when they are
/// unpacked.
fn check(head: &[u8], read: impl FnOnce(u64) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    let start = if head.starts_with(&MARK) { 8 } else { 4 };
    let message = root_as_message(head.get(start..).ok_or(CUT)?).map_err(|error| error.to_string())?;
    let length = u64::try_from(message.bodyLength()).map_err(|_| "a message of less than no bytes")?;
    let body = read(length)?;
    if body.len() as u64 != length {
        return Err(CUT.into());
    }
    let mut unpacked = 0i64;
    for start in packed(&message) {
        // Before the values stands how many bytes they are; -1 where they are not packed.
        let claimed = usize::try_from(start).ok().and_then(|start| body.get(start..)?.first_chunk());
        let claimed = claimed.ok_or("values that lie beyond their message")?;
        unpacked = unpacked.saturating_add(i64::from_le_bytes(*claimed).max(0));
    }
    match unpacked {
        0..=LONGEST_BODY => Ok(body),
        _ => Err(format!("values that claim to be {unpacked} bytes when they are unpacked")),
    }
}

/// Where the packed values of a message begin in its body.
fn packed(message: &Message<'_>) -> Vec<i64> {
    let dictionary = || message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let batch = message.header_as_record_batch().or_else(dictionary);
    let buffers = batch.filter(|batch| batch.compression().is_some()).and_then(|batch| batch.buffers());
    buffers.iter().flatten().filter(|buffer| buffer.length() > 0).map(|buffer| buffer.offset()).collect()
}
