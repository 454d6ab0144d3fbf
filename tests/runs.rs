//! Many networks by one command, through the real binary: seeds and lists, ensembles, cross-validation.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use mlp_gpu::{Ensemble, checkpoint};
use serde_json::Value;

use binary::{Folder, command, fails, run};

mod binary;

/// Parameters as bits, of the model in a file.
fn parameters(path: &str) -> Vec<u32> {
    bits(&checkpoint::load(path.as_ref()).unwrap().state.parameters)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const HEADER: &str = "x,y,colour,person,label\n";

/// The lines of `rows` rows: three classes, or a number, that x and y nearly tell; of each person there are four.
fn lines(rows: usize, values: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    for row in 0..rows {
        let (x, y, noise) = (next(), next(), next());
        let sum = x + y + 0.3 * noise;
        let colour = ["red", "green", "blue"][row % 3];
        let mut line = format!("{x:.4},{y:.4},{colour},p{},", row / 4);
        if values {
            write!(line, "{:.4}", 10.0 * sum).unwrap();
        } else {
            line += ["low", "middle", "high"][(sum * 1.3) as usize % 3];
        }
        lines.push(line);
    }
    lines
}

fn table(lines: &[String]) -> String {
    HEADER.to_owned() + &lines.join("\n") + "\n"
}

const SMALL: [&str; 10] =
    ["--backend", "cpu", "--hidden", "8", "--ignore", "person", "--epochs", "4", "--label", "label"];

#[test]
fn seeds_and_lists_make_runs_that_are_those_of_single_commands() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, false)));
    let test = folder.write("test.csv", table(&lines(40, false)));
    let (save, log) = (folder.path("m-{seed}-{lr}.safetensors"), folder.path("log.jsonl"));
    let common = [&["train", "--data", &data, "--test", &test], &SMALL[..]].concat();
    let lists = ["--seeds", "3..5", "--lr", "0.01,0.002", "--save", &save, "--log", &log];
    let (out, _) = run(&[&common[..], &lists, &["--json"]].concat(), 0);
    let whole: Value = serde_json::from_str(&out).unwrap();
    let runs = whole["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 6);
    // No validation part: the best test accuracy is first.
    let accuracies: Vec<f64> = runs.iter().map(|run| run["test_accuracy"].as_f64().unwrap()).collect();
    assert!(accuracies.is_sorted_by(|a, b| a >= b), "{accuracies:?}");
    let mut told = BTreeMap::new();
    for seed in 3..6 {
        for lr in ["0.01", "0.002"] {
            let single = folder.path("single.safetensors");
            let seed_text = seed.to_string();
            let alone = ["--seed", &seed_text, "--lr", lr, "--save", &single];
            run(&[&common[..], &alone].concat(), 0);
            let path = folder.path(&format!("m-{seed}-{lr}.safetensors"));
            assert_eq!(parameters(&path), parameters(&single), "seed {seed}, lr {lr}");
            let found = runs.iter().find(|run| run["seed"] == seed && run["lr"].as_f64() == lr.parse().ok()).unwrap();
            told.entry(lr).or_insert_with(Vec::new).push(found["test_accuracy"].as_f64().unwrap());
        }
    }
    for mean in whole["means"].as_array().unwrap() {
        let lr = mean["options"].as_str().unwrap().strip_prefix("lr ").unwrap();
        let expected = told[lr].iter().sum::<f64>() / 3.0;
        let figure = &mean["figures"]["test_accuracy"];
        assert!((figure["mean"].as_f64().unwrap() - expected).abs() < 1e-12 && figure["seeds"] == 3);
    }
    let log = fs::read_to_string(log).unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let epochs: Vec<(u64, u64)> =
        log.lines().map(line).map(|line| (line["run"].as_u64().unwrap(), line["epoch"].as_u64().unwrap())).collect();
    assert_eq!(epochs, (1..=6).flat_map(|run| (1..=4).map(move |epoch| (run, epoch))).collect::<Vec<_>>());

    let (out, _) = run(&[&common[..], &["--seeds", "3,4"]].concat(), 0);
    assert!(out.contains("Run 2/2: seed 4: epoch 4, test loss") && out.contains("Runs, the best first"), "{out}");
    assert!(out.contains("Mean of 2 seeds: test loss"), "{out}");
}

#[test]
fn runs_whose_rows_are_drawn_share_the_rows_and_their_models_know_them() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(200, false)));
    let common = [&["train", "--data", &data, "--seed", "7"], &SMALL[..]].concat();
    let more = ["--seeds", "0..2", "--validation-split", "0.2", "--save"];
    let save = folder.path("m-{seed}.safetensors");
    let (out, err) = run(&[&common[..], &more, &[&save], &["--json"]].concat(), 0);
    assert!(err.contains("drawn with seed 7"), "{err}");
    let whole: Value = serde_json::from_str(&out).unwrap();
    for seed in 0..3 {
        let model = folder.path(&format!("m-{seed}.safetensors"));
        let (out, _) = run(&["eval", &model, "--backend", "cpu", "--json"], 0);
        let eval: Value = serde_json::from_str(&out).unwrap();
        let runs = whole["runs"].as_array().unwrap();
        let found = runs.iter().find(|run| run["seed"] == seed).unwrap();
        assert_eq!((&eval["accuracy"], eval["n"].as_u64()), (&found["test_accuracy"], Some(20)));
        // It goes on with these rows too.
        let on = folder.path("on.safetensors");
        run(&["train", "--backend", "cpu", "--resume", &model, "--epochs", "5", "--save", &on], 0);
    }
}

#[test]
fn several_runs_go_on_from_their_files() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, true)));
    let test = folder.write("test.csv", table(&lines(40, true)));
    let common = [&["train", "--data", &data, "--test", &test], &SMALL[..]].concat();
    let (whole, parts) = (folder.path("w-{seed}.safetensors"), folder.path("p-{seed}.safetensors"));
    let (out, _) = run(&[&common[..], &["--seeds", "0..3", "--json", "--save", &whole]].concat(), 0);
    // One of two is there, after half its epochs.
    let half = folder.path("p-1.safetensors");
    let half_run = ["--seed", "1", "--save", &half, "--schedule", "constant", "--epochs", "2"];
    let constant = ["--schedule", "constant"];
    let (constant_out, _) =
        run(&[&common[..], &["--seeds", "1..2", "--json", "--save", &whole], &constant[..]].concat(), 0);
    let few: Vec<&str> = common.iter().copied().filter(|flag| !["--epochs", "4"].contains(flag)).collect();
    run(&[&few[..], &half_run].concat(), 0);
    let go_on = ["--seeds", "1..2", "--json", "--save", &parts, "--resume", &parts];
    let (resumed, _) = run(&[&common[..], &go_on, &constant[..]].concat(), 0);
    assert_eq!(resumed, constant_out);
    for seed in 1..3 {
        let path = |name: &str| folder.path(&format!("{name}-{seed}.safetensors"));
        assert_eq!(parameters(&path("p")), parameters(&path("w")));
    }
    // All are done: nothing is trained, and the figures are the same.
    run(&[&common[..], &["--seeds", "0..3", "--json", "--save", &whole]].concat(), 0);
    let (again, _) = run(&[&common[..], &["--seeds", "0..3", "--json", "--resume", &whole]].concat(), 0);
    assert_eq!(again, out);
    fails(
        &[&common[..], &["--seeds", "8..9", "--resume", &whole]].concat(),
        1,
        &["there is nothing to go on from", "w-8.safetensors"],
    );
}

