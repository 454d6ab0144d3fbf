//! What runs leave: logs, evaluations and flags that reports are made of, logs that searches go on from, and the files of shards that are
//! merged. The first byte chooses which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::cli::fuzzing;
use mlp_gpu::many::Trained;
use mlp_gpu::report::{Report, page};
use mlp_gpu_fuzz::file;

/// The names of the files.
const NAMES: [&str; 6] =
    ["log.jsonl", "evaluation.json", "config.toml", "search.jsonl", "shard-1-of-1.json", "network.safetensors"];

fuzz_target!(|input: &[u8]| {
    let Some(([choice], bytes)) = input.split_first_chunk() else { return };
    let choice = usize::from(*choice) % NAMES.len();
    let (folder, path) = file(NAMES[choice], bytes);
    match choice {
        0..=2 => {
            if choice == 2 {
                std::fs::write(folder.path().join("log.jsonl"), "{\"widths\":[2,2]}\n").expect("written");
            }
            let _ = Report::of_folder(folder.path()).map(|report| page(&report));
        }
        3 => drop(fuzzing::journal(&path)),
        4 => drop(fuzzing::signs(folder.path())),
        _ => drop(Trained::load(&path)),
    }
});
