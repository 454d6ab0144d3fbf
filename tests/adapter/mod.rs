//! The GPU adapter that tests run on. Where there is none they say so and check nothing; with MLP_GPU_REQUIRE_ADAPTER=1 they fail.
#![allow(dead_code, reason = "no test file needs all of it")]

use mlp_gpu::Error;
use mlp_gpu::backend::Precision;
use mlp_gpu::backend::gpu::device::{Device, adapters, choose};

/// What `found` is, if it may be missing.
fn or_none<T>(found: Result<T, Error>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if std::env::var("MLP_GPU_REQUIRE_ADAPTER").is_ok_and(|value| value == "1") => panic!("{error}"),
        Err(_) => None,
    }
}

/// What `found` is; without it `test` is told to have checked nothing.
pub fn or_skip<T>(found: Result<T, Error>, test: &str) -> Option<T> {
    let found = or_none(found);
    if found.is_none() {
        println!("no adapter: {test}");
    }
    found
}

/// The adapter that `--backend gpu` takes.
fn chosen() -> Result<wgpu::Adapter, Error> {
    let mut adapters = pollster::block_on(adapters());
    let infos: Vec<_> = adapters.iter().map(|adapter| adapter.get_info()).collect();
    Ok(adapters.swap_remove(choose(&infos, None)?))
}

/// Whether there is one.
pub fn is_there() -> bool {
    or_none(chosen()).is_some()
}

/// That adapter, opened for `test`.
pub fn device(test: &str) -> Option<Device> {
    let adapter = or_skip(chosen(), test)?;
    Some(pollster::block_on(Device::open(&adapter, Precision::F32)).unwrap())
}

/// Software drivers compile kernels for minutes: there one case of so many (`some`) is tried, and all by `tests/run --all`.
pub fn every(device: &Device, some: usize) -> usize {
    let all = std::env::var("MLP_GPU_ALL_CASES").is_ok_and(|value| value == "1");
    if device.hardware.software && !all { some } else { 1 }
}
