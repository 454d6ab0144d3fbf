//! What goes wrong from outside: kills and signals, runs that diverge, memory that is not there, files that are hostile.
//! `tests/faults.py` and `tests/kills.py` do the same at length, by the release binary.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mlp_gpu::report::{Log, Report};
use mlp_gpu::{checkpoint, data, report};
use serde_json::Value;

use binary::{Folder, command, fails, run};
use mutations::{mutated, random};

mod binary;
mod mutations;

/// A table whose classes its columns nearly tell.
fn table(folder: &Folder, rows: usize) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let row = |_| {
        let (a, b, noise) = (next(), next(), next());
        format!("{a:.4},{b:.4},{}\n", u8::from(a + b + 0.4 * noise > 1.2))
    };
    folder.write("t.csv", "a,b,label\n".to_owned() + &(0..rows).map(row).collect::<String>())
}

fn bits(path: &str) -> Vec<u32> {
    let state = checkpoint::load(path.as_ref()).unwrap().state;
    state.slots.iter().chain([&state.parameters]).flatten().map(|value| value.to_bits()).collect()
}

fn epochs(log: &str) -> Vec<u64> {
    let lines = fs::read_to_string(log).unwrap();
    lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["epoch"].as_u64()).collect()
}

/// Waits until `done`, for a minute at most.
fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_run_that_was_killed_ends_as_one_that_was_not() {
    let folder = Folder::new();
    let data = table(&folder, 700);
    // The recipe of tables: AdamW, dropout, early stopping.
    for (backend, epochs_of) in [("cpu", "40"), ("gpu", "12")] {
        let common =
            ["train", "--data", &data, "--backend", backend, "--hidden", "16", "--epochs", epochs_of, "--quiet"];
        let [whole, part, midway, whole_log, part_log] =
            ["whole.st", "part.st", "midway.st", "whole.jsonl", "part.jsonl"].map(|name| folder.path(name));
        [&whole, &part, &midway, &part_log].into_iter().for_each(|path| drop(fs::remove_file(path)));
        run(&[&common[..], &["--save", &whole, "--log", &whole_log]].concat(), 0);
        let files = ["--checkpoint", &midway, "--checkpoint-every", "0.001s", "--save", &part, "--log", &part_log];
        let again = ["train", "--resume", &midway, "--backend", backend, "--quiet"];
        let step = || checkpoint::load(midway.as_ref()).map_or(0, |loaded| loaded.state.step);
        for kill in 0..3 {
            let first = [&common[..], &files].concat();
            let before = step();
            let mut child = command(&if kill == 0 { first } else { [&again[..], &files].concat() }).spawn().unwrap();
            until(|| step() > before + 5 || child.try_wait().unwrap().is_some());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // As a save leaves it that is killed between its two names.
        let previous = format!("{midway}.previous");
        fs::remove_file(&previous).unwrap();
        fs::hard_link(&midway, &previous).unwrap();
        run(&[&again[..], &files].concat(), 0);
        assert!(bits(&part) == bits(&whole), "{backend}: other bits");
        assert_eq!(epochs(&part_log), epochs(&whole_log), "{backend}");
        let left = fs::read_dir(folder.0.path()).unwrap().flatten();
        let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".mlp-gpu-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Whether this process, and so those that it starts, ignore signal `number`; no where the system does not tell.
#[cfg(unix)]
fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

#[cfg(unix)]
#[test]
fn signals_end_a_run_with_their_code_and_what_goes_on_from_it_is_said() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let data = table(&folder, 700);
    // What was started by nohup leaves that signal alone, as it should.
    let hangs_up = !is_ignored(1);
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)].into_iter().take(2 + usize::from(hangs_up)) {
        let midway = folder.path(&format!("{signal}.st"));
        let files = ["--checkpoint", &midway, "--checkpoint-every", "0.01s"];
        let arguments = ["train", "--data", &data, "--backend", "cpu", "--hidden", "16", "--epochs", "100000"];
        let arguments = [&arguments[..], &["--early-stop", "100000"], &files].concat();
        let child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        until(|| Path::new(&midway).exists());
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(kill.success() && ended.status.code() == Some(code), "{signal}: {told}");
        assert!(told.contains(&format!("--resume {midway} --epochs 100000 --checkpoint {midway}")), "{told}");
        checkpoint::load(midway.as_ref()).unwrap();
    }
}

