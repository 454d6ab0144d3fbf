//! Data larger than the memory that they may take, through the real binary.
#![allow(missing_docs, clippy::unwrap_used)]

use mlp_gpu::checkpoint;

use binary::{Folder, run};

mod adapter;
mod binary;

const ROWS: usize = 40_000;
const WIDTH: usize = 20;

/// 3.2 MB of features in x.npy, two classes in y.npy; the path of the first.
fn arrays(folder: &Folder) -> String {
    let npy = |descr: &str, shape: &str, body: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), body].concat()
    };
    let value = |row: usize, column: usize| ((row * 37 + column * 101) % 997) as f32 / 100.0 - column as f32;
    let values: Vec<u8> =
        (0..ROWS).flat_map(|row| (0..WIDTH).flat_map(move |column| value(row, column).to_le_bytes())).collect();
    let labels: Vec<u8> = (0..ROWS).map(|row| u8::from(value(row, 0) > 5.0)).collect();
    folder.write("y.npy", npy("|u1", &format!("({ROWS},)"), &labels));
    folder.write("x.npy", npy("<f4", &format!("({ROWS}, {WIDTH})"), &values))
}

/// The parameters in the file at `path`, as bits.
fn parameters(path: &str) -> Vec<u32> {
    let state = checkpoint::load(path.as_ref()).unwrap().state;
    state.parameters.iter().map(|value| value.to_bits()).collect()
}

const SMALL: [&str; 8] = ["--hidden", "8", "--epochs", "2", "--batch-size", "1000", "--embed", "none"];

#[test]
fn data_that_do_not_fit_the_memory_of_a_gpu_are_streamed_to_the_same_bits() {
    if adapter::device("data_that_do_not_fit_the_memory_of_a_gpu_are_streamed_to_the_same_bits").is_none() {
        return;
    }
    let folder = Folder::new();
    let data = arrays(&folder);
    let train = |save: &str, more: &[&str]| {
        let fixed = ["train", "--backend", "gpu", "--data", &data, "--save", save, "--tune", "off"];
        run(&[&fixed[..], &SMALL, more].concat(), 0).1
    };
    let (kept, streamed) = (folder.path("kept.st"), folder.path("streamed.st"));
    let told = train(&kept, &[]);
    assert!(!told.contains("is streamed"), "{told}");
    let told = train(&streamed, &["--gpu-memory", "1M"]);
    assert!(told.contains("Data: the training part is streamed through the GPU"), "{told}");
    assert!(parameters(&streamed) == parameters(&kept));
}

/// What is in a folder.
#[cfg(target_os = "linux")]
fn names_in(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.0.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(target_os = "linux")]
#[test]
fn data_that_do_not_fit_the_memory_are_converted_on_the_disk_to_the_same_bits() {
    // Files in a folder for temporary ones may be memory themselves.
    let on_disk = Folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let (folder, temporary) = (Folder::new(), Folder::new());
    let data = arrays(&folder);
    let converted = on_disk.path("x.data");
    // The least memory that is enough with the disk, whatever else the program takes, is too little without it.
    let enough = |limit: &String| {
        let words = ["data", "convert", &data, "--output", &converted, "--max-memory", limit];
        binary::command(&words).env("TMPDIR", temporary.0.path()).output().unwrap().status.success()
    };
    let limit = (4..100).map(|limit| format!("{limit}M")).find(enough).unwrap();
    let (_, err) =
        run(&[&["train", "--backend", "cpu", "--data", &data, "--max-memory", &limit][..], &SMALL].concat(), 1);
    assert!(err.contains("are left of the memory that was allowed"), "{err}");
    let train = |data: &str, name: &str, more: &[&str]| {
        let save = folder.path(name);
        let fixed = ["train", "--backend", "cpu", "--data", data, "--save", &save];
        run(&[&fixed[..], &SMALL, more].concat(), 0);
        parameters(&save)
    };
    assert!(train(&converted, "converted.st", &["--max-memory", &limit]) == train(&data, "source.st", &[]));
    assert_eq!(names_in(&folder), ["converted.st", "source.st", "x.npy", "y.npy"]);
    assert_eq!((names_in(&on_disk), names_in(&temporary)), (vec!["x.data".to_owned()], vec![]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_converted_file_that_is_cut_off_while_it_is_read_is_an_error() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let folder = Folder::new();
    let converted = folder.path("x.data");
    run(&["data", "convert", &arrays(&folder), "--output", &converted], 0);
    let fixed = ["train", "--backend", "cpu", "--data", &converted, "--epochs", "1000000"];
    let mut child = binary::command(&[&fixed[..], &["--hidden", "8", "--embed", "none"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Epoch 1/") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "no epoch");
    }
    std::fs::OpenOptions::new().write(true).open(&converted).unwrap().set_len(4096).unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{err}");
    let errors: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains("x.data: found fewer bytes"), "{err}");
}

/// The most memory that a command took, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(clippy::zombie_processes, reason = "wait4 waits for the process")]
fn peak(words: &[&str]) -> i64 {
    use std::process::Stdio;
    let mut command = binary::command(words);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: the process is this one's child, and both places are there to be written.
    let usage = unsafe {
        assert_eq!(libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr()), child.id() as i32);
        usage.assume_init()
    };
    assert_eq!(status, 0);
    usage.ru_maxrss * 1024
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_rows_of_a_table_are_in_memory_once() {
    use std::fmt::Write;
    let folder = Folder::new();
    let table = |name: &str, rows: usize| {
        let mut text: String = (0..50).map(|column| format!("x{column},")).collect();
        text += "label\n";
        for row in 0..rows {
            (0..50).for_each(|column| write!(text, "{:.3},", ((row * 37 + column * 101) % 9973) as f64 / 1e3).unwrap());
            writeln!(text, "{}", ["no", "yes"][row / 3 % 2]).unwrap();
        }
        folder.write(name, text)
    };
    let (small, large) = (table("small.csv", 100), table("large.csv", 60_000));
    let train = |data: &str| {
        peak(&["train", "--backend", "cpu", "--data", data, "--epochs", "1", "--hidden", "4", "--embed", "none"])
    };
    let (taken, array) = (train(&large) - train(&small), 60_000 * 50 * 4);
    // Twice the array, where what is freed is kept.
    assert!(taken < array * 8 / 5, "{taken} bytes for an array of {array}");
}