#[test]
fn several_runs_are_refused_where_they_cannot_be_told_apart() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(60, false)));
    let common = [&["train", "--data", &data], &SMALL[..]].concat();
    let (save, both) = (folder.path("m.safetensors"), folder.path("m{seed}{batch-size}.st"));
    let (one_of, zero) = (folder.path("m-{seed}.st"), folder.path("m-0.st"));
    for (flags, parts) in [
        (&["--seeds", "0..3", "--save", &save][..], &["--save", "{seed}", "--seeds"][..]),
        (&["--seeds", "1,11", "--batch-size", "1,11", "--save", &both], &["two runs would write", "m111.st"]),
        (&["--seeds", "0..3", "--save", &one_of, "--log", &zero], &["--save and --log name the same file"]),
        (&["--lr", "0.1,0.1"], &["--lr", "twice"]),
        (&["--lr", "0.1,0.2", "--members", "3"], &["--members"]),
        (&["--lr", "0.1,0.2", "--save", &save, "--save-best"], &["--save-best", "--lr"]),
        (&["--json"], &["--json", "several runs"]),
    ] {
        fails(&[&common[..], flags].concat(), 2, parts);
    }
    assert!(!fs::exists(&save).unwrap());
    run(&[&common[..], &["--seeds", "9..3"]].concat(), 2);
    // One that diverges is told, and the others go on; all of them are an error.
    let sgd = ["--optimizer", "sgd", "--schedule", "constant", "--recipe", "notebook"];
    let (out, err) = run(&[&common[..], &["--lr", "1e30,0.1"], &sgd].concat(), 0);
    assert!(err.contains("Run 1: lr 1e+30: training diverged") && out.contains("Run 2/2"), "{out}{err}");
    fails(&[&common[..], &["--lr", "1e30,1e31"], &sgd].concat(), 1, &["no run ended with a model"]);
}

#[test]
fn members_are_those_of_single_commands_in_one_file_and_go_on() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(160, false)));
    let test = folder.write("test.csv", table(&lines(60, false)));
    let common = [&["train", "--data", &data, "--test", &test], &SMALL[..]].concat();
    let all = folder.path("all.safetensors");
    let (out, err) = run(&[&common[..], &["--members", "4", "--seed", "2", "--save", &all]].concat(), 0);
    let ensemble = Ensemble::load(all.as_ref()).unwrap();
    assert_eq!((ensemble.len(), ensemble.weights()), (4, &[1; 4][..]));
    let mut singles = Vec::new();
    for (member, seed) in ensemble.members().iter().zip(["2", "3", "4", "5"]) {
        let single = folder.path(&format!("s-{seed}.safetensors"));
        run(&[&common[..], &["--seed", seed, "--save", &single]].concat(), 0);
        assert_eq!(bits(&member.state.parameters), parameters(&single), "seed {seed}");
        singles.push(single);
    }
    // What is told at the end is what eval finds.
    let (eval, _) = run(&["eval", &all, "--backend", "cpu", "--data", &test, "--json"], 0);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    let (accuracy, loss) = (eval["accuracy"].as_f64().unwrap(), eval["loss"].as_f64().unwrap());
    assert!(out.contains(&format!("Test Accuracy: {accuracy:.4}, Test Loss: {loss:.4}")), "{out}");
    assert!(err.contains("Tested as an ensemble of 4"), "{err}");

    // Two of them, then all four.
    let part = folder.path("part.safetensors");
    run(&[&common[..], &["--members", "2", "--seed", "2", "--save", &part, "--quiet"]].concat(), 0);
    let on = ["--members", "4", "--seed", "2", "--resume", &part, "--save", &part, "--quiet"];
    run(&[&common[..], &on].concat(), 0);
    assert_eq!(fs::read(&part).unwrap(), fs::read(&all).unwrap());
    fails(
        &[&common[..], &["--members", "2", "--resume", &all]].concat(),
        2,
        &["has a member of seed 2", "asks for 0 to 1"],
    );
    // The log would destroy what the run goes on from.
    let kept = fs::read(&all).unwrap();
    let log = ["--members", "5", "--seed", "2", "--resume", &all, "--log", &all];
    fails(&[&common[..], &log].concat(), 2, &["--log", "would overwrite", "--resume reads"]);
    assert!(fs::read(&all).unwrap() == kept);
}

/// Interrupts a run once it has printed a line with `text`.
#[cfg(unix)]
fn interrupted(arguments: &[&str], text: &str) {
    use std::io::{BufRead as _, BufReader};
    let mut child =
        command(arguments).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(text)), "no line with {text}");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[cfg(unix)]
