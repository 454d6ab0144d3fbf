//! Shares of a command by several processes, and what `merge` makes of them, through the real binary.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use binary::{Folder, command, fails, run};
use serde_json::Value;

mod binary;

/// Rows of three classes, or of a number, that x and y nearly tell.
fn table(rows: usize, values: bool) -> String {
    let mut text = "x,y,label\n".to_owned();
    for row in 0..rows {
        let (x, y) = ((row * 37 % 101) as f64 / 101.0, (row * 53 % 97) as f64 / 97.0);
        let sum = x + y * y + (row % 7) as f64 / 30.0;
        let label = if values { format!("{:.4}", 10.0 * sum) } else { ["a", "b", "c"][sum as usize % 3].into() };
        writeln!(text, "{x:.4},{y:.4},{label}").unwrap();
    }
    text
}

/// A command, whose files are relative to the folder it runs in.
struct Job {
    folder: Folder,
    words: Vec<String>,
}

impl Job {
    /// `words` on a table in the folder `one` and one in `many`.
    fn new(words: &[&str], values: bool) -> Self {
        let folder = Folder::new();
        for name in ["one", "many"] {
            fs::create_dir(folder.path(name)).unwrap();
        }
        folder.write("t.csv", table(240, values));
        let common = ["--data", "../t.csv", "--backend", "cpu", "--threads", "1"];
        let words = words.iter().chain(&common).map(|word| (*word).to_owned()).collect();
        Self { folder, words }
    }

    /// The command in `place`, with more flags.
    fn command(&self, place: &str, more: &[&str]) -> Command {
        let words: Vec<&str> = self.words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let mut command = command(&words);
        command.current_dir(self.folder.path(place));
        command
    }

