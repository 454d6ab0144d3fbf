//! The kernels that do many steps of each member in one dispatch.

use super::Launch;
use super::narrow::Narrow;
use crate::backend::gpu::hardware::Hardware;
use crate::backend::gpu::kernels::{RESIDENT, RESIDENT_SLICED, RESIDENT_SUBGROUP};
use crate::backend::gpu::link::Link;
use crate::backend::gpu::submit::Batch;

/// The widest hidden layer.
pub const MAX_HIDDEN: usize = 16;
/// Invocations of `resident`, and the most rows of a batch.
pub const LANES: usize = 256;

/// Vectors that keep what the activation's slope needs beside its output.
fn kept_vectors(shape: Narrow, batch_size: usize, link: Link) -> usize {
    if link.activation.saves_input() { batch_size * shape.hidden.div_ceil(4) } else { 1 }
}

/// Bytes of workgroup memory that `resident` needs.
pub fn workgroup_bytes(shape: Narrow, batch_size: usize, link: Link) -> usize {
    let padded = shape.hidden.next_multiple_of(4);
    let rest = shape.hidden + shape.hidden * shape.classes + shape.classes;
    4 * (shape.inputs * padded
        + rest
        + batch_size * (2 * padded + shape.classes)
        + 4 * kept_vectors(shape, batch_size, link))
}

/// Rounds that the loops of an invocation make together in one step, at most, whichever the way: as if none were unrolled.
pub fn rounds(shape: Narrow, batch_size: usize) -> usize {
    let Narrow { inputs, hidden, classes, .. } = shape;
    let (vectors, rest) = (hidden.div_ceil(4), hidden + hidden * classes + classes);
    let parts = LANES / batch_size;
    let span = inputs.div_ceil(4 * parts);
    let backward = 2 * classes * (hidden + 4) + 16;
    let turns = (parts + 1) * (1 + 6 * vectors);
    let one_each = span * (5 + 4 * vectors)
        + turns
        + backward
        + inputs.div_ceil(4 * LANES) * (batch_size * (1 + 5 * vectors) + 4 + 4 * vectors)
        + rest.div_ceil(LANES) * (batch_size + 1);
    let shared = batch_size.div_ceil(32) * hidden.div_ceil(8) * (parts * (span + 1) + 1 + 8 * vectors)
        + batch_size.div_ceil(8) * (backward + 1)
        + inputs.div_ceil(64) * (1 + hidden.div_ceil(8) * (batch_size + 1))
        + rest.div_ceil(8) * (batch_size + 1);
    one_each.max(shared)
}

/// How `resident_sliced` divides the inputs and the rows.
struct Sliced {
    lanes: usize,
    group_rows: usize,
    slices: usize,
    /// Whether 32 invocations have all slices of some rows.
    in_waves: bool,
    row_slices: usize,
    rows_each: usize,
    /// Bytes of workgroup memory.
    bytes: usize,
}

/// Vectors of sums that its invocations keep, neighbours that add them up, and rows whose inputs it loads together.
const EIGHT: usize = 8;
/// Invocations of `resident_sliced`, most first.
const SLICED_LANES: [usize; 2] = [512, 256];
/// Products of inputs and weights in a step, padded, up to which one workgroup is quick: the notebook has 401,408.
const QUICK_PRODUCTS: usize = 512 * 1024;
/// Invocations that share a subgroup on most GPUs.
const WAVE: usize = 32;
/// Units or values that one of its invocations has, at most.
const SLICED_TURNS: usize = 8;
/// Slices of the rows, at most: each but the first costs two barriers.
const ROW_SLICES: usize = 4;

