//! Parquet files.

use std::fs::File;

use ::arrow_schema::{Schema, SchemaRef};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::reader::ChunkReader;
use bytes::Bytes;

use super::{PIECE, Reading, Source, guarded};
use crate::error::{Error, Result};

/// The columns of a file, its rows with those that `wanted` says, and how many there are as the file says.
///
/// # Errors
/// [`Error::Io`]. What is inside is the reader's word on a damaged file.
#[allow(clippy::type_complexity)]
pub(super) fn open<'a>(
    source: Source<'a>,
    wanted: fn(&Schema) -> Vec<usize>,
) -> Result<Result<(SchemaRef, Reading<'a>, Option<u64>), String>> {
    match source.content {
        Some(content) => Ok(read(Bytes::copy_from_slice(content), wanted)),
        None => Ok(read(File::open(source.path).map_err(Error::io("read", source.path))?, wanted)),
    }
}

fn read<'a>(
    file: impl ChunkReader + 'static,
    wanted: fn(&Schema) -> Vec<usize>,
) -> Result<(SchemaRef, Reading<'a>, Option<u64>), String> {
    guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let schema = builder.schema().clone();
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(u64::MAX);
        let kept = wanted(&schema);
        let mask = ProjectionMask::roots(builder.parquet_schema(), kept.iter().copied());
        let most = (PIECE / kept.len().max(1)).clamp(64, 1 << 16);
        let reader = builder.with_batch_size(most).with_projection(mask).build()?;
        let reading: Reading<'a> = Box::new(reader.map(|batch| batch.map_err(|error| error.to_string())));
        Ok((schema, reading, Some(rows)))
    })
    .and_then(|opened| opened.map_err(|error: ::parquet::errors::ParquetError| error.to_string()))
}
