// uses: batch
//
// Parameters lie member by member, `stride` values from one to the next, a multiple of 4; gradients entry by entry.

override stride: u32;

// Where the member's parameters begin.
fn own_parameters() -> u32 {
    return batch.member * stride;
}

// Where the entry's gradients begin.
fn own_gradients() -> u32 {
    return entry * stride;
}
