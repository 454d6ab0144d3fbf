//! Pictures of every format that is read, in a folder with a folder for each class.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).expect("made");
        std::fs::write(folder.path().join(class).join("picture.png"), bytes).expect("written");
    }
    let options = data::Options { image_size: Some((8, 8)), ..data::Options::default() };
    let _ = data::load(folder.path().to_str().expect("text"), &options);
});
