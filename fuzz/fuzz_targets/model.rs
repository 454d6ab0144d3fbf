//! Models: safetensors with our metadata and without, checkpoints, ensembles, ONNX, NumPy archives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::Ensemble;
use mlp_gpu_fuzz::file;

fuzz_target!(|bytes: &[u8]| {
    let (_folder, path) = file("model", bytes);
    let _ = Ensemble::load(&path);
});
