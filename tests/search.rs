//! `mlp-gpu search`, through the real binary.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use mlp_gpu::{Ensemble, checkpoint};
use serde_json::Value;

use binary::{Folder, command, fails, run};

mod binary;

/// A folder with a table t.csv of 300 rows in three classes.
fn with_table() -> Folder {
    let folder = Folder::new();
    folder.write("t.csv", table(300, false));
    folder
}

impl Folder {
    /// A small search of this folder's table, with more flags.
    fn search(&self, more: &[&str]) -> Vec<String> {
        let data = self.path("t.csv");
        let defaults = [("--trials", "16"), ("--epochs", "16"), ("--seed", "3"), ("--folds", "0")];
        let defaults =
            defaults.iter().filter(|(flag, _)| !more.contains(flag)).flat_map(|(flag, value)| [*flag, *value]);
        let common = ["search", "--backend", "cpu", "--data", &data];
        common.into_iter().chain(defaults).chain(more.iter().copied()).map(str::to_owned).collect()
    }

    /// What it prints, and what it says beside that.
    fn found(&self, more: &[&str], code: i32) -> (String, String) {
        let words = self.search(more);
        run(&words.iter().map(String::as_str).collect::<Vec<_>>(), code)
    }

    /// Its answer.
    fn answer(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.found(&[more, &["--json"]].concat(), 0).0).unwrap()
    }
}

/// Rows of three classes, or of a number, that x and y nearly tell.
fn table(rows: usize, values: bool) -> String {
    let mut text = "x,y,colour,label\n".to_owned();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    for row in 0..rows {
        let (x, y, noise) = (next(), next(), next());
        let (sum, colour) = (x + y + 0.3 * noise, ["red", "green", "blue"][row % 3]);
        let label = if values {
            format!("{:.4}", 10.0 * sum)
        } else {
            ["low", "middle", "high"][(sum * 1.3) as usize % 3].into()
        };
        writeln!(text, "{x:.4},{y:.4},{colour},{label}").unwrap();
    }
    text
}