impl Sliced {
    /// By so many invocations; none where they have too little to do or too much.
    fn new(shape: Narrow, batch_size: usize, lanes: usize, hardware: &Hardware) -> Option<Self> {
        let Narrow { inputs, hidden, classes, .. } = shape;
        let vectors = hidden.div_ceil(4);
        let group_rows = EIGHT / vectors.next_power_of_two();
        let words = inputs.div_ceil(4);
        let fitting = lanes / batch_size.div_ceil(group_rows) / EIGHT * EIGHT;
        let row_lanes = WAVE / group_rows;
        let in_waves = hardware.subgroup as usize >= WAVE && fitting >= WAVE && classes <= SLICED_TURNS * row_lanes;
        let slices = if in_waves { WAVE } else { fitting.min(words.next_multiple_of(EIGHT)) };
        let row_slices = (lanes / words).clamp(1, ROW_SLICES).min(batch_size.div_ceil(EIGHT));
        let rows_each = batch_size.div_ceil(row_slices).next_multiple_of(EIGHT);
        let padded_rows = row_slices * rows_each;
        let (units, values) = (padded_rows * 4 * vectors, batch_size * classes);
        let fits = slices > 0 && padded_rows <= lanes && units.max(values) <= SLICED_TURNS * lanes;
        let rest = hidden + hidden * classes + classes;
        let vectors_each = 4 * vectors * words + 2 * padded_rows * vectors + 1 + if in_waves { 1 } else { lanes };
        let bytes = 16 * vectors_each + 4 * (rest + 2 * values + 2 * padded_rows) + size_of::<Batch>();
        fits.then_some(Self { lanes, group_rows, slices, in_waves, row_slices, rows_each, bytes })
    }

    /// Those that `hardware` can run, by most invocations first.
    fn ways(shape: Narrow, batch_size: usize, hardware: &Hardware) -> impl Iterator<Item = Self> {
        let can = hardware.subgroup as usize >= EIGHT && !hardware.software;
        let lanes = SLICED_LANES.into_iter().filter(move |&lanes| can && lanes <= hardware.invocations as usize);
        let sliced = lanes.filter_map(move |lanes| Self::new(shape, batch_size, lanes, hardware));
        sliced.filter(|sliced| sliced.bytes <= hardware.workgroup_bytes as usize)
    }
}

/// Whether one workgroup makes a step nearly as fast as the dispatch of the plan `ahead`, which is bound by launches; members of a pack
/// have a processor each. Not where the optimizer has slots: reading and writing them takes a workgroup longer than all else. Nor
/// where rows of many inputs are not whole words. Rows of many floats are slow, too, but what the data are is not known here.
pub fn is_quick(shape: Narrow, batch_size: usize, link: Link, hardware: &Hardware) -> bool {
    let products = batch_size * shape.inputs * shape.hidden.next_multiple_of(4);
    let is_loaded_in_time = shape.inputs <= 4 * WAVE || shape.inputs.is_multiple_of(4);
    let fits = products <= QUICK_PRODUCTS && is_loaded_in_time && link.optimizer.slots() == 0;
    fits && Sliced::ways(shape, batch_size, hardware).next().is_some_and(|sliced| sliced.in_waves)
}