#[test]
fn an_interrupted_ensemble_goes_on_and_loses_nothing() {
    let folder = Folder::new();
    // Rows enough for a validation part: the recipe stops early.
    let data = folder.write("t.csv", table(&lines(640, false)));
    let common =
        ["train", "--data", &data, "--backend", "cpu", "--hidden", "8", "--ignore", "person", "--label", "label"];
    for (name, flags) in [("early", &["--epochs", "60"][..]), ("whole", &["--epochs", "60", "--recipe", "image"])] {
        let (whole, part) = (folder.path("whole.safetensors"), folder.path(&format!("{name}.safetensors")));
        let command = |save: &str| {
            [&common[..], flags, &["--members", "60", "--save"]]
                .concat()
                .into_iter()
                .map(String::from)
                .chain([save.into()])
                .collect::<Vec<String>>()
        };
        let first = command(&part);
        interrupted(&first.iter().map(String::as_str).collect::<Vec<_>>(), "Run 3/60");
        let kept = Ensemble::load(part.as_ref()).unwrap().len();
        assert!((3..60).contains(&kept), "{kept}");
        // Again, soon: what was there is still there.
        let mut again = command(&part);
        again.extend(["--resume".into(), part.clone()]);
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        interrupted(&again, "Run 1/60");
        assert!(Ensemble::load(part.as_ref()).unwrap().len() >= kept);
        run(&[&again[..], &["--quiet"]].concat(), 0);
        let all = command(&whole);
        run(&[&all.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--quiet"]].concat(), 0);
        assert!(fs::read(&part).unwrap() == fs::read(&whole).unwrap(), "{name}");
    }
}

#[test]
fn runs_that_are_right_as_often_are_ordered_by_their_losses() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(200, false)));
    let few = ["--backend", "cpu", "--hidden", "8", "--ignore", "person", "--epochs", "1", "--label", "label"];
    // Steps so small that predictions hardly change: the first run has the larger loss.
    let (out, _) = run(&[&["train", "--data", &data, "--lr", "1e-6,2e-4"], &few[..]].concat(), 0);
    let (_, told) = out.split_once("Runs, the best first").unwrap();
    let rows: Vec<Vec<f64>> =
        told.lines().filter_map(|line| line.split_whitespace().map(|cell| cell.parse().ok()).collect()).collect();
    let [first, second] = &rows[..] else { panic!("{out}") };
    let (loss, accuracy) = (2, 3);
    assert!(first[accuracy] == second[accuracy] && first[loss] < second[loss], "{out}");
}

/// The rows of each fold, from 0, as the out-of-fold file has them.
fn folds(out_of_fold: &str) -> Vec<Vec<usize>> {
    let text = fs::read_to_string(out_of_fold).unwrap();
    let mut folds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',').map(|cell| cell.parse().unwrap_or(0));
        let (row, fold) = (cells.next().unwrap(), cells.next().unwrap());
        folds.entry(fold).or_default().push(row - 1);
    }
    folds.into_values().collect()
}

#[test]
fn folds_are_runs_by_hand_with_the_same_rows() {
    for values in [false, true] {
        let folder = Folder::new();
        let all = lines(640, values);
        let data = folder.write("t.csv", table(&all));
        let (out_of_fold, models) = (folder.path("oof.csv"), folder.path("folds.safetensors"));
        // Rows enough for a validation part, which is drawn within each fold's training rows.
        let few = ["--backend", "cpu", "--hidden", "8", "--ignore", "person", "--epochs", "6", "--label", "label"];
        let cv = ["--folds", "4", "--out-of-fold", &out_of_fold, "--save", &models, "--seed", "3", "--json"];
        let (out, _) = run(&[&["cv", "--data", &data], &few[..], &cv].concat(), 0);
        let told: Value = serde_json::from_str(&out).unwrap();
        let ensemble = Ensemble::load(models.as_ref()).unwrap();
        let folds = folds(&out_of_fold);
        assert_eq!((folds.len(), ensemble.len()), (4, 4));
        let mut seen: Vec<usize> = folds.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..640).collect::<Vec<_>>());
        for (number, rows) in folds.iter().enumerate() {
            let part = |held_back: bool| {
                let those = all.iter().enumerate().filter(|(row, _)| rows.contains(row) == held_back);
                table(&those.map(|(_, line)| line.clone()).collect::<Vec<_>>())
            };
            let (train, test) = (folder.write("train.csv", part(false)), folder.write("held.csv", part(true)));
            let hand = folder.path("hand.safetensors");
            let flags = ["train", "--data", &train, "--test", &test, "--seed", "3", "--save", &hand];
            run(&[&flags, &few[..]].concat(), 0);
            let member = &ensemble.members()[number];
            assert_eq!(bits(&member.state.parameters), parameters(&hand), "fold {number}, values {values}");
            let (eval, _) = run(&["eval", &hand, "--backend", "cpu", "--data", &test, "--json"], 0);
            let eval: Value = serde_json::from_str(&eval).unwrap();
            let names = if values { ["n", "rmse", "r2"] } else { ["n", "accuracy", "log_loss"] };
            for name in names {
                // Targets are rounded to float32 once more in a fold.
                let [eval, told] = [&eval[name], &told["folds"][number][name]].map(|figure| figure.as_f64().unwrap());
                assert!((eval - told).abs() <= 1e-6 * eval.abs(), "{name}: {eval} {told}");
            }
            // What the file says of a row is what that network predicts.
            let predicted = folder.path("predicted.csv");
            run(&["predict", &hand, "--backend", "cpu", &test, "--output", &predicted], 0);
            let predicted = fs::read_to_string(predicted).unwrap();
            let out_of_fold = fs::read_to_string(&out_of_fold).unwrap();
            for (line, row) in predicted.lines().skip(1).zip(rows) {
                let own = out_of_fold.lines().nth(row + 1).unwrap();
                assert!(own.ends_with(line), "{own} {line}");
                // The target with the digits of the data.
                let [own, target] =
                    [(own, 2), (all[*row].as_str(), 4)].map(|(line, at)| line.split(',').nth(at).unwrap());
                let same = if values { own.parse::<f64>() == target.parse() } else { own == target };
                assert!(same, "row {row}: {own}, in the data {target}");
            }
        }
        let name = if values { "rmse" } else { "accuracy" };
        let of = told["folds"].as_array().unwrap().iter().map(|fold| fold[name].as_f64().unwrap());
        let figures: Vec<f64> = of.collect();
        let mean = figures.iter().sum::<f64>() / 4.0;
        let deviation = (figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
        assert!((told["mean"][name].as_f64().unwrap() - mean).abs() < 1e-12);
        assert!((told["standard_deviation"][name].as_f64().unwrap() - deviation).abs() < 1e-12);
    }
}

