//! Models: safetensors with our metadata and without, ONNX, NumPy archives, checkpoints of runs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::Ensemble;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model");
    std::fs::write(&path, bytes).expect("written");
    let _ = Ensemble::load(&path);
});