/// `resident`, `resident_sliced` or `resident_subgroup` with batches of `batch_size` rows: the ways, the one to take untuned first.
pub fn resident(shape: Narrow, batch_size: usize, link: Link, hardware: &Hardware) -> Vec<Launch> {
    let what = format!("steps {shape}, batches of {batch_size} rows");
    let way = |kernel, lanes: usize, own: &[(&'static str, usize)]| {
        let own = [("batch_size", batch_size), ("lanes", lanes)].into_iter().chain(own.iter().copied());
        let shared = shape.constants().into_iter().filter(|(name, _)| !["w1", "b1"].contains(name));
        let launch = Launch::new(kernel, &shared.chain(own).collect::<Vec<_>>(), [1, 1]);
        let launch = launch.with(&what, format!("{lanes} invocations"));
        let work = shape.step_work(batch_size, link.optimizer);
        launch.activation(link.activation).head(link.head).optimizer(link.optimizer).work(work)
    };
    let mut ways = Vec::new();
    ways.extend(Sliced::ways(shape, batch_size, hardware).map(|sliced| {
        let Sliced { lanes, group_rows, slices, in_waves, row_slices, rows_each, .. } = sliced;
        let own = [
            ("parts", 1),
            ("kept_vectors", 1),
            ("row_vectors", row_slices * rows_each * shape.hidden.div_ceil(4)),
            ("group_rows", group_rows),
            ("slices", slices),
            ("in_waves", usize::from(in_waves)),
            ("partials_vectors", if in_waves { 1 } else { lanes }),
            ("row_slices", row_slices),
            ("rows_each", rows_each),
        ];
        way(&RESIDENT_SLICED, lanes, &own)
    }));
    // These sum in the same order.
    let own = [("parts", LANES / batch_size), ("kept_vectors", kept_vectors(shape, batch_size, link))];
    if hardware.software && hardware.subgroup >= 8 {
        ways.push(way(&RESIDENT_SUBGROUP, 8, &own));
    }
    ways.push(way(&RESIDENT, LANES, &own));
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_in_slices_is_taken_where_it_fits() {
        let first = |inputs, hidden, batch_size, hardware: &Hardware| {
            let shape = Narrow { inputs, hidden, classes: 10, floats: false };
            resident(shape, batch_size, Link::default(), hardware).swap_remove(0)
        };
        let roomy = Hardware { subgroup: 32, workgroup_bytes: 49_152, invocations: 1024, ..Hardware::GPU };
        let launch = first(784, 7, 64, &roomy);
        assert_eq!((launch.kernel, launch.constant("lanes")), (&RESIDENT_SLICED, Some(512.0)));
        let launch = first(784, 7, 64, &Hardware { invocations: 256, ..roomy.clone() });
        assert_eq!((launch.kernel, launch.constant("lanes")), (&RESIDENT_SLICED, Some(256.0)));
        for (least, is_slices) in [
            (Hardware { workgroup_bytes: 32_768, ..roomy.clone() }, false),
            (Hardware { subgroup: 4, ..roomy.clone() }, false),
            (Hardware { software: true, ..roomy.clone() }, false),
            (roomy, true),
        ] {
            assert_eq!(first(784, 7, 64, &least).kernel == &RESIDENT_SLICED, is_slices);
        }
    }

    #[test]
    fn slices_leave_no_row_no_input_and_no_value_out() {
        let (plain, waves) = (Hardware::GPU, Hardware { subgroup: 32, ..Hardware::GPU });
        let mut in_waves = 0;
        for (lanes, hardware) in SLICED_LANES.into_iter().flat_map(|lanes| [(lanes, &plain), (lanes, &waves)]) {
            for (inputs, hidden, classes, batch_size) in [
                (1, 1, 1, 1),
                (784, 7, 10, 64),
                (20, 16, 64, 32),
                (3000, 3, 2, 256),
                (9, 5, 3, 200),
                (9, 5, 3, 33),
                (784, 16, 10, 256),
            ] {
                let shape = Narrow { inputs, hidden, classes, floats: true };
                let Some(sliced) = Sliced::new(shape, batch_size, lanes, hardware) else { continue };
                let Sliced { group_rows, slices, row_slices, rows_each, .. } = sliced;
                if sliced.in_waves {
                    in_waves += 1;
                    assert!(slices == WAVE && classes <= SLICED_TURNS * WAVE / group_rows, "{shape}");
                }
                let padded_rows = row_slices * rows_each;
                assert!(slices % EIGHT == 0 && rows_each % EIGHT == 0, "{shape}");
                assert!(batch_size.div_ceil(group_rows) * slices <= lanes, "{shape}");
                assert!(padded_rows >= batch_size.next_multiple_of(group_rows) && padded_rows <= lanes, "{shape}");
                assert!(row_slices == 1 || row_slices * inputs.div_ceil(4) <= lanes, "{shape}");
                assert!(
                    (padded_rows * 4 * hidden.div_ceil(4)).max(batch_size * classes) <= SLICED_TURNS * lanes,
                    "{shape}"
                );
            }
        }
        assert!(in_waves > 4, "{in_waves}");
        assert!(
            Sliced::new(Narrow { inputs: 784, hidden: 16, classes: 10, floats: true }, 256, 256, &Hardware::GPU)
                .is_none()
        );
    }
}
