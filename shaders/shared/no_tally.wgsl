// Training, and the prediction of numbers, note nothing of a row.

const TALLIES = false;

fn tally(base: u32, row: u32) -> f32 {
    return 0.0;
}
