//! Parquet files.

use std::fs::File;

use ::arrow_schema::Schema;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::reader::ChunkReader;
use bytes::Bytes;

use super::{Found, Reading, Source, guarded, rows_of_piece};
use crate::error::{Error, Result};

/// The columns of a file, its rows with those that `wanted` says, and how many there are as the file says.
///
/// # Errors
/// [`Error::Io`]. What is inside is the reader's word on a damaged file.
pub(super) fn open<'a>(source: Source<'a>, wanted: fn(&Schema) -> Vec<usize>) -> Result<Result<Found<'a>, String>> {
    match source.content {
        Some(content) => Ok(read(Bytes::copy_from_slice(content), wanted)),
        None => Ok(read(File::open(source.path).map_err(Error::io("read", source.path))?, wanted)),
    }
}

fn read<'a>(file: impl ChunkReader + 'static, wanted: fn(&Schema) -> Vec<usize>) -> Result<Found<'a>, String> {
    guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let schema = builder.schema().clone();
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(u64::MAX);
        let kept = wanted(&schema);
        let mask = ProjectionMask::roots(builder.parquet_schema(), kept.iter().copied());
        let reader = builder.with_batch_size(rows_of_piece(kept.len())).with_projection(mask).build()?;
        let reading: Reading<'a> = Box::new(reader.map(|batch| batch.map_err(|error| error.to_string())));
        Ok((schema, reading, Some(rows)))
    })
    .and_then(|opened| opened.map_err(|error: ::parquet::errors::ParquetError| error.to_string()))
}