#[test]
fn folds_have_the_same_share_of_each_class_and_never_part_a_group() {
    let folder = Folder::new();
    let all = lines(203, false);
    let data = folder.write("t.csv", table(&all));
    let out_of_fold = folder.path("oof.csv");
    let common = ["cv", "--data", &data, "--backend", "cpu", "--hidden", "4", "--epochs", "1", "--label", "label"];
    let label = |row: &usize| all[*row].rsplit(',').next().unwrap().to_owned();
    run(
        &[&common[..], &["--ignore", "person", "--out-of-fold", &out_of_fold, "--repeats", "2", "--quiet"]].concat(),
        0,
    );
    let text = fs::read_to_string(&out_of_fold).unwrap();
    assert!(text.starts_with("row,repeat,fold,class,predicted,p_") && text.lines().count() == 1 + 2 * 203);
    run(&[&common[..], &["--ignore", "person", "--out-of-fold", &out_of_fold, "--quiet"]].concat(), 0);
    let drawn = folds(&out_of_fold);
    for class in ["low", "middle", "high"] {
        let counts: Vec<usize> =
            drawn.iter().map(|rows| rows.iter().filter(|row| label(row) == class).count()).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{class}: {counts:?}");
    }
    run(&[&common[..], &["--groups", "person", "--out-of-fold", &out_of_fold, "--quiet"]].concat(), 0);
    let grouped = folds(&out_of_fold);
    let fold_of = |row: usize| grouped.iter().position(|rows| rows.contains(&row)).unwrap();
    for row in 0..203 {
        assert_eq!(fold_of(row), fold_of(row / 4 * 4), "row {row}");
    }
    let sizes: Vec<usize> = grouped.iter().map(Vec::len).collect();
    assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 4, "{sizes:?}");
    assert_ne!(grouped, drawn);
    for (flags, parts) in [
        (&["--groups", "person", "--folds", "60"][..], &["51 groups", "60 folds"][..]),
        (&["--groups", "label"], &["label", "predicted"]),
        (&["--test-split", "0.2"], &["--test-split", "every row is tested"]),
        (&["--lr", "0.1,0.2"], &["--lr", "single value"]),
        (&["--seeds", "0..2"], &["--seeds", "single value"]),
    ] {
        fails(&[&common[..], flags].concat(), 2, parts);
    }
    fails(&["cv", "--data", "digits", "--backend", "cpu", "--groups", "x"], 2, &["--groups", "table"]);
}

#[test]
fn folds_of_images_share_their_rows_and_cross_validation_goes_on() {
    let folder = Folder::new();
    // 300 images in IDX files.
    let images: Vec<u8> =
        (0..300usize * 16).map(|at| (at * 2_654_435_761 % 251) as u8 * u8::from(at % 3 > 0)).collect();
    let labels: Vec<u8> = (0..300).map(|row| (row % 4) as u8).collect();
    let idx = |kind: u8, sizes: &[u32], values: &[u8]| {
        let mut bytes = vec![0, 0, 8, kind];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        [bytes, values.to_vec()].concat()
    };
    fs::create_dir(folder.path("idx")).unwrap();
    fs::write(folder.path("idx/train-images-idx3-ubyte"), idx(3, &[300, 4, 4], &images)).unwrap();
    fs::write(folder.path("idx/train-labels-idx1-ubyte"), idx(1, &[300], &labels)).unwrap();
    let (data, whole, part) = (folder.path("idx"), folder.path("w.safetensors"), folder.path("p.safetensors"));
    let common = ["cv", "--data", &data, "--backend", "cpu", "--hidden", "6", "--validation-split", "0.1"];
    let flags = ["--folds", "3", "--class-weight", "balanced", "--epochs", "3", "--json"];
    let (out, _) = run(&[&common[..], &flags, &["--save", &whole]].concat(), 0);
    let ensemble = Ensemble::load(whole.as_ref()).unwrap();
    // As when it was interrupted before the last fold.
    let mut members = ensemble.members().to_vec();
    members.pop();
    Ensemble::new(members).unwrap().save(part.as_ref()).unwrap();
    let (again, _) = run(&[&common[..], &flags, &["--resume", &part, "--save", &part]].concat(), 0);
    assert_eq!((again, fs::read(&part).unwrap()), (out, fs::read(&whole).unwrap()));
    let other = [&common[..], &flags, &["--resume", &part, "--seed", "1"]].concat();
    fails(&other, 1, &["was trained by another command"]);
    for flag in ["--log", "--out-of-fold"] {
        let onto = [&common[..], &flags, &["--resume", &part, flag, &part]].concat();
        fails(&onto, 2, &[flag, "would overwrite", "--resume reads"]);
    }
    assert!(fs::read(&part).unwrap() == fs::read(&whole).unwrap());
}

#[test]
fn predictions_that_would_lack_rows_are_not_written_and_left_out_rows_are_not_counted() {
    let folder = Folder::new();
    let all = lines(90, false);
    let data = folder.write("t.csv", table(&all));
    let out_of_fold = folder.write("oof.csv", "before");
    let common = ["cv", "--data", &data, "--backend", "cpu", "--ignore", "person", "--label", "label", "--epochs", "2"];
    let diverging = ["--recipe", "notebook", "--optimizer", "sgd", "--lr", "1e30", "--out-of-fold", &out_of_fold];
    let (_, err) = run(&[&common[..], &diverging].concat(), 1);
    assert!(err.contains("Fold 1/5: training diverged") && err.contains("it would lack rows"), "{err}");
    assert_eq!(fs::read_to_string(&out_of_fold).unwrap(), "before");
    // The rows that stay are numbered as if they were all.
    let kept: Vec<String> =
        all.iter().enumerate().filter(|(row, _)| row % 9 != 4).map(|(_, line)| line.clone()).collect();
    let hole = |line: &str| format!(",{}", line.split_once(',').unwrap().1);
    let holes = all.iter().enumerate().map(|(row, line)| if row % 9 == 4 { hole(line) } else { line.clone() });
    let holes: Vec<String> = holes.collect();
    let write = |name: &str, rows: &[String], flags: &[&str]| {
        let data = folder.write("u.csv", table(rows));
        let file = folder.path(name);
        let common =
            ["cv", "--data", &data, "--backend", "cpu", "--ignore", "person", "--label", "label", "--epochs", "2"];
        run(&[&common[..], &["--out-of-fold", &file, "--quiet"], flags].concat(), 0);
        fs::read_to_string(file).unwrap()
    };
    assert_eq!(write("a.csv", &holes, &["--missing", "drop"]), write("b.csv", &kept, &[]));
}