#[test]
fn a_run_that_diverges_stops_and_keeps_the_last_finite_state() {
    let folder = Folder::new();
    let data = table(&folder, 300);
    let save = folder.path("m.st");
    // The rate grows by so much per epoch that the first ones are sound. Nothing is evaluated.
    let grows = ["--schedule", "exponential", "--gamma", "1e9", "--lr", "1e-3", "--optimizer", "sgd", "--epochs", "50"];
    let flags = ["--backend", "cpu", "--recipe", "notebook", "--hidden", "8", "--no-train-eval", "--test-split", "0"];
    let arguments = [&["train", "--data", &data, "--save", &save], &flags[..], &grows].concat();
    fails(&arguments, 1, &["training diverged", "epoch", "learning rate", "lower --lr", "--clip-norm"]);
    let kept = checkpoint::load(save.as_ref()).unwrap();
    assert!(kept.state.is_finite() && (1..50).contains(&kept.metadata.unwrap().epochs));
}

#[test]
fn checkpoints_that_cannot_be_are_refused_before_the_run() {
    let folder = Folder::new();
    let data = table(&folder, 60);
    let common = ["train", "--data", &data, "--backend", "cpu", "--epochs", "1"];
    for (flags, part) in [
        (&["--checkpoint", &data[..]][..], "would overwrite"),
        (&["--checkpoint", "c.st", "--members", "2"], "for one network"),
        (&["--checkpoint", "c.st", "--save", "c.st"], "the same file"),
        (&["--checkpoint-every", "3"], "--checkpoint"),
    ] {
        fails_or_misused(&[&common[..], flags].concat(), part);
    }
}

/// Expects exit code 2, and `part` in what is said.
fn fails_or_misused(arguments: &[&str], part: &str) {
    let (_, err) = run(arguments, 2);
    assert!(err.contains(part), "{err}");
}

#[test]
fn what_takes_more_memory_than_there_is_is_refused_in_a_line() {
    let folder = Folder::new();
    let data = table(&folder, 60);
    let wide = ["train", "--data", &data, "--backend", "cpu", "--hidden", "20000,20000", "--max-memory", "300M"];
    fails(&wide, 1, &["widths [2, 20000, 20000, 2] takes", "GiB", "are left", "--max-memory", "smaller --hidden"]);
    if cfg!(target_os = "linux") {
        let limited = format!("ulimit -v 600000; exec {} \"$@\"", env!("CARGO_BIN_EXE_mlp-gpu"));
        let mut shell = std::process::Command::new("sh");
        let ended = shell.args(["-c", &limited, "sh"]).args(&wide[..wide.len() - 2]).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(1) && told.contains("address space"), "{told}");
    }
}

#[test]
fn a_model_that_gives_no_numbers_is_an_error() {
    let folder = Folder::new();
    let data = table(&folder, 60);
    let (good, bad) = (folder.path("good.st"), folder.path("bad.st"));
    let flags = ["--backend", "cpu", "--recipe", "notebook", "--hidden", "4", "--epochs", "1", "--quiet"];
    run(&[&["train", "--data", &data, "--save", &good], &flags[..]].concat(), 0);
    let mut bytes = fs::read(&good).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header..].chunks_exact_mut(4).for_each(|word| word.copy_from_slice(&3e38f32.to_le_bytes()));
    fs::write(&bad, bytes).unwrap();
    fails(&["eval", &bad, "--data", &data, "--backend", "cpu"], 1, &["bad.st gives", "for row"]);
    fails(&["predict", &bad, &data, "--backend", "cpu"], 1, &["bad.st gives", "for row 0"]);
}

/// A file, what reads it, and how many mutations of it are read.
type Reader<'a> = (&'a str, &'a dyn Fn(&Path), usize);

