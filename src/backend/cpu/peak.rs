//! What this machine can do at best on a team's threads: large products, and copies of memory beyond the caches.

use std::sync::Mutex;
use std::time::Instant;

use crate::backend::Peak;
use crate::backend::cpu::panels::{Layout, Left, Store, product};
use crate::backend::cpu::team::{Shared, Team};
use crate::backend::cpu::vector::{Aligned, Vectors};

/// Rows and columns of each thread's matrices.
const SIDE: usize = 512;
/// Values copied by all threads together: 64 MiB.
const VALUES: usize = 16 << 20;
/// Repetitions; the fastest counts.
const ROUNDS: usize = 6;

/// Measures both.
pub fn peak(team: &Team, vectors: Vectors) -> Peak {
    let threads = team.threads();
    let best = |work: &(dyn Fn(usize) + Sync)| {
        let rounds = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            team.run(|member| work(member.index));
            start.elapsed().as_secs_f64()
        });
        rounds.fold(f64::INFINITY, f64::min)
    };

    let layout = Layout::panels(SIDE, SIDE);
    let mut operand = Aligned::zeros(layout.len());
    operand.fill(0.5);
    let left = Left { values: &operand, layout, transposed: false };
    let results: Vec<_> = (0..threads).map(|_| Mutex::new(Aligned::zeros(layout.len()))).collect();
    let seconds = best(&|index| {
        if let Ok(mut result) = results[index].lock() {
            let to = Shared::new(&mut result);
            for part in layout.over(0..SIDE) {
                // SAFETY: nobody else has the result.
                unsafe { product(vectors, left, 0..SIDE, SIDE, &operand, &part, Store, (&to, layout)) };
            }
        }
    });
    let gflops = 2e-9 * threads as f64 * (SIDE as f64).powi(3) / seconds;

    let part = VALUES.div_ceil(threads);
    let source = vec![0.5_f32; VALUES];
    let mut copy = vec![0.0_f32; VALUES];
    let parts: Vec<_> = copy.chunks_mut(part).zip(source.chunks(part)).map(Mutex::new).collect();
    let seconds = best(&|index| {
        if let Some(Ok(mut part)) = parts.get(index).map(Mutex::lock) {
            let (to, from) = &mut *part;
            to.copy_from_slice(from);
        }
    });
    Peak { gflops, copy_gb_per_s: 2e-9 * (4 * VALUES) as f64 / seconds }
}
