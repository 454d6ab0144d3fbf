//! Every command of README.md, CONTRIBUTING.md and docs/ runs, in the order of its page, beside small files of the names that it has;
//! and every link leads somewhere.
//!
//! A block of code that begins with ```` ```sh ```` is run by bash. A mark behind `sh` says more: `exit=2`, its one command ends with
//! this code; `gpu`, it needs an adapter; `no-run: REASON`, it is not run. ```` ```console ```` has commands behind `$ ` and, below each,
//! what it prints: `...` stands for anything. Other blocks hold no commands.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use markdown::Block;

#[path = "../adapter/mod.rs"]
mod adapter;
mod fixtures;
mod markdown;

/// Pages and the tests that run them: one each, so that they run side by side.
macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];
        $(#[test] fn $name() { run($path); })*
    };
}

include!("pages.rs");

/// The most blocks that say that they are not run.
const NOT_RUN: usize = 24;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// All pages that there are.
fn found() -> BTreeSet<String> {
    let mut pages = BTreeSet::from(["README.md".to_owned(), "CONTRIBUTING.md".to_owned()]);
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("book") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.insert(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    pages
}

/// A shell with nothing of this machine's environment that decides what the commands do, in `folder`. Without `gpu` no Vulkan
/// driver is found, as asking it takes longer than most commands do.
fn shell(folder: &Path, script: &str, gpu: bool) -> Output {
    let mut command = Command::new("bash");
    if !gpu {
        command.env("VK_DRIVER_FILES", "/dev/null").env("VK_ICD_FILENAMES", "/dev/null");
    }
    for variable in ["MLP_GPU_MIRROR", "MLP_GPU_FETCH_TIMEOUT", "MLP_GPU_MAX_MEMORY", "COLUMNS"] {
        command.env_remove(variable);
    }
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    command.current_dir(folder).env("PATH", path).env("HOME", folder).env("MLP_GPU_CACHE", folder.join("cache"));
    command.env("MLP_GPU_DATA", folder.join("data")).env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1");
    command.args(["-c", &format!("set -eo pipefail\n{script}")]).output().unwrap()
}

/// The binary as `mlp-gpu`, and as what `cargo run --release --` runs.
fn programs(folder: &Path) {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_mlp-gpu"), bin.join("mlp-gpu")).unwrap();
    let cargo = "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || { echo \"not run: cargo $*\" >&2; exit 99; }\n\
                 shift 3\nexec mlp-gpu \"$@\"\n";
    fs::write(bin.join("cargo"), cargo).unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether this machine has an adapter, a software driver included.
fn has_adapter() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(adapter::is_there)
}

/// The exit code that a block says, whose `marks` say nothing else.
fn code_of(marks: &str, at: &str) -> i32 {
    let code = if marks.is_empty() { Some(0) } else { marks.strip_prefix("exit=").and_then(|code| code.parse().ok()) };
    code.unwrap_or_else(|| panic!("{at}: unknown mark {marks:?}"))
}

/// Text with single blanks, as pages and terminals break lines elsewhere.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a block of `sh`.
fn run_shell(block: &Block, folder: &Path, at: &str) {
    let gpu = block.marks() == "gpu";
    let code = if gpu { 0 } else { code_of(block.marks(), at) };
    assert!(code == 0 || block.commands().len() == 1, "{at}: an exit code is that of one command");
    if gpu && !has_adapter() {
        // Not as tests say it that check nothing: this one checks the rest of its page.
        return println!("{at} is not run: there is no adapter");
    }
    let output = shell(folder, &block.lines.join("\n"), gpu);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{at}:\n{}\n{told}", block.lines.join("\n"));
    assert!(!told.contains("panicked"), "{at}: {told}");
}

/// Runs the commands of a `console` block, and finds what it says in what they print.
fn run_console(block: &Block, folder: &Path, at: &str) {
    let code = code_of(block.marks(), at);
    let text = block.lines.join("\n");
    let text = text.strip_prefix("$ ").unwrap_or_else(|| panic!("{at}: no command behind $"));
    for command in text.split("\n$ ") {
        let mut lines = command.lines();
        let mut script = String::new();
        for line in lines.by_ref() {
            script += &format!("{line}\n");
            if !line.ends_with('\\') {
                break;
            }
        }
        let output = shell(folder, &format!("{{ {script}}} 2>&1"), false);
        let told = flat(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "{at}: {script}{told}");
        let mut rest = &told[..];
        for part in lines.collect::<Vec<_>>().join("\n").split("...").map(flat).filter(|part| !part.is_empty()) {
            let start = rest.find(&part).unwrap_or_else(|| panic!("{at}: {script}does not print\n{part}\nbut\n{told}"));
            rest = &rest[start + part.len()..];
        }
    }
}

fn run(page: &str) {
    let text = read(page);
    let blocks = markdown::blocks(&text);
    let runs = |block: &&Block| ["sh", "console"].contains(&block.language()) && !block.marks().starts_with("no-run");
    if blocks.iter().filter(runs).count() == 0 {
        return;
    }
    let folder = fixtures::folder();
    programs(folder.path());
    for block in blocks.iter().filter(runs) {
        let at = format!("{page}:{}", block.line);
        match block.language() {
            "sh" => run_shell(block, folder.path(), &at),
            _ => run_console(block, folder.path(), &at),
        }
    }
}

#[test]
fn every_page_is_run_and_in_the_book() {
    let listed: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(listed, found(), "tests/docs/pages.rs names all pages");
    let summary: Vec<String> = markdown::links(&read("docs/SUMMARY.md"));
    for page in listed.iter().filter_map(|page| page.strip_prefix("docs/")).filter(|page| *page != "SUMMARY.md") {
        assert!(summary.iter().any(|link| link == page), "docs/SUMMARY.md lacks {page}");
    }
}

#[test]
fn commands_stand_where_they_are_run_or_say_why_not() {
    let mut not_run = 0;
    for page in PAGES {
        for block in markdown::blocks(&read(page)) {
            let at = format!("{page}:{}", block.line);
            if ["sh", "console"].contains(&block.language()) {
                if let Some(reason) = block.marks().strip_prefix("no-run") {
                    let reason = reason.strip_prefix(": ").unwrap_or_else(|| panic!("{at}: why is it not run?"));
                    println!("{at} is not run: {reason}");
                    not_run += 1;
                }
                continue;
            }
            assert!(!block.info.is_empty(), "{at}: a block of which language?");
            for line in &block.lines {
                let command = line.trim_start_matches("$ ");
                let runs = ["mlp-gpu ", "cargo run ", "tests/run"].iter().any(|start| command.starts_with(start));
                assert!(!runs, "{at}: {line:?} is a command, but in a block that is not run");
            }
        }
    }
    println!("{not_run} blocks are not run");
    assert!(not_run <= NOT_RUN, "{not_run} blocks are not run");
}

#[test]
fn links_lead_somewhere() {
    let more = ["CHANGELOG.md"].into_iter().chain(PAGES.iter().copied()).map(str::to_owned);
    for page in more {
        let text = read(&page);
        for link in markdown::links(&text) {
            if ["http://", "https://", "mailto:"].iter().any(|start| link.starts_with(start)) {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = root().join(&page).parent().map(PathBuf::from).unwrap();
            let target = if file.is_empty() { root().join(&page) } else { folder.join(file) };
            assert!(target.exists(), "{page}: {link} leads nowhere");
            if !anchor.is_empty() {
                let anchors = markdown::anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.iter().any(|other| other == anchor), "{page}: {link}: no such heading");
            }
        }
    }
}

#[test]
#[should_panic(expected = "unknown mark")]
fn marks_that_nobody_knows_are_refused() {
    let block = Block { line: 1, info: "console gpu".into(), lines: vec!["$ false".into()] };
    run_console(&block, root(), "a page");
}
