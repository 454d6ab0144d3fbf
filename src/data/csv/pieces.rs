//! The rows of a file, some at a time, each of which can be read by itself.

use super::blocks::{Block, Blocks};
#[cfg(feature = "columnar")]
use super::columnar::{Batch, Batches};
use super::parse::{Cells, Form, Ragged, parse};
use crate::error::Result;

/// The rows of a file.
pub(super) enum Pieces<'a> {
    /// Text.
    Text(Blocks<'a>),
    /// Columns.
    #[cfg(feature = "columnar")]
    Columns(Batches<'a>),
}

/// Some of them.
pub(super) enum Piece {
    Text(Block),
    #[cfg(feature = "columnar")]
    Columns(Batch),
}

impl Pieces<'_> {
    /// The next rows; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        Ok(match self {
            Self::Text(blocks) => blocks.next()?.map(Piece::Text),
            #[cfg(feature = "columnar")]
            Self::Columns(batches) => batches.next()?.map(Piece::Columns),
        })
    }
}

impl Piece {
    /// Reads the rows, or up to the first of another number of cells.
    pub(super) fn parse(&self, form: &Form<'_>) -> Result<Cells, Ragged> {
        match self {
            Self::Text(block) => parse(block, form),
            #[cfg(feature = "columnar")]
            Self::Columns(batch) => Ok(batch.parse(form)),
        }
    }
}