/// The options of a run by the names of flags.
fn config(folder: &str) -> String {
    fs::read_to_string(format!("{folder}/config.toml")).unwrap()
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The epochs in a log of JSON lines behind its first line.
fn logged(path: &str) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_folder_holds_what_repeats_its_run_to_the_bit() {
    let folder = Folder::new();
    folder.write("t.csv", table(&lines(640, false)));
    folder.write("v.csv", table(&lines(120, true)));
    let elsewhere = Folder::new();
    for (number, flags) in [
        &["--data", "t.csv", "--epochs", "3"][..],
        &["--data", "t.csv", "--recipe", "notebook", "--lr-decay", "0.01", "--no-shuffle", "--epochs", "2"],
        &["--data", "t.csv", "--class-weight", "balanced", "--optimizer", "momentum", "--epochs", "2", "--seed", "7"],
        &["--data", "v.csv", "--hidden", "8,4", "--dropout", "0.1,0.2", "--epochs", "2", "--test-split", "0.3"],
        &["--data", "v.csv", "--hidden", "none", "--epochs", "2", "--embed", "none", "--clip-norm", "1"],
    ]
    .into_iter()
    .enumerate()
    {
        let kept = folder.path(&format!("run{number}"));
        let fixed = ["train", "--backend", "cpu", "--ignore", "person", "--label", "label", "--run-dir", &kept];
        let first = command(&[&fixed[..], flags].concat()).current_dir(folder.0.path()).output().unwrap();
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        let all = ["config.toml", "evaluation.json", "log.jsonl", "model.safetensors", "report.html"];
        assert_eq!(names_in(&kept), all);
        let (file, again) = (format!("{kept}/config.toml"), elsewhere.path(&format!("run{number}")));
        let second =
            command(&["train", "--config", &file, "--run-dir", &again]).current_dir(elsewhere.0.path()).output();
        let second = second.unwrap();
        assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
        let model = |folder: &str| fs::read(format!("{folder}/model.safetensors")).unwrap();
        assert!(model(&kept) == model(&again), "{flags:?}");
        assert_eq!(config(&again), config(&kept));
        let untimed = |folder: &str| -> Vec<Value> {
            let mut lines = logged(&format!("{folder}/log.jsonl"));
            for line in &mut lines {
                let line = line.as_object_mut().unwrap();
                line.retain(|name, _| !name.ends_with("_seconds") && name != "samples_per_second");
            }
            lines
        };
        assert_eq!(untimed(&again), untimed(&kept));
    }
    let text = config(&folder.path("run0"));
    for line in ["recipe = \"table\"", "lr = 0.002", "validation-split = 0.1", "backend = \"cpu\""] {
        assert!(text.lines().any(|own| own == line), "no {line} in {text}");
    }
}

#[test]
fn a_run_folder_is_used_for_one_run_which_goes_on_in_it() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, false)));
    let few = &SMALL[..6];
    let common = [&["train", "--data", &data, "--label", "label", "--schedule", "constant"], few].concat();
    let (whole, part) = (folder.path("whole"), folder.path("part"));
    run(&[&common[..], &["--epochs", "5", "--run-dir", &whole]].concat(), 0);
    run(&[&common[..], &["--epochs", "2", "--run-dir", &part]].concat(), 0);
    let model = format!("{part}/model.safetensors");
    fails(&[&common[..], &["--epochs", "5", "--run-dir", &part]].concat(), 2, &["is not empty", &model]);
    fails(&[&common[..], &["--run-dir", &folder.path("other"), "--seeds", "0..3"]].concat(), 2, &["--run-dir"]);
    fails(&["train", "--resume", &model, "--run-dir", &folder.path("other")], 2, &["the folder of its run"]);
    let on = ["train", "--backend", "cpu", "--resume", &model, "--epochs", "5", "--run-dir", &part];
    let (_, err) = run(&on, 0);
    assert!(err.contains("To train on: mlp-gpu train --resume") && err.contains("--run-dir"), "{err}");
    assert_eq!(parameters(&model), parameters(&format!("{whole}/model.safetensors")));
    assert_eq!(config(&part), config(&whole));
    let epochs: Vec<u64> =
        logged(&format!("{part}/log.jsonl")).iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 3, 4, 5]);
    // What a file says is overruled by the command, and what it cannot say is told with its line.
    let file = format!("{part}/config.toml");
    run(&["train", "--config", &file, "--seed", "3", "--save", &folder.path("m.st"), "-q"], 0);
    assert_eq!(checkpoint::load(folder.path("m.st").as_ref()).unwrap().metadata.unwrap().recipe.seed, 3);
    let bad = folder.write("bad.toml", "lr = 0.1\nepoch = 3\n");
    fails(&["train", "--config", &bad], 1, &["bad.toml", "line 2", "epoch", "such as epochs"]);
    // A run that fails leaves no folder behind.
    let none = folder.path("none");
    run(&["train", "--data", &folder.path("no.csv"), "--run-dir", &none], 1);
    assert!(!fs::exists(&none).unwrap());
}

/// The files of a folder, by name.
fn contents(folder: &str) -> BTreeMap<String, Vec<u8>> {
    names_in(folder).into_iter().map(|name| (name.clone(), fs::read(format!("{folder}/{name}")).unwrap())).collect()
}

#[test]
fn a_run_that_goes_on_from_a_checkpoint_spares_the_folders_of_other_runs() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, false)));
    let (own, other, midway) = (folder.path("own"), folder.path("other"), folder.path("c.st"));
    let common = [&["train", "--data", &data], &SMALL[..]].concat();
    let checkpoint = ["--checkpoint", &midway, "--checkpoint-every", "2"];
    run(&[&common[..], &["--run-dir", &own], &checkpoint].concat(), 0);
    run(&[&common[..], &["--run-dir", &other, "--lr", "0.03"]].concat(), 0);
    let before = contents(&other);
    let on = [&["train", "--backend", "cpu", "--resume", &midway, "--epochs", "6"], &checkpoint[..]].concat();
    let (log, board) = (folder.path("log.jsonl"), folder.path("board"));
    let elsewhere = ["--run-dir", &other, "--log", &log, "--tensorboard", &board];
    fails(&[&on[..], &elsewhere].concat(), 2, &[&other, "holds another run"]);
    assert_eq!(contents(&other), before);
    assert!(!fs::exists(&board).unwrap());
    // The same data by another name are the same run.
    let copy = folder.write("copy.csv", table(&lines(120, false)));
    run(&[&on[..], &["--data", &copy, "--run-dir", &own]].concat(), 0);
    // And so they are for the run that goes on from there.
    let further = ["train", "--backend", "cpu", "--resume", &midway, "--epochs", "8", "--run-dir", &own];
    run(&[&further[..], &checkpoint].concat(), 0);
    let epochs: Vec<u64> =
        logged(&format!("{own}/log.jsonl")).iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[cfg(unix)]
