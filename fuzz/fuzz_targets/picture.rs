//! Pictures of every format that is read: in folders with a folder for each class, and as a row of an image model. The first byte
//! chooses how they become rows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::data::{self, Form, Framing, Options};
use mlp_gpu_fuzz::file;

fuzz_target!(|input: &[u8]| {
    let Some(([choice], bytes)) = input.split_first_chunk() else { return };
    let framing = if choice % 2 == 0 { Framing::Resize } else { Framing::Mnist };
    let (folder, path) = file("picture", bytes);
    let colour = choice % 4 == 2;
    let _ = Form { size: (28, 28), framing, colour }.row(&path);
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).expect("made");
        std::fs::write(folder.path().join(class).join("picture.png"), bytes).expect("written");
    }
    std::fs::remove_file(path).expect("removed");
    let options = Options { image_size: Some((8, 8)), framing: Some(framing), colour, ..Options::default() };
    let _ = data::load(folder.path().to_str().expect("text"), &options);
});
