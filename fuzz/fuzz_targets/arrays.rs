//! Arrays: NumPy files and archives, IDX files, plain and gzipped. The first byte chooses which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data::{self, Options};
use mlp_gpu_fuzz::file;

fuzz_target!(|input: &[u8]| {
    let Some(([choice], bytes)) = input.split_first_chunk() else { return };
    let name =
        ["archive.npz", "x.npy", "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"][usize::from(choice % 4)];
    let (folder, path) = file(name, bytes);
    let other = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    match choice % 4 {
        1 => other("y.npy", b"\x93NUMPY\x01\0\x46\0{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }             \n\0\x01\0\x01"),
        2 => other("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1]),
        3 => other("train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4]),
        _ => {}
    }
    let _ = data::load(path.to_str().expect("text"), &Options::default());
});
