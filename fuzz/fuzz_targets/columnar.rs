//! Tables in columns: Parquet, and Arrow IPC as files and as streams. The first two bytes choose the options.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mlp_gpu::data::csv;
use mlp_gpu_fuzz::table_options;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((choice, bytes)) = input.split_first_chunk() else { return Corpus::Reject };
    // What begins otherwise is text, which has a target of its own.
    if ![&b"PAR1"[..], b"ARROW1", b"\xff\xff\xff\xff"].iter().any(|start| bytes.starts_with(start)) {
        return Corpus::Reject;
    }
    let options = table_options(u16::from_le_bytes(*choice));
    let mut notes = Vec::new();
    let table = csv::read("input".as_ref(), Some(bytes), &options, &mut notes);
    let _ = table.and_then(|table| table.prepare(&options, &mut notes));
    Corpus::Keep
});
