// uses: batch
//
// The rows of a batch, by their numbers in the data set: `order` lists them, batch after batch.

@group(0) @binding(1) var<storage, read> order: array<u32>;

// The number of the batch's row `row`.
fn data_row(row: u32) -> u32 {
    return order[batch.first + row];
}

// The same, where there may be fewer rows: those beyond the batch repeat its last.
fn data_row_or_last(row: u32) -> u32 {
    return data_row(min(row, batch.rows - 1u));
}
