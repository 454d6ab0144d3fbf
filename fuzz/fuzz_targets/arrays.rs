//! Arrays: NumPy files and archives, IDX files, plain and gzipped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let labels = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1];
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).expect("written");
    for name in ["train-images-idx3-ubyte", "archive.npz"] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let _ = data::load(path.to_str().expect("text"), &data::Options::default());
    }
});
