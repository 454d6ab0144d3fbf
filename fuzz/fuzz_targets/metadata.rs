//! The metadata of a model of the widths 2, 4 and 2, whose tensors are sound: what loads must do its work on a table too. The input is
//! the text of the metadata.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlp_gpu::checkpoint::midway;
use mlp_gpu::data::{self, Options, Part};
use mlp_gpu::{Ensemble, Request};
use mlp_gpu_fuzz::file;
use serde_json::{Map, json};

fuzz_target!(|text: &str| {
    let mut header = Map::from_iter([("__metadata__".into(), json!({ "mlp-gpu": text }))]);
    let mut end = 0;
    for (name, shape) in [("0.bias", &[4][..]), ("0.weight", &[4, 2]), ("2.bias", &[2]), ("2.weight", &[2, 4])] {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(name.into(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    let values: Vec<u8> = (0..end / 4).flat_map(|value| (0.1 * value as f32 - 0.7).to_le_bytes()).collect();
    let (folder, path) = file("model", &[&(header.len() as u64).to_le_bytes(), &header[..], &values].concat());
    let Ok(ensemble) = Ensemble::load(&path) else { return };
    let first = ensemble.first();
    if let Some(metadata) = &first.metadata {
        let _ = midway::begun(&path, metadata, &first.model, metadata.recipe.optimizer.kind);
    }
    let table = folder.path().join("t.csv");
    std::fs::write(&table, "a,b,label\n1,2,0\n0.5,x,1\n,3,0\n7e5,1,1\n").expect("written");
    let table = table.to_str().expect("text");
    let readers = ensemble.readers();
    let samples = readers.iter().map(|reader| {
        let options =
            Options::default().or(reader.metadata.as_ref().map_or(&Options::default(), |found| &found.reading));
        data::load_for(table, &options, &reader.known(), Part::Test)
    });
    let Ok(samples) = samples.collect::<Result<Vec<_>, _>>() else { return };
    let selected = Request::cpu(1).select().expect("the CPU");
    let inputs: Vec<_> = samples.into_iter().map(|(samples, _)| samples.inputs).collect();
    let _ = ensemble.on(&selected).predict(&inputs);
});