    fn run(mut command: Command, code: i32) -> (String, String) {
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{command:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
        (out, err)
    }

    /// What one process prints.
    fn alone(&self, code: i32) -> String {
        Self::run(self.command("one", &[]), code).0
    }

    /// Trains a share.
    fn shard(&self, shard: &str) -> String {
        let (out, err) = Self::run(self.command("many", &["--shard", shard, "--parts", "parts"]), 0);
        assert_eq!(out, "", "a share has no answer");
        err
    }

    fn merge(&self, code: i32) -> (String, String) {
        let mut merge = command(&["merge", "parts"]);
        merge.current_dir(self.folder.path("many"));
        Self::run(merge, code)
    }

    /// Expects that one process and the shards wrote the same `files`.
    fn same(&self, files: &[&str]) {
        for file in files {
            let [one, many] =
                ["one", "many"].map(|place| fs::read(self.folder.path(&format!("{place}/{file}"))).unwrap());
            assert!(!one.is_empty() && one == many, "{file}");
        }
    }
}

#[test]
fn folds_of_several_shards_are_those_of_one_process_and_a_missing_shard_is_named() {
    for values in [false, true] {
        let words = ["cv", "--folds", "5", "--repeats", "2", "--epochs", "5", "--save", "f.safetensors"];
        let job = Job::new(&[&words[..], &["--out-of-fold", "o.csv"]].concat(), values);
        let expected = job.alone(0);
        for shard in ["4/4", "1/4", "2/4"] {
            job.shard(shard);
        }
        let (out, err) = job.merge(1);
        assert_eq!(out, "");
        assert!(err.contains("Shard 3/4 has not begun: 2 of its 2 networks are missing"), "{err}");
        assert!(err.contains("--shard 3/4 --parts parts"), "{err}");
        assert!(err.contains("error: parts: 2 of 10 networks are missing, those of 3/4"), "{err}");
        assert!(!fs::exists(job.folder.path("many/f.safetensors")).unwrap(), "nothing is half written");
        assert!(job.shard("3/4").contains("10 of 10 networks are in parts; now: mlp-gpu merge parts"));
        assert_eq!(job.merge(0).0, expected);
        job.same(&["f.safetensors", "o.csv"]);
    }
}

#[test]
fn grids_and_ensembles_of_several_shards_are_those_of_one_process() {
    let lists = ["--hidden", "8", "--epochs", "4", "--seeds", "0..2", "--lr", "0.01,0.02", "--json"];
    let grid = Job::new(&[&["train", "--save", "m-{seed}-{lr}.safetensors"][..], &lists].concat(), false);
    let figures = |out: &str| {
        let mut told: Value = serde_json::from_str(out).unwrap();
        // Times are those of each network's own training.
        for run in told["runs"].as_array_mut().unwrap() {
            run.as_object_mut().unwrap().retain(|name, _| !name.contains("seconds"));
        }
        told
    };
    let expected = figures(&grid.alone(0));
    ["2/3", "3/3", "1/3"].iter().for_each(|shard| drop(grid.shard(shard)));
    assert_eq!(figures(&grid.merge(0).0), expected);
    grid.same(&["m-0-0.01.safetensors", "m-2-0.02.safetensors", "m-1-0.01.safetensors"]);

    let ensemble = Job::new(&["train", "--members", "5", "--epochs", "4", "--save", "all.safetensors"], true);
    let expected = ensemble.alone(0);
    // More shards than networks: some have nothing to do.
    (1..=6).for_each(|shard| drop(ensemble.shard(&format!("{shard}/6"))));
    assert_eq!(ensemble.merge(0).0, expected);
    ensemble.same(&["all.safetensors"]);
}

/// A search, whose answer is in files too.
fn search() -> Job {
    let files = ["--save", "best.safetensors", "--save-ensemble", "all.safetensors", "--log", "log.jsonl"];
    Job::new(&[&["search", "--trials", "10", "--epochs", "9", "--seed", "3"][..], &files].concat(), false)
}

#[test]
fn the_shards_of_a_search_wait_for_one_another_and_find_what_one_process_finds() {
    let job = search();
    let expected = job.alone(0);
    let children = ["1/3", "2/3", "3/3"].map(|shard| {
        let mut command = job.command("many", &["--shard", shard, "--parts", "parts"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!fs::exists(job.folder.path("many/log.jsonl")).unwrap(), "a share has no log");
    assert_eq!(job.merge(0).0, expected);
    job.same(&["best.safetensors", "all.safetensors", "log.jsonl"]);
}

#[test]
fn a_shard_of_a_search_does_what_silent_ones_have_left() {
    let job = search();
    let expected = job.alone(0);
    let more = ["--shard", "2/3", "--parts", "parts", "--patience", "0.2s"];
    let (_, err) = Job::run(job.command("many", &more), 0);
    assert!(err.contains("Shard 2/3: trains 1 networks of shards that gave no sign"), "{err}");
    // Of the last rung it has its share alone, as nobody waits for that.
    let (_, err) = job.merge(1);
    assert!(err.contains("Shard 1/3 has not begun"), "{err}");
    ["1/3", "3/3"].iter().for_each(|shard| drop(job.shard(shard)));
    assert_eq!(job.merge(0).0, expected);
    job.same(&["best.safetensors", "all.safetensors", "log.jsonl"]);
}

#[test]
fn a_network_that_diverges_fails_once_and_is_told_by_the_merge() {
    let words = ["train", "--hidden", "4", "--optimizer", "sgd", "--loss", "mse", "--epochs", "3"];
    let job = Job::new(&[&words[..], &["--lr", "0.001,1e30", "--schedule", "constant"]].concat(), true);
    let expected = job.alone(0);
    assert!(expected.contains("diverged"), "{expected}");
    assert!(job.shard("2/2").contains("Shard 2/2: a network failed: training diverged"));
    // It is not tried again.
    assert!(!job.shard("2/2").contains("failed"));
    job.shard("1/2");
    assert_eq!(job.merge(0).0, expected);
}

#[test]
fn what_is_no_share_or_no_folder_of_shards_is_refused() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(60, false));
    let parts = folder.path("parts");
    let train = ["train", "--data", &data, "--backend", "cpu", "--quiet", "--parts", &parts];
    let with = |more: &[&str], code, words: &[&str]| fails(&[&train[..], more].concat(), code, words);
    with(&["--shard", "1/2"], 2, &["--shard is for several networks"]);
    with(&["--shard", "auto", "--members", "2"], 2, &["no engine says", "--shard I/N"]);
    fails(&["merge", &folder.path("nowhere")], 1, &["cannot read", "nowhere"]);
    fs::create_dir(&parts).unwrap();
    fails(&["merge", &parts], 1, &["no shard has begun here"]);
    run(&[&train[..], &["--shard", "1/2", "--members", "2", "--epochs", "1"]].concat(), 0);
    with(&["--shard", "2/2", "--members", "2", "--epochs", "2"], 2, &["of another command", "another folder"]);
    with(&["--shard", "2/3", "--members", "2", "--epochs", "1"], 2, &["of another command"]);
    let search = ["search", "--data", &data, "--backend", "cpu", "--quiet", "--shard", "1/2", "--parts", &parts];
    fails(&[&search[..], &["--time", "9s"]].concat(), 2, &["--time", "--shard"]);
    // Data that have changed since are seen.
    fs::write(&data, table(61, false)).unwrap();
    fails(&["merge", &parts], 1, &["of other data or options"]);
    // clap's own messages take several lines.
    for wrong in [&["--shard", "3/2"][..], &["--shard", "1/2", "--resume", "x"]] {
        let (_, err) = run(&[&train[..], &["--members", "2"], wrong].concat(), 2);
        assert!(err.contains("--shard"), "{err}");
    }
}

#[test]
fn four_processes_of_mpirun_of_which_one_is_killed_make_what_one_process_makes() {
    if Command::new("mpirun").arg("--version").output().is_err() {
        assert!(std::env::var("MLP_GPU_REQUIRE_MPIRUN").is_err(), "there is no mpirun: install openmpi-bin");
        println!("no mpirun: four_processes_of_mpirun_of_which_one_is_killed_make_what_one_process_makes");
        return;
    }
    let words = ["cv", "--folds", "8", "--epochs", "100", "--out-of-fold", "o.csv", "--save"];
    let job = Job::new(&[&words[..], &["f.safetensors"]].concat(), false);
    let expected = job.alone(0);
    let own = job.command("many", &["--shard", "auto", "--parts", "parts"]);
    let mut mpirun = Command::new("mpirun");
    mpirun.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "4"]);
    mpirun.arg(own.get_program()).args(own.get_args()).current_dir(own.get_current_dir().unwrap());
    mpirun.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("MLP_GPU_DATA");
    let child = mpirun.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sign, begun) = (job.folder.path("many/parts/shard-3-of-4.json"), Instant::now());
    let process = loop {
        let sign = fs::read(&sign).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        if let Some(process) = sign.and_then(|sign| sign["process"].as_u64()) {
            break process;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "shard 3 has not begun");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "mpirun tells of the killed process");
    // mpirun ends the others too, in their midst.
    let (_, err) = job.merge(1);
    let named: Vec<&str> =
        err.lines().filter(|line| line.starts_with("Shard ")).map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert!(named.contains(&"3/4"), "{err}");
    named.iter().for_each(|shard| drop(job.shard(shard)));
    assert_eq!(job.merge(0).0, expected);
    job.same(&["f.safetensors", "o.csv"]);
}