#[test]
fn an_evaluation_stays_until_there_is_a_new_one() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, false)));
    let kept = folder.path("kept");
    let (model, evaluation) = (format!("{kept}/model.safetensors"), format!("{kept}/evaluation.json"));
    run(&[&["train", "--data", &data, "--run-dir", &kept], &SMALL[..]].concat(), 0);
    let first = fs::read(&evaluation).unwrap();
    // It goes on for ever and is stopped: its model is newer than what was found of the one before.
    let on = ["train", "--backend", "cpu", "--resume", &model, "--epochs", "1000000", "--run-dir", &kept];
    interrupted(&on, "Epoch 6/");
    assert_eq!(fs::read(&evaluation).unwrap(), first);
    fs::rename(&data, folder.path("gone.csv")).unwrap();
    let (_, err) = run(&["report", &kept, "--backend", "cpu"], 0);
    assert!(err.contains("an earlier state of the model") && err.contains("t.csv"), "{err}");
    assert_eq!(fs::read(&evaluation).unwrap(), first);
    fs::rename(folder.path("gone.csv"), &data).unwrap();
    let (_, err) = run(&["report", &kept, "--backend", "cpu"], 0);
    assert!(!err.contains("an earlier state"), "{err}");
    assert_ne!(fs::read(&evaluation).unwrap(), first);
    let whole = fs::read(&model).unwrap();
    fs::write(&model, &whole[..700]).unwrap();
    fails(&["report", &kept, "--backend", "cpu"], 1, &["model.safetensors"]);
}

#[test]
fn runs_are_listed_compared_and_cleaned_up() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, false)));
    let runs = folder.path("runs");
    let at = |name: &str| format!("{runs}/{name}");
    let common = [&["train", "--data", &data], &SMALL[..]].concat();
    run(&[&common[..], &["--run-dir", &at("a"), "--lr", "0.01"]].concat(), 0);
    run(&[&common[..], &["--run-dir", &at("b"), "--dropout", "0.5"]].concat(), 0);
    let (out, _) = run(&["runs", "list", &runs], 0);
    assert!(out.starts_with("run  epochs  best  test accuracy  time\na    4 of 4  "), "{out}");
    let (out, _) = run(&["runs", "compare", &at("a"), &at("b")], 0);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["lr", "0.01", "0.002"]) && lines.contains(&vec!["dropout", "0.2", "0.5"]), "{out}");
    assert!(!out.contains("epochs  ") && out.contains("test accuracy"), "{out}");
    let (out, _) = run(&["runs", "compare", &at("a"), &at("b"), "--json"], 0);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["differing"], serde_json::json!(["dropout", "lr"]));
    let best = found["runs"][0]["best_epoch"].as_u64().unwrap() as usize;
    let log = logged(&format!("{}/log.jsonl", at("a")));
    let accuracy = |epoch: &Value| epoch["test_accuracy"].as_f64().unwrap();
    assert!(log.iter().all(|epoch| accuracy(epoch) <= accuracy(&log[best - 1])));
    assert_eq!(found["runs"][0]["figures"]["test_accuracy"], log[best - 1]["test_accuracy"]);
    let page = folder.path("compared.html");
    let (beside, _) = run(&["runs", "compare", &at("a"), &at("b"), "--output", &page], 0);
    let html = fs::read_to_string(&page).unwrap();
    for part in
        ["<h1>a, b</h1>", "2 runs. ", "has the greatest test accuracy", "<td>dropout</td>", "Accuracy, test", "<svg"]
    {
        assert!(html.contains(part), "no {part:?} in {html}");
    }
    assert!(beside.contains("dropout") && !html.contains("http://") && !html.contains("https://"), "{html}");
    let own = at("a") + "/report.html";
    fails(&["runs", "compare", &at("a"), &at("b"), "--output", &own], 2, &["--output", "would overwrite"]);
    fails(&["runs", "compare", &runs], 1, &["no config.toml"]);

    // One that never finished an epoch, one with a file of somebody's, and what is no run.
    for name in ["left", "own"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name) + "/config.toml", "epochs = 3\n").unwrap();
    }
    fs::write(at("own") + "/notes.txt", "mine").unwrap();
    fs::create_dir(at("other")).unwrap();
    fails(&["runs", "clean", &runs], 2, &["--yes"]);
    assert!(fs::exists(at("left")).unwrap());
    let (out, err) = run(&["runs", "clean", &runs, "--yes"], 0);
    assert_eq!(out.trim_end(), at("left"));
    assert!(err.contains("notes.txt is no file of a run"), "{err}");
    assert_eq!(names_in(&runs), ["a", "b", "other", "own"]);
}

#[test]
fn a_log_may_be_a_table() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(120, true)));
    let common = [&["train", "--data", &data, "-q"], &SMALL[..]].concat();
    let (log, json) = (folder.path("log.csv"), folder.path("log.jsonl"));
    run(&[&common[..], &["--log", &log, "--eval-every", "2"]].concat(), 0);
    run(&[&common[..], &["--log", &json, "--eval-every", "2"]].concat(), 0);
    let read = |path: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split(',').map(String::from).collect()).collect()
    };
    let rows = read(&log);
    assert_eq!(rows[0][..2], ["epoch", "lr"]);
    assert!(rows.len() == 5 && rows.iter().all(|row| row.len() == rows[0].len()));
    for (row, line) in rows[1..].iter().zip(logged(&json)) {
        for (name, cell) in
            rows[0].iter().zip(row).filter(|(name, _)| !name.ends_with("onds") && !name.ends_with("second"))
        {
            assert_eq!(cell.parse().ok(), line[name].as_f64(), "{name}");
        }
    }
    // Not every epoch has all figures, and the columns are there from the first line on.
    assert!(rows[0].contains(&"test_rmse".into()) && rows[1].last().unwrap().is_empty());
    run(&[&common[..], &["--log", &log, "--seeds", "0..1"]].concat(), 0);
    assert_eq!(read(&log)[0][..3], ["run", "seed", "epoch"]);
    run(
        &["cv", "--data", &data, "-q", "--folds", "2", "--log", &log].iter().chain(&SMALL).copied().collect::<Vec<_>>(),
        0,
    );
    assert_eq!(read(&log)[0][..3], ["repeat", "fold", "epoch"]);
    assert_eq!(read(&log).len(), 9);
    let search = ["search", "--data", &data, "--label", "label", "--log", &log];
    fails(&search, 2, &["JSON lines"]);
}

