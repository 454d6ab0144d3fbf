//! Tables: CSV in every dialect, packed ones, Parquet and Arrow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data::{Options, csv};

fuzz_target!(|bytes: &[u8]| {
    let options = Options { label: Some("last".into()), ..Options::default() };
    let _ = csv::read("input".as_ref(), Some(bytes), &options, &mut Vec::new());
});
