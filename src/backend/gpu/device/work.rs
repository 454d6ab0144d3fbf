//! Work that is handed over and waited for, and results that are read back.

use std::ops::Range;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use super::Device;
use crate::error::{Error, Result};

/// Work handed over, to wait for.
pub type Submitted = (wgpu::SubmissionIndex, OneshotReceiver<()>);

/// Results that are on their way back.
pub struct Read {
    staging: wgpu::Buffer,
    /// Bytes of each part.
    sizes: Vec<usize>,
    submission: wgpu::SubmissionIndex,
    mapped: OneshotReceiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

/// `bytes` as values, which need not be aligned.
pub fn values<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

impl Device {
    /// Hands over a copy of one buffer into another of the same size.
    pub fn copy(&self, from: &wgpu::Buffer, to: &wgpu::Buffer) {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        self.queue.submit([encoder.finish()]);
    }

    /// Hands `commands` over. The receiver hears when they are done.
    pub fn submit(&self, commands: wgpu::CommandBuffer) -> Submitted {
        let index = self.queue.submit([commands]);
        let (sender, receiver) = oneshot_channel();
        self.queue.on_submitted_work_done(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(());
        });
        (index, receiver)
    }

    /// Waits for what [`Device::submit`] returned.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device failed meanwhile.
    pub async fn wait(&self, (index, done): Submitted) -> Result<()> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })?;
        self.check("running kernels")?;
        done.receive().await.ok_or_else(|| self.failed("running kernels", "the device was dropped while it ran"))
    }

    /// Hands over what was written to buffers, and waits until it is there: the memory that it was copied to is free again then.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub fn flush(&self) -> Result<()> {
        let index = self.queue.submit([]);
        self.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })
    }

    fn poll(&self, how: wgpu::PollType) -> Result<()> {
        let polled = self.device.poll(how);
        self.check("running kernels")?;
        polled.map(|_| ()).map_err(|error| self.failed("waiting", &error.to_string()))
    }

    /// That `what` failed, or that the device was lost meanwhile.
    fn failed(&self, what: &str, why: &str) -> Error {
        self.hear();
        match self.check(what) {
            Err(error) => error,
            Ok(()) => Error::Gpu(format!("{what}: {why} (adapter {})", self.info.name)),
        }
    }

    /// Reads the bytes of a range of each buffer.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub async fn read(&self, sources: &[(&wgpu::Buffer, Range<u64>)]) -> Result<Vec<Vec<u8>>> {
        self.finish_read(self.begin_read(sources)?).await
    }

    /// Hands over the reading of the bytes of a range of each buffer, as the work before leaves them.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there is no memory for it.
    pub fn begin_read(&self, sources: &[(&wgpu::Buffer, Range<u64>)]) -> Result<Read> {
        let length = |bytes: &Range<u64>| bytes.end - bytes.start;
        let total = sources.iter().map(|(_, bytes)| length(bytes)).sum();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.buffer("results read back", total, usage)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut at = 0;
        for (source, bytes) in sources {
            encoder.copy_buffer_to_buffer(source, bytes.start, &staging, at, length(bytes));
            at += length(bytes);
        }
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, mapped) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        Ok(Read {
            staging,
            sizes: sources.iter().map(|(_, bytes)| length(bytes) as usize).collect(),
            submission,
            mapped,
        })
    }

    /// What [`Device::begin_read`] began to read; work handed over later may still be under way.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device fails.
    pub async fn finish_read(&self, Read { staging, sizes, submission, mapped }: Read) -> Result<Vec<Vec<u8>>> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })?;
        let failed = |why: &str| self.failed("reading results back", why);
        match mapped.receive().await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(failed(&error.to_string())),
            None => return Err(failed("the device was dropped")),
        }
        let bytes = staging.get_mapped_range(..).map_err(|error| failed(&error.to_string()))?;
        let mut rest: &[u8] = &bytes;
        let part = |size| {
            let (part, after) = rest.split_at(size);
            rest = after;
            part.to_vec()
        };
        Ok(sizes.into_iter().map(part).collect())
    }
}
