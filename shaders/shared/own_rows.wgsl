// uses: batch
//
// What a dispatch makes of rows for the next one lies entry by entry, each with room for `room` rows.

override room: u32;

// Where the entry's rows begin, `width` values each.
fn own_rows(width: u32) -> u32 {
    return entry * room * width;
}