#[test]
fn no_line_at_a_terminal_is_wider_than_it() {
    // Those of digits and of check are looked at in tests/cli.rs.
    let folder = Folder::new();
    let (classes, values) =
        (folder.write("t.csv", table(&lines(640, false))), folder.write("v.csv", table(&lines(640, true))));
    let (class_model, value_model) = (folder.path("c.st"), folder.path("v.st"));
    let few = ["--backend", "cpu", "--hidden", "8", "--epochs", "2", "--label", "label"];
    let with = |first: &[&str], rest: &[&str]| [first, &few, rest].concat().into_iter().map(String::from).collect();
    let commands: Vec<Vec<String>> = vec![
        with(&["train", "--data", &classes], &["--save", &class_model]),
        with(&["train", "--data", &values], &["--save", &value_model, "-v"]),
        with(&["cv", "--data", &classes], &["--folds", "2"]),
        with(&["cv", "--data", &values], &["--folds", "2", "--repeats", "2"]),
        with(&["search", "--data", &classes], &["--trials", "4", "--folds", "2"]),
        with(&["search", "--data", &values], &["--trials", "4", "--folds", "0"]),
        ["bench", "--data", &classes, "--label", "label", "--backend", "cpu", "--hidden", "8"]
            .map(String::from)
            .to_vec(),
        ["predict", &class_model, &classes, "--backend", "cpu"].map(String::from).to_vec(),
        ["eval", &class_model, "--backend", "cpu"].map(String::from).to_vec(),
        ["eval", &value_model, "--backend", "cpu"].map(String::from).to_vec(),
        ["data", "inspect", &classes, "--label", "label"].map(String::from).to_vec(),
        ["data", "inspect", &values, "--label", "label"].map(String::from).to_vec(),
    ];
    for words in commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = command(&words).env("COLUMNS", "80").output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        for stream in [output.stdout, output.stderr] {
            let text = String::from_utf8(stream).unwrap();
            // Paths are as long as they are, and a command for a pipe is one line.
            let own = |line: &&str| !line.contains(folder.0.path().to_str().unwrap()) && !line.starts_with("mlp-gpu ");
            let wide = text.lines().filter(own).find(|line| line.chars().count() > 80);
            assert!(wide.is_none(), "{words:?}: {wide:?}");
        }
    }
}

/// Keys, each behind the word at which it is typed.
#[cfg(target_os = "linux")]
type Keys<'a> = &'a [(&'a str, &'a str)];

/// What a terminal of 80 x 24 gets of a command, and the exit code. Of `keys` each is typed once its word stands there; none where there
/// is no `script`, which makes terminals. The terminal must be set afterwards as it was before.
#[cfg(target_os = "linux")]
fn at_a_terminal(arguments: &[&str], keys: Keys<'_>) -> Option<(String, Option<i32>)> {
    use std::io::{Read, Write};
    use std::process::Stdio;

    let quoted: String = arguments.iter().map(|word| format!(" '{word}'")).collect();
    // The shell outlives Ctrl-C, and the last that is written by a moment: `script` may end with its shell before it has read all.
    let line = format!(
        "trap : INT; stty rows 24 cols 80; before=$(stty -g); '{}'{quoted}; code=$?; \
         [ \"$(stty -g)\" = \"$before\" ] || echo set otherwise; sleep 0.2; exit $code",
        env!("CARGO_BIN_EXE_mlp-gpu")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
    script.env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut keys, mut part) = (Vec::new(), keys.iter(), [0; 4096]);
    let mut next = keys.next();
    while let Ok(length @ 1..) = output.read(&mut part) {
        seen.extend_from_slice(&part[..length]);
        if let Some((_, key)) = next.filter(|(text, _)| String::from_utf8_lossy(&seen).contains(text)) {
            input.write_all(key.as_bytes()).and_then(|()| input.flush()).unwrap();
            next = keys.next();
        }
    }
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(!seen.contains("set otherwise"), "{seen}");
    Some((seen, child.wait().unwrap().code()))
}

