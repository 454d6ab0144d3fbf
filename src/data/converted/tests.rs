//! What is converted is read back, and nothing else is.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::data;

/// A table with categories, missing cells and row weights; its targets are classes or values.
fn table(folder: &Path, values: bool) -> String {
    let path = folder.join("t.csv");
    let mut text = String::from("kind,size,y,w\n");
    for row in 0..60 {
        let kind = ["red", "green", "blue"][row % 3];
        let size = if row % 10 == 3 { String::new() } else { format!("{}", row * 37 % 23) };
        let target = if values { format!("{}.25", row * row) } else { ["no", "yes"][row / 2 % 2].into() };
        text += &format!("{kind},{size},{target},{}\n", 1 + row % 2);
    }
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn options() -> Options {
    Options { weight: Some("w".into()), validation_split: Some(0.2), seed: 7, ..Options::default() }
}

#[test]
fn what_is_written_is_read_and_the_bytes_are_always_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for values in [false, true] {
        let source = table(folder.path(), values);
        let (dataset, notes) = data::load(&source, &options()).unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        write(&dataset, &notes, &one).unwrap();
        write(&dataset, &notes, &other).unwrap();
        assert!(present(&one) && !present(source.as_ref()));
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
        let (found, told) = data::load(one.to_str().unwrap(), &Options::default()).unwrap();
        assert_eq!(Dataset { name: dataset.name.clone(), ..found }, dataset);
        assert!(notes.iter().all(|note| told.iter().any(|other| other.text == note.text)), "{told:?}");
        // Other software reads it.
        let bytes = std::fs::read(&one).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("train.inputs").unwrap().shape(), [dataset.train.len(), dataset.train.width]);
    }
}

#[test]
fn bytes_are_read_as_bytes_and_images_stay_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits");
    let part = |rows: usize| {
        let samples = Samples::new(Inputs::U8((0..rows * 6).map(|at| at as u8).collect()), 6, vec![1; rows]).unwrap();
        Arc::new(samples.with_image((2, 3)).unwrap())
    };
    let set = data::digits().unwrap();
    let set = Dataset { train: part(3), test: Some(part(1)), classes: vec!["a".into(), "b".into()], ..set };
    write(&set, &[], &path).unwrap();
    let found = read(&path, &mut Vec::new()).unwrap();
    assert_eq!(Dataset { name: set.name.clone(), ..found }, set);
}

#[test]
fn a_file_that_is_cut_off_or_changed_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, notes) = data::load(&table(folder.path(), false), &options()).unwrap();
    let path = folder.path().join("converted");
    write(&dataset, &notes, &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &mut Vec::new()).err().unwrap_or_else(|| panic!("{what} is read"));
        assert!(matches!(error, Error::File { .. } | Error::Io { .. }), "{what}: {error}");
        assert_eq!(error.to_string().lines().count(), 1);
    };
    for length in (0..whole.len()).step_by(7) {
        refused(&whole[..length], &format!("{length} bytes of it"));
    }
    refused(&[&whole[..], &[0]].concat(), "a byte more");
    for at in (0..whole.len()).step_by(3) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        refused(&changed, &format!("a change at {at}"));
    }
}

#[test]
fn options_that_decide_on_parts_or_scaling_are_refused_and_other_models_rows_too() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, notes) = data::load(&table(folder.path(), false), &options()).unwrap();
    let path = folder.path().join("converted");
    write(&dataset, &notes, &path).unwrap();
    let load = |options: &Options| data::load(path.to_str().unwrap(), options).map(|_| ());
    load(&Options { validation_split: Some(0.2), test_split: Some(0.1), ..Options::default() }).unwrap();
    for options in [
        Options { validation_split: Some(0.3), ..Options::default() },
        Options { scale: Some(data::Scale::Minmax), ..Options::default() },
        Options { label: Some("y".into()), ..Options::default() },
    ] {
        assert!(matches!(load(&options), Err(Error::Unsuited { .. })), "{options:?}");
    }
    let error = data::folds::Folding::read(path.to_str().unwrap(), &Options::default()).err().unwrap();
    assert!(error.to_string().contains("give what it was converted from"), "{error}");
}
