//! How long each kernel of a plan runs, by the device's own clock.

use crate::backend::KernelTime;
use crate::backend::gpu::device::{Device, values};
use crate::backend::gpu::submit::{Entries, Ready, Table, Work};
use crate::error::Result;

/// Passes whose time is taken in one submission: two timestamps each, of the 4096 that every device has.
pub(super) const PASSES: usize = 2048;

/// Measures every launch by the device's own clock.
pub(super) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Nanoseconds a tick.
    period: f64,
    pub(super) times: Vec<KernelTime>,
}

impl Timer {
    /// None where the device has no such clock.
    pub(super) fn new(device: &Device) -> Result<Option<Self>> {
        if !device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let count = 2 * PASSES as u32;
        let descriptor = wgpu::QuerySetDescriptor { label: Some("timer"), ty: wgpu::QueryType::Timestamp, count };
        let queries = device.device.create_query_set(&descriptor);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = device.buffer("timestamps", 8 * u64::from(count), usage)?;
        let period = f64::from(device.queue.get_timestamp_period());
        Ok(Some(Self { queries, resolved, period, times: Vec::new() }))
    }

    /// Where pass number `pass` of a submission writes the time at both of its ends.
    pub(super) fn ends(&self, pass: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * pass),
            end_of_pass_write_index: Some(2 * pass + 1),
        }
    }

    /// Ends a submission of so many passes, after which [`Timer::read`] has their times.
    pub(super) fn finish(&self, mut encoder: wgpu::CommandEncoder, passes: u32) -> wgpu::CommandBuffer {
        encoder.resolve_query_set(&self.queries, 0..2 * passes, &self.resolved, 0);
        encoder.finish()
    }

    /// Seconds of each of the passes of the last submission.
    pub(super) async fn read(&self, device: &Device, passes: u32) -> Result<Vec<f64>> {
        let bytes = device.read(&[(&self.resolved, 0..16 * u64::from(passes))]).await?.concat();
        let seconds = |ends: &[u64]| ends[1].saturating_sub(ends[0]) as f64 * self.period * 1e-9;
        Ok(values::<u64>(&bytes).chunks_exact(2).map(seconds).collect())
    }

    /// Runs `work` for each of `steps`, each launch in a pass of its own. What leads is not counted.
    pub(super) async fn run(
        &mut self,
        device: &Device,
        table: &Table,
        work: Work<'_>,
        steps: &[Entries],
    ) -> Result<()> {
        table.write(device, steps);
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut passes = 0;
        for (slot, entries) in steps.iter().enumerate() {
            for ready in work.of(slot) {
                let timestamp_writes = Some(self.ends(passes));
                let mut pass =
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
                ready.encode(&mut pass, table, slot, entries.len());
                passes += 1;
            }
        }
        device.wait(device.submit(self.finish(encoder, passes))).await?;
        let seconds = self.read(device, passes).await?;
        if self.times.is_empty() {
            let time = |ready: &Ready| KernelTime { kernel: ready.label.clone(), launches: 0, seconds: 0.0 };
            self.times = work.each.iter().map(time).collect();
        }
        for (pass, seconds) in seconds.into_iter().skip(work.lead.len()).enumerate() {
            let time = &mut self.times[pass % work.each.len()];
            time.launches += 1;
            time.seconds += seconds;
        }
        Ok(())
    }
}