#[test]
fn no_file_makes_its_reader_panic() {
    let folder = Folder::new();
    let csv = table(&folder, 40);
    let [model, checkpoint, members, onnx, npz, log] =
        ["m.st", "c.st", "members.st", "m.onnx", "m.npz", "log.jsonl"].map(|name| folder.path(name));
    let flags = ["train", "--data", &csv, "--backend", "cpu", "--hidden", "4", "--epochs", "2", "--quiet"];
    let saved = ["--save", &model, "--checkpoint", &checkpoint, "--checkpoint-every", "1", "--log", &log];
    run(&[&flags[..], &saved].concat(), 0);
    run(&[&flags[..], &["--save", &members, "--members", "2"]].concat(), 0);
    run(&["export", &model, "--output", &onnx], 0);
    run(&["export", &model, "--output", &npz], 0);
    let npy = |descr: &str, shape: &str, body: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), body].concat()
    };
    let zip = |name: &str, files: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(fs::File::create(folder.path(name)).unwrap());
        for (name, content) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, content).unwrap();
        }
        zip.finish().unwrap();
        folder.path(name)
    };
    let (x, y) = (npy("<f4", "(6, 2)", &[1; 48]), npy("|u1", "(6,)", &[0, 1, 0, 1, 1, 0]));
    let arrays = zip("a.npz", &[("x_train.npy", &x), ("y_train.npy", &y)]);
    let classes = folder.0.path().join("pictures");
    let pictures = ["png", "jpg", "gif", "bmp", "webp", "tiff", "pgm"].map(|ending| {
        let path = classes.join(ending).join(format!("a.{ending}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_fn(9, 9, |x, y| image::Rgb([(28 * x) as u8, (28 * y) as u8, 99])).save(&path).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let idx = [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 16]].concat();
    let idx = folder.write("train-images-idx3-ubyte", idx);
    folder.write("train-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3]);
    // The same table in the dialects of CSV, packed, and in columns by other software.
    let text = fs::read_to_string(&csv).unwrap();
    let quoted = format!("# a comment\n{}", text.replace(',', "\",\"").replace('\n', "\"\n\"").trim_end_matches('"'));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    let mut tables = vec![
        csv.clone(),
        folder.write("semicolon.csv", text.replace(',', ";").replace('.', ",")),
        folder.write("tab.tsv", text.replace(',', "\t")),
        folder.write("blank.txt", text.replace(',', " ")),
        folder.write("quoted.csv", quoted),
        folder.write("wide.csv", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        folder.write("t.csv.gz", gzip.finish().unwrap()),
        folder.write("t.csv.zst", zstd),
        zip("t.zip", &[("t.csv", text.as_bytes())]),
    ];
    if cfg!(feature = "columnar") {
        let columns = ["kinds.parquet", "polars.parquet", "pandas.feather", "polars.arrow", "pyarrow.arrows"];
        let stored = |name| fs::read(format!("{}/tests/reference/tables/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        tables.extend(columns.map(|name| folder.write(name, stored(name))));
    }

    let mut random = random();
    let last = data::Options { label: Some("last".into()), ..data::Options::default() };
    let rows = |path: &Path| drop(data::load(path.to_str().unwrap(), &data::Options::default()));
    let cells = |path: &Path| drop(data::load(path.to_str().unwrap(), &last));
    let load = |path: &Path| {
        if let Ok(loaded) = checkpoint::Ensemble::load(path)
            && let Some(metadata) = &loaded.first().metadata
        {
            let _ = checkpoint::midway::begun(path, metadata, &loaded.first().model, metadata.recipe.optimizer.kind);
        }
    };
    let report = |path: &Path| {
        let log = Log::read(path).ok();
        drop(report::page(&Report { log, ..Report::default() }));
    };
    // Of pictures all are read, with a broken one among them.
    let seen = |_: &Path| rows(&classes);
    let mut readers: Vec<Reader<'_>> = vec![
        (&arrays, &rows, 300),
        (&idx, &rows, 300),
        (&model, &load, 200),
        (&checkpoint, &load, 200),
        (&members, &load, 200),
        (&onnx, &load, 300),
        (&npz, &load, 300),
        (&log, &report, 200),
    ];
    readers.extend(tables.iter().map(|path| (&path[..], &cells as &dyn Fn(&Path), 100)));
    readers.extend(pictures.iter().map(|path| (&path[..], &seen as &dyn Fn(&Path), 60)));
    for (path, read, count) in readers {
        let good = fs::read(path).unwrap();
        for _ in 0..count {
            fs::write(path, mutated(&good, &mut random)).unwrap();
            // A panic fails the test; the line names the file.
            let start = Instant::now();
            read(path.as_ref());
            assert!(start.elapsed() < Duration::from_secs(5), "{path} takes too long");
        }
        fs::write(path, good).unwrap();
    }
}

/// Has the process that `command` starts end by a signal where it asks for a socket of the internet.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn without_internet(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    const SOCKET: u32 = libc::SYS_socket as u32;
    // The architecture, the number of the call, and the low half of its first argument in what a filter sees of a call.
    let load =
        |at| libc::sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: at };
    let skip = |unless: u32, jf| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf,
        k: unless,
    };
    let end = |with| libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: with };
    let mut filter = vec![
        load(0),
        skip(SOCKET, 5),
        load(16),
        skip(libc::AF_INET as u32, 1),
        end(libc::SECCOMP_RET_KILL_PROCESS),
        skip(libc::AF_INET6 as u32, 1),
        end(libc::SECCOMP_RET_KILL_PROCESS),
        end(libc::SECCOMP_RET_ALLOW),
    ];
    let limit = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: both calls change this process alone; the filter is whole, and the kernel copies it.
        let ends = unsafe {
            [
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1u64, 0u64, 0u64, 0u64),
                libc::prctl(libc::PR_SET_SECCOMP, u64::from(libc::SECCOMP_MODE_FILTER), &raw const program),
            ]
        };
        if ends == [0, 0] { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec there are these two calls alone, and no allocation.
    unsafe { command.pre_exec(limit) }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn no_command_but_those_that_fetch_asks_for_a_socket_of_the_internet() {
    use std::os::unix::process::ExitStatusExt;
    let folder = Folder::new();
    let data = table(&folder, 60);
    let [model, page, npz, log, folds] =
        ["m.st", "page.html", "m.npz", "l.jsonl", "f.st"].map(|name| folder.path(name));
    let cache = folder.path("cache");
    let ended = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env_remove("MLP_GPU_OFFLINE").env("XDG_CACHE_HOME", &cache).env("HOME", &cache);
        without_internet(&mut command).output().unwrap()
    };
    let short = ["--backend", "cpu", "--hidden", "2", "--epochs", "1", "--quiet"];
    let runs = folder.path("runs");
    for arguments in [
        &[&["train", "--data", &data, "--save", &model, "--log", &log][..], &short].concat()[..],
        &[&["train", "--data", &data, "--run-dir", &folder.path("runs/one")][..], &short].concat(),
        &[&["cv", "--data", &data, "--folds", "2", "--save", &folds][..], &short].concat(),
        &["search", "--data", &data, "--trials", "2", "--folds", "2", "--epochs", "16", "--backend", "cpu", "--quiet"],
        &["eval", &model, "--data", &data, "--backend", "cpu"],
        &["predict", &model, &data, "--backend", "cpu"],
        &["inspect", &model],
        &["export", &model, "--output", &npz],
        &["report", &model, "--data", &data, "--backend", "cpu", "--output", &page],
        &["data", "list"],
        &["data", "inspect", &data],
        &["data", "check", "digits"],
        &["devices"],
        &["runs", "list", &runs],
    ] {
        let output = ended(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(0), "{arguments:?}: {:?} {told}", output.status);
    }
    // That the filter works: SIGSYS.
    let fetched = ended(&["data", "fetch", "mnist", "--data-dir", &cache, "--mirror", "http://127.0.0.1:9/"]);
    assert_eq!(fetched.status.signal(), Some(libc::SIGSYS), "{fetched:?}");
}