/// The lines of what a terminal got, also those that others took the place of, without colours and the like.
#[cfg(target_os = "linux")]
fn lines_on_screen(seen: &str) -> Vec<String> {
    let mut parts = seen.split('\x1b');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(['[', '?', ';', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        text.push_str(rest.get(1..).unwrap_or_default());
    }
    text.split(['\r', '\n']).map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn bars_fit_a_terminal_and_ctrl_c_leaves_it_whole() {
    let folder = Folder::new();
    // Too few for a validation part, by which a run would stop early.
    let data = folder.write("t.csv", table(&lines(400, false)));
    let model = folder.path("m.st");
    let few = ["--data", &data, "--label", "label", "--backend", "cpu", "--hidden", "8"];
    let with = |first: &str, rest: &[&str]| [&[first][..], &few, rest].concat().into_iter().map(String::from).collect();
    let endless = "1000000";
    // What is typed, once which word stands there, and the exit code.
    let commands: Vec<(Vec<String>, Keys<'_>, i32)> = vec![
        (with("train", &["--epochs", "400", "--save", &model]), &[], 0),
        (with("train", &["--epochs", endless, "--save", &model]), &[("rows/s, ", "\x03")], 130),
        (with("train", &["--epochs", endless, "--dashboard"]), &[("Best", "\x03")], 130),
        (with("train", &["--epochs", endless, "--members", "3", "--save", &model]), &[("of 3 networks", "\x03")], 130),
        (with("cv", &["--epochs", "40", "--folds", "3"]), &[], 0),
        (with("cv", &["--epochs", endless, "--folds", "3"]), &[("of 3 networks", "\x03")], 130),
        (with("search", &["--epochs", "4", "--trials", "4", "--folds", "2"]), &[], 0),
        (with("search", &["--epochs", endless, "--trials", "4", "--folds", "2"]), &[("networks", "\x03")], 130),
        (with("bench", &[]), &[], 0),
        (["predict", &model, &data, "--backend", "cpu"].map(String::from).to_vec(), &[], 0),
    ];
    for (words, keys, expected) in commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((seen, code)) = at_a_terminal(&words, keys) else {
            return println!("no script: bars_fit_a_terminal_and_ctrl_c_leaves_it_whole");
        };
        assert_eq!(code, Some(expected), "{words:?}: {seen}");
        assert!(seen.rfind("\x1b[?25l") <= seen.rfind("\x1b[?25h"), "no cursor: {seen}");
        let own = |line: &&String| !line.contains(folder.0.path().to_str().unwrap());
        // A dashboard draws where it likes.
        let lines = lines_on_screen(&seen[seen.rfind("\x1b[?1049l").unwrap_or(0)..]);
        let wide = lines.iter().filter(own).find(|line| line.chars().count() > 80);
        assert!(wide.is_none(), "{words:?}: {wide:?}");
        let has_bar = keys.is_empty() && ["train", "cv", "search"].contains(&words[0]);
        assert!(!has_bar || lines.iter().any(|line| line.contains("rows/s")), "{words:?}: {seen}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_dashboard_leaves_the_terminal_and_the_numbers_as_they_are() {
    let folder = Folder::new();
    let data = folder.write("t.csv", table(&lines(300, false)));
    let (with, without, stopped) = (folder.path("with.st"), folder.path("without.st"), folder.path("stopped.st"));
    let arguments = [&["--data", &data][..], &SMALL].concat();
    let shown = [&["train"], &arguments[..], &["--save", &with, "--dashboard"]].concat();
    let Some((seen, code)) = at_a_terminal(&shown, &[]) else {
        return println!("no script: a_dashboard_leaves_the_terminal_and_the_numbers_as_they_are");
    };
    assert_eq!(code, Some(0), "{seen}");
    let (taken, given_back) = (seen.find("\x1b[?1049h").unwrap(), seen.find("\x1b[?1049l").unwrap());
    let after = &seen[given_back..];
    assert!(taken < given_back && after.contains("\x1b[?25h"), "{seen}");
    // What an ordinary run prints comes then.
    for line in ["Epoch 1/4, ", "Epoch 4/4, ", "Test Accuracy: ", "Best epoch: ", "Saved: ", "To train on:"] {
        assert!(after.contains(line) && !seen[taken..given_back].contains("Mean Loss"), "no {line:?} in {after}");
    }
    run(&[&["train"], &arguments[..], &["--save", &without]].concat(), 0);
    assert_eq!(fs::read(&with).unwrap(), fs::read(&without).unwrap());

    // In place of the epochs of SMALL.
    let endless = [&arguments[..arguments.len() - 4], &["--label", "label", "--epochs", "100000"]].concat();
    let keys = [("Best", "s"), ("Saved:", "q")];
    let shown = [&["train"], &endless[..], &["--save", &stopped, "--dashboard"]].concat();
    let (seen, code) = at_a_terminal(&shown, &keys).unwrap();
    assert_eq!(code, Some(130), "{seen}");
    let after = &seen[seen.find("\x1b[?1049l").unwrap()..];
    assert!(after.contains("Saved: ") && after.contains("Interrupted: epoch "), "{after}");
    let kept = checkpoint::load(stopped.as_ref()).unwrap().metadata.unwrap().epochs;
    assert!(after.contains(&format!("epoch {kept} of 100000")), "{kept}: {after}");

    fails(&[&["train", "--dashboard"], &arguments[..]].concat(), 2, &["--dashboard takes a terminal"]);
    fails(
        &[&["train", "--dashboard", "--members", "3"], &arguments[..]].concat(),
        2,
        &["--dashboard is for one network"],
    );
}

/// The lines of a file of a run in a store of MLflow's, which has one run.
fn of_mlflow(store: &str, file: &str) -> Vec<String> {
    let runs = fs::read_dir(Path::new(store).join("0")).unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<_> = runs.filter(|path| path.is_dir()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    fs::read_to_string(runs[0].join(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_run_is_written_in_the_layout_of_mlflow() {
    let folder = Folder::new();
    let (store, failed, log) = (folder.path("my runs"), folder.path("failed"), folder.path("log.jsonl"));
    let table = folder.path("table.csv");
    let lines = (0..80).map(|row| format!("{}.5,{},{}\n", row % 2, row % 7, ["a", "b"][row % 2]));
    fs::write(&table, format!("x,z,label\n{}", lines.collect::<String>())).unwrap();
    let common = ["train", "--data", &table, "--hidden", "4", "--backend", "cpu", "-q"];
    run(&[&common[..], &["--epochs", "2", "--mlflow", &store, "--log", &log]].concat(), 0);
    let log = fs::read_to_string(&log).unwrap();
    let epochs: Vec<Value> = log.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let written = of_mlflow(&store, "metrics/loss/test");
    assert_eq!(written.len(), 2);
    for (line, epoch) in written.iter().zip(&epochs) {
        let [time, value, step] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(time.parse::<u64>().unwrap() > 1_700_000_000_000);
        assert_eq!(value.parse::<f64>().unwrap(), epoch["test_loss"].as_f64().unwrap());
        assert_eq!(step, epoch["epoch"].to_string());
    }
    assert_eq!(of_mlflow(&store, "params/batch_size"), ["64"]);
    assert_eq!(of_mlflow(&store, "params/network"), ["2-4-2"]);
    assert_eq!(of_mlflow(&store, "tags/epoch"), ["2"]);
    let meta = of_mlflow(&store, "meta.yaml");
    assert!(
        meta.contains(&"status: 3".to_owned()) && meta.iter().any(|line| line.contains("/my%20runs/0/")),
        "{meta:?}"
    );
    let experiment = fs::read_to_string(Path::new(&store).join("0/meta.yaml")).unwrap();
    assert!(experiment.contains("experiment_id: '0'\n") && experiment.contains("name: Default\n"), "{experiment}");

    run(&[&common[..], &["--epochs", "2", "--lr", "1e30", "--mlflow", &failed]].concat(), 1);
    assert!(of_mlflow(&failed, "meta.yaml").contains(&"status: 4".to_owned()));
    fails(&[&common[..], &["--members", "2", "--mlflow", &store]].concat(), 2, &["--mlflow is for one network"]);
}

#[test]
fn mlflow_reads_the_runs_that_are_written() {
    let python = std::env::var("MLP_GPU_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import mlflow"]).output();
    if !has.is_ok_and(|found| found.status.success()) {
        println!("{python} has no mlflow: mlflow_reads_the_runs_that_are_written");
        return;
    }
    let folder = Folder::new();
    let (store, log) = (folder.path("my runs"), folder.path("log.jsonl"));
    let common = ["train", "--data", "digits", "--backend", "cpu", "--epochs", "2", "-q"];
    run(&[&common[..], &["--mlflow", &store, "--log", &log]].concat(), 0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mlflow_runs.py");
    let read = Command::new(python).args([script, &store, &log]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn other_software_reads_the_files_of_a_run() {
    let python = std::env::var("MLP_GPU_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import tensorboard, tbparse, pandas, PIL"]).output();
    if !has.is_ok_and(|found| found.status.success()) {
        println!("{python} has no tensorboard, tbparse, pandas and pillow: other_software_reads_the_files_of_a_run");
        return;
    }
    let folder = Folder::new();
    let (board, json, csv) = (folder.path("board"), folder.path("log.jsonl"), folder.path("log.csv"));
    let common = ["train", "--data", "digits", "--backend", "cpu", "--epochs", "2", "-q", "--log"];
    run(&[&common[..], &[&json, "--tensorboard", &board]].concat(), 0);
    run(&[&common[..], &[&csv]].concat(), 0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/event_files.py");
    let read = Command::new(python).args([script, &board, &json, &csv]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
