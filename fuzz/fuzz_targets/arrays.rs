//! Arrays: NumPy files and archives, IDX files, plain and gzipped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("train-images-idx3-ubyte");
    std::fs::write(&path, bytes).expect("written");
    let _ = data::load(path.to_str().expect("text"), &data::Options::default());
});