/// Parameters as bits, of the model in a file.
fn parameters(path: &str) -> Vec<u32> {
    bits(&checkpoint::load(path.as_ref()).unwrap().state.parameters)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The words of a printed command without the program's name; none of them has blanks here.
fn words(command: &str) -> Vec<&str> {
    command.strip_prefix("mlp-gpu ").unwrap().split(' ').collect()
}

#[test]
fn the_answer_is_that_of_the_seed_and_the_command_gives_the_model_again() {
    let folder = with_table();
    let (one, two, again) = (folder.path("1.safetensors"), folder.path("2.safetensors"), folder.path("3.safetensors"));
    let (single, _) = folder.found(&["--threads", "1", "--save", &one], 0);
    let (double, _) = folder.found(&["--threads", "2", "--save", &two], 0);
    let without = |text: &str| text.replace("--threads 1 ", "").replace("--threads 2 ", "");
    assert_eq!(without(&single), without(&double));
    assert_eq!(parameters(&one), parameters(&two));
    let command = single.lines().find(|line| line.starts_with("mlp-gpu train ")).unwrap();
    run(&[&words(command)[..], &["--save", &again]].concat(), 0);
    assert_eq!(parameters(&again), parameters(&one), "{command}");
    let recipe = |path: &str| checkpoint::load(path.as_ref()).unwrap().metadata.unwrap().recipe;
    assert_eq!(recipe(&again), recipe(&one));
    assert_ne!(folder.answer(&["--seed", "4"])["best"], folder.answer(&[])["best"]);
}

#[test]
fn a_rung_leaves_the_best_quarter_and_the_default() {
    let folder = with_table();
    let answer = folder.answer(&[]);
    let found = answer["found"].as_array().unwrap();
    let rung = |number: u64| found.iter().filter(move |found| found["rung"] == number).collect::<Vec<_>>();
    let trials = |rung: &[&Value]| rung.iter().map(|found| found["trial"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(trials(&rung(1)), (1..=16).collect::<Vec<_>>());
    for (number, epochs) in [(1, 1), (2, 4), (3, 16)] {
        assert!(rung(number).iter().all(|found| found["epochs"] == epochs));
    }
    for number in 1..3 {
        let mut before = rung(number);
        before.sort_by(|one, other| one["loss"].as_f64().unwrap().total_cmp(&other["loss"].as_f64().unwrap()));
        let mut expected = trials(&before[..(before.len() / 4).max(1)]);
        expected.push(1);
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(trials(&rung(number + 1)), expected);
    }
    let losses: Vec<f64> =
        answer["left"].as_array().unwrap().iter().map(|found| found["loss"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted() && losses.len() == rung(3).len());
    // Trial 1 is the run without a flag of its own.
    let first = rung(3)[0];
    assert_eq!((first["trial"].as_u64(), first["setting"].as_object().unwrap().len()), (Some(1), 0));
    let log = folder.path("log.jsonl");
    let data = folder.path("t.csv");
    let alone =
        ["train", "--backend", "cpu", "--data", &data, "--epochs", "16", "--seed", "3", "--validation-split", "0.1"];
    run(&[&alone[..], &["--log", &log]].concat(), 0);
    let log = fs::read_to_string(log).unwrap();
    let epochs = log.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let least = epochs.map(|epoch| epoch["validation_loss"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(first["loss"].as_f64(), Some(least));
}

#[test]
fn a_search_goes_on_from_its_log_wherever_it_was_cut() {
    let folder = with_table();
    let (log, save, all) = (folder.path("log"), folder.path("best.safetensors"), folder.path("all.safetensors"));
    let saves = ["--save", &save, "--save-ensemble", &all];
    let (whole, _) = folder.found(&[&["--log", &log], &saves[..]].concat(), 0);
    let (expected, ensemble) = (fs::read(&save).unwrap(), fs::read(&all).unwrap());
    let text = fs::read_to_string(&log).unwrap();
    let lines = text.lines().count();
    assert!(lines > 12, "{text}");
    // Behind the first line; within rung 1, in the middle of a line; within the last rung; when all was done.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    for cut in [ends[0], ends[4] + 9, ends[lines - 2], text.len()] {
        fs::write(&log, &text[..cut]).unwrap();
        fs::remove_file(&save).unwrap();
        fs::remove_file(&all).unwrap();
        let (out, _) = folder.found(&[&["--resume", &log], &saves[..]].concat(), 0);
        assert_eq!(out, whole, "cut at {cut}");
        assert_eq!(fs::read(&save).unwrap(), expected, "cut at {cut}");
        assert_eq!(fs::read(&all).unwrap(), ensemble, "cut at {cut}");
        let mut now: Vec<String> = fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
        let mut before: Vec<String> = text.lines().map(str::to_owned).collect();
        now.sort();
        before.sort();
        assert_eq!(now, before);
    }
    // Into another file, with nothing of the first one lost.
    fs::write(&log, &text[..ends[5]]).unwrap();
    let other = folder.path("other");
    folder.found(&["--resume", &log, "--log", &other], 0);
    assert_eq!(fs::read_to_string(&other).unwrap().lines().count(), lines);
    assert_eq!(fs::read_to_string(&log).unwrap(), text[..ends[5]]);
    let resumed = |more: &[&str], parts: &[&str]| {
        let words = folder.search(&[&["--resume", &log], more].concat());
        fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 2, parts);
    };
    resumed(&["--batch-size", "32"], &["is the log of another search", "options"]);
    resumed(&["--folds", "3"], &["is the log of another search", "--folds"]);
    folder.write("t.csv", table(290, false));
    resumed(&[], &["is the log of another search", "data"]);
}

#[cfg(unix)]
#[test]
fn what_was_done_before_ctrl_c_is_kept() {
    let folder = with_table();
    let log = folder.path("log");
    let words = folder.search(&["--trials", "400", "--log", &log]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = command(&words);
    let child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    while lines() < 4 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("to go on: the same command with --resume") && err.contains(&log), "{err}");
    let kept = fs::read_to_string(&log).unwrap();
    assert!(kept.ends_with('\n') && kept.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{kept}");
    let resumed = folder.answer(&["--trials", "400", "--resume", &log]);
    assert_eq!(resumed, folder.answer(&["--trials", "400"]));
}

#[test]
fn the_ensemble_is_that_of_the_trials_that_it_names() {
    let folder = with_table();
    let (all, best) = (folder.path("all.safetensors"), folder.path("best.safetensors"));
    let answer = folder.answer(&["--save", &best, "--save-ensemble", &all]);
    let ensemble = Ensemble::load(all.as_ref()).unwrap();
    let picks = answer["ensemble"]["picks"].as_array().unwrap();
    let counts: Vec<u64> = picks.iter().map(|pick| pick["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, ensemble.weights().iter().copied().map(u64::from).collect::<Vec<_>>());
    let loss = |value: &Value, name: &str| value[name].as_f64().unwrap();
    // Not one pick of the best: several are averaged.
    assert!(counts.len() > 1 && counts.iter().sum::<u64>().abs_diff(60) < counts.len() as u64, "{counts:?}");
    // eval takes the same rows and finds the same figures.
    let data = folder.path("t.csv");
    for (path, figures) in [(&all, &answer["ensemble"]), (&best, &answer["best"]["figures"])] {
        for (part, key) in [("validation", "validation_loss"), ("test", "test_loss")] {
            let (out, _) = run(&["eval", path, "--backend", "cpu", "--data", &data, "--part", part, "--json"], 0);
            let told: Value = serde_json::from_str(&out).unwrap();
            let found = told["loss"].as_f64().or(told["log_loss"].as_f64()).unwrap();
            assert!((found - loss(figures, key)).abs() < 1e-6, "{path} {part}: {found} and {figures}");
        }
    }
}

#[test]
fn folds_judge_trials_as_cv_does() {
    let folder = with_table();
    folder.write("t.csv", table(240, true));
    let (best, all) = (folder.path("best.safetensors"), folder.path("all.safetensors"));
    let again = folder.path("again.safetensors");
    let answer = folder.answer(&["--trials", "4", "--folds", "3", "--save", &best, "--save-ensemble", &all]);
    let command = answer["command"].as_str().unwrap();
    let (out, _) = run(&[&words(command)[..], &["--json", "--save", &again]].concat(), 0);
    let told: Value = serde_json::from_str(&out).unwrap();
    let mean = told["mean"]["rmse"].as_f64().unwrap();
    let rmse = answer["best"]["figures"]["held_back_rmse"].as_f64().unwrap();
    assert!((mean - rmse).abs() < 1e-9 * mean, "{mean} and {rmse}: {command}");
    let of = |path: &str| {
        let ensemble = Ensemble::load(path.as_ref()).unwrap();
        ensemble.members().iter().map(|member| bits(&member.state.parameters)).collect::<Vec<_>>()
    };
    assert_eq!(of(&again), of(&best));
    let (members, picks) = (of(&all).len(), answer["ensemble"]["picks"].as_array().unwrap().len());
    assert_eq!(members, 3 * picks);
    assert!(answer["ensemble"]["held_back_loss"].as_f64().unwrap() <= answer["best"]["loss"].as_f64().unwrap() + 1e-4);
    let words = folder.search(&["--folds", "3", "--test-split", "0.2"]);
    fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 2, &["--test-split", "--folds", "leave it out"]);
}

#[test]
fn few_rows_are_judged_by_folds_where_nothing_else_is_asked_for() {
    let folder = with_table();
    let test = folder.write("test.csv", table(60, false));
    let unasked = |more: &[&str]| -> Value {
        let words = folder.search(&[more, &["--json"]].concat());
        let at = words.iter().position(|word| word == "--folds").unwrap();
        let words: Vec<&str> = words[..at].iter().chain(&words[at + 2..]).map(String::as_str).collect();
        serde_json::from_str(&run(&words, 0).0).unwrap()
    };
    let answer = unasked(&[]);
    assert_eq!((&answer["folds"], &answer["judged_by"]), (&10.into(), &"held-back".into()));
    assert_eq!(answer, folder.answer(&["--folds", "10"]));
    let command = answer["command"].as_str().unwrap();
    assert!(command.starts_with("mlp-gpu cv ") && command.contains(" --folds 10"), "{command}");
    // Fewer networks of each trial in the rungs before the last.
    let networks = |rung: u64| {
        let found = answer["found"].as_array().unwrap().iter().filter(move |found| found["rung"] == rung);
        found.map(|found| found["epoch"].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!((networks(1), networks(2)), (vec![1; 16], vec![2; networks(2).len()]));
    assert!(networks(3).iter().all(|networks| *networks == 10));
    for more in [["--validation-split", "0.2"], ["--test-split", "0.2"], ["--test", &test]] {
        let answer = unasked(&more);
        assert_eq!((&answer["folds"], &answer["judged_by"]), (&Value::Null, &"validation".into()), "{more:?}");
    }
    for (rows, folds) in
        [(49, Value::Null), (2500, 10.into()), (2501, 5.into()), (10_000, 5.into()), (10_001, Value::Null)]
    {
        folder.write("t.csv", table(rows, false));
        assert_eq!(unasked(&["--trials", "1", "--epochs", "1", "--hidden", "2"])["folds"], folds, "{rows}");
    }
}

#[test]
fn a_space_of_ones_own_is_what_is_drawn_from() {
    let folder = with_table();
    let (space, _) = folder.found(&["--print-space", "--dropout", "0.1"], 0);
    assert!(space.contains("hidden = [[") && space.contains("log = true") && !space.contains("dropout"), "{space}");
    let same = folder.write("same.toml", &space);
    assert_eq!(
        folder.answer(&["--space", &same, "--dropout", "0.1"])["best"],
        folder.answer(&["--dropout", "0.1"])["best"]
    );
    let own = "hidden = [8, [6, 5]]\nbatch-size = { from = 16, to = 32 }\noptimizer = [\"sgd\", \"adam\"]\nmomentum = [0.5]\nbeta1 = [0.8]\n";
    let own = folder.write("own.toml", own);
    let answer = folder.answer(&["--space", &own, "--lr", "0.01"]);
    let rows = answer["found"].as_array().unwrap().iter().filter(|found| found["trial"] != 1);
    let mut kinds = Vec::new();
    for found in rows {
        let setting = &found["setting"];
        let size = setting["batch_size"].as_u64().unwrap();
        assert!((16..=32).contains(&size) && setting.get("lr").is_none(), "{setting}");
        // What would do nothing is not drawn.
        assert!(setting.get("momentum").is_none());
        assert_eq!(setting.get("beta1").is_some(), setting["optimizer"] == "adam", "{setting}");
        kinds.push(setting["optimizer"].to_string());
    }
    assert!(kinds.iter().any(|kind| kind.contains("sgd")) && kinds.iter().any(|kind| kind.contains("adam")));
    for (content, parts) in [
        ("depth = [1]", ["bad.toml: found depth: 1", "hidden, lr, dropout"]),
        ("lr = [-1]", ["lr: -1", "give a number from 0 on"]),
        ("lr = []", ["lr: an empty list", "at least one value"]),
        ("dropout = { from = 0.5, to = 0.1 }", ["dropout: from 0.5 to 0.1", "a from below its to"]),
        ("activation = [\"rulu\"]", ["activation: \"rulu\"", "relu"]),
        ("lr = [0.1", ["bad.toml: found in line 1", "expected TOML"]),
        ("seed = [1, 2]", ["seed", "give it as a flag"]),
    ] {
        let bad = folder.write("bad.toml", content);
        let words = folder.search(&["--space", &bad]);
        fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 1, &parts);
    }
    let bad = folder.write("bad.toml", "dropout = [[0.1, 0.2, 0.3, 0.4, 0.5]]");
    let words = folder.search(&["--space", &bad]);
    fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 2, &["trial 2 (dropout 0.1,0.2", "--space"]);
}

#[test]
fn time_that_is_over_ends_the_search_and_is_said() {
    let folder = with_table();
    let words = folder.search(&["--time", "0.000001s"]);
    fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 1, &["--time 0.000001s", "before a trial was done"]);
    // The first rung is known, and no more can be done.
    let log = folder.path("log");
    folder.found(&["--log", &log], 0);
    let text = fs::read_to_string(&log).unwrap();
    let rung = text.lines().take(17).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(&log, &rung).unwrap();
    let save = folder.path("best.safetensors");
    let (out, err) = folder.found(&["--resume", &log, "--time", "0.000001s", "--save", &save], 0);
    assert!(err.contains("depends on this machine's speed"), "{err}");
    let command = out.lines().find(|line| line.starts_with("mlp-gpu train ")).unwrap();
    let again = folder.path("again.safetensors");
    run(&[&self::words(command)[..], &["--save", &again]].concat(), 0);
    assert_eq!(parameters(&again), parameters(&save), "{command}");
    let words = folder.search(&["--time", "soon"]);
    run(&words.iter().map(String::as_str).collect::<Vec<_>>(), 2);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let folder = with_table();
    let refused = |more: &[&str], parts: &[&str]| {
        let words = folder.search(more);
        fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), 2, parts);
    };
    refused(&["--lr", "0.1,0.2"], &["--lr", "a single value", "--space"]);
    refused(&["--folds", "1"], &["give 0, or from 2 to 1000"]);
    refused(&["--folds", "0", "--groups", "colour"], &["--groups", "--folds 0"]);
    refused(&["--validation-split", "0"], &["nothing to judge", "--folds"]);
    let path = folder.path("m.safetensors");
    refused(&["--save", &path, "--save-ensemble", &path], &["name the same file"]);
    let space = folder.write("space.toml", "lr = [0.1, 0.2]");
    refused(&["--space", &space, "--lr", "0.1"], &["nothing is left to draw"]);
    refused(&["--space", &space, "--save", &space], &["would overwrite"]);
}
