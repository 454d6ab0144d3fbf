//! TOML: the flags of `train --config` and the space of `search --space`. The first byte chooses which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::cli::fuzzing;
use mlp_gpu_fuzz::file;

fuzz_target!(|input: &[u8]| {
    let Some(([choice], bytes)) = input.split_first_chunk() else { return };
    let (_folder, path) = file("options.toml", bytes);
    let _ = if choice % 2 == 0 { fuzzing::config(&path) } else { fuzzing::space(&path) };
});
