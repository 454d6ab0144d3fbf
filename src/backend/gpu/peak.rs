//! What the device can do at best: a large product and a large copy.

use crate::backend::Peak;
use crate::backend::gpu::engine::Engine;
use crate::backend::gpu::launch::Within;
use crate::backend::gpu::launch::dense::{Dense, Product, Source, dense};
use crate::backend::gpu::submit::{Batch, submit};
use crate::error::Result;
use crate::model::Activation;

/// Rows and columns of the matrices, and bytes of the copy: on a GPU, and on a software driver.
const HARDWARE: (usize, u64) = (4096, 256 << 20);
const SOFTWARE: (usize, u64) = (512, 32 << 20);
/// Repetitions; the fastest counts.
const ROUNDS: usize = 4;
/// Copies in a row whose time is taken.
const COPIES: usize = 4;

impl Engine {
    /// What [`crate::backend::Measure::peak`] tells.
    pub(super) async fn measure_peak(&mut self) -> Result<Peak> {
        let device = self.device().clone();
        let (side, bytes) = if device.hardware.software { SOFTWARE } else { HARDWARE };
        let (store, table) = self.table();
        let square = |name| device.storage(name, 4 * (side * side + side) as u64);
        let (a, b, c) = (square("left operand")?, square("right operand")?, square("product")?);
        let bound = [("a", &a), ("a4", &a), ("b", &b), ("b4", &b), ("order", &a), ("h", &b), ("c", &c)];
        let layer = Dense {
            inputs: side,
            outputs: side,
            weights: Within { offset: 0, stride: 0 },
            source: Source::Activations,
        };
        let mut ways = dense(Product::Forward(Activation::Identity, None), layer, side, &device.hardware);
        if device.hardware.software {
            ways.truncate(1);
        }
        let entries = vec![Batch::of_rows(0, 0, side, 0)];
        let mut product = f64::INFINITY;
        for way in &ways {
            let ready = [store.ready(way, &bound, table)?];
            for _ in 0..ROUNDS {
                let start = self.now();
                device.wait(submit(&device, table, &ready, std::slice::from_ref(&entries), None)?).await?;
                product = product.min((self.now() - start).as_secs_f64());
            }
        }
        drop((a, b, c));

        let bytes = bytes.min(device.limits.max_buffer_size);
        let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let (from, to) = (device.buffer("source", bytes, usage)?, device.buffer("copy", bytes, usage)?);
        // What one takes beside others: handing it over is no part of the rate.
        let mut copies = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            for (count, best) in [1, 1 + COPIES].into_iter().zip(&mut copies) {
                let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                for _ in 0..count {
                    encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes);
                }
                let start = self.now();
                device.wait(device.submit(encoder.finish())).await?;
                *best = best.min((self.now() - start).as_secs_f64());
            }
        }
        let [one, all] = copies;
        let copy = if all > one { (all - one) / COPIES as f64 } else { all / (1 + COPIES) as f64 };
        Ok(Peak { gflops: 2e-9 * (side as f64).powi(3) / product, copy_gb_per_s: 2e-9 * bytes as f64 / copy })
    }
}
