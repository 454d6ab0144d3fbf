//! Dropout of vectors, as its twin to the bit.

use pulp::Simd;

use super::activation::Block;
use super::{LANES, Vectors, lanes, read, vectorize, vectorize_wide, write};
use crate::backend::cpu::dropout::Dropout;
use crate::backend::cpu::team::Shared;

/// The first whole numbers: as many as the longest vector has values.
static COUNT: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Drops outputs in a block of `h`, or passes gradients through.
///
/// # Safety
/// Nobody else touches the block of `h` until the next barrier.
pub unsafe fn dropout(vectors: Vectors, dropout: Dropout, block: Block, h: &Shared<f32>) {
    let narrow = block.part.columns.len() == LANES;
    let task = Task { dropout, block, h };
    // SAFETY, of both: as the caller promises.
    if narrow {
        // SAFETY: as the caller promises.
        vectorize!(vectors, |simd| unsafe { task.run(simd) });
    } else {
        // SAFETY: as the caller promises.
        vectorize_wide!(vectors, |simd| unsafe { task.run(simd) });
    }
}

struct Task<'a> {
    dropout: Dropout,
    block: Block<'a>,
    h: &'a Shared<'a, f32>,
}

impl Task<'_> {
    /// # Safety
    /// As [`dropout`].
    #[inline(always)]
    unsafe fn run<S: Simd>(self, simd: S) {
        let Self { dropout, block, h } = self;
        let (scale, threshold) = (simd.splat_f32s(dropout.scale), simd.splat_u32s(dropout.threshold));
        // SAFETY: the longest vector has as many values.
        let count = simd.transmute_u32s_f32s(unsafe { read(simd, bytemuck::cast_slice(&COUNT), 0) });
        for (row, place) in block.rows.clone().zip(block.places()) {
            let row = simd.splat_u32s(dropout.row(row as u32));
            // SAFETY: as the caller promises.
            let h = unsafe { h.part_mut(place) };
            let units = (block.part.columns.start..).step_by(lanes::<S>());
            for (h, unit) in h.chunks_exact_mut(lanes::<S>()).zip(units) {
                let unit = simd.add_u32s(simd.splat_u32s(unit as u32), count);
                let hash = mix(simd, simd.xor_u32s(row, unit));
                let dropped = simd.greater_than_u32s(threshold, hash);
                // SAFETY: one vector long.
                let kept = simd.mul_f32s(unsafe { read(simd, h, 0) }, scale);
                write(simd, h, simd.select_f32s(dropped, simd.splat_f32s(0.0), kept));
            }
        }
    }
}

/// The twin's mix.
#[inline(always)]
fn mix<S: Simd>(simd: S, x: S::u32s) -> S::u32s {
    let shifted = |x, by| simd.xor_u32s(x, simd.wrapping_dyn_shr_u32s(x, simd.splat_u32s(by)));
    let x = simd.mul_u32s(shifted(x, 16), simd.splat_u32s(0x7feb_352d));
    let x = simd.mul_u32s(shifted(x, 15), simd.splat_u32s(0x846c_a68b));
    shifted(x, 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::dropout as twin;
    use crate::backend::cpu::panels::Part;
    use crate::backend::cpu::vector::Aligned;

    #[test]
    fn vectors_drop_what_the_twin_drops() {
        let drop = Dropout::new(3, 1 << 33, 2, 0.4);
        for vectors in Vectors::all() {
            for width in [8, 64, 48] {
                let mut h = Aligned::zeros(9 * width);
                h.iter_mut().enumerate().for_each(|(index, h)| *h = index as f32 - 100.0);
                let mut expected = h.clone();
                twin::dropout(drop, 0, width, &mut expected);
                let part = Part { columns: 0..width, start: 0, width };
                // SAFETY: nobody else has it.
                unsafe { dropout(vectors, drop, Block { rows: 0..9, part: &part }, &Shared::new(&mut h)) };
                assert_eq!(h[..], expected[..], "{vectors:?} {width}");
                assert!(h.contains(&0.0) && h.iter().any(|&h| h != 0.0));
            }
        }
    }
}
