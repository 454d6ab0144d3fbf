//! Tables as text: CSV in every dialect and encoding, plain and packed by gzip, zstd or zip. The first two bytes choose the options.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data::csv;
use mlp_gpu_fuzz::table_options;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first_chunk() else { return };
    let options = table_options(u16::from_le_bytes(*choice));
    let mut notes = Vec::new();
    let table = csv::read("input".as_ref(), Some(bytes), &options, &mut notes);
    let _ = table.and_then(|table| table.prepare(&options, &mut notes));
});
