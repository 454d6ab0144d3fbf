//! Fetching from a server on this machine that does all that servers do wrong.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use mlp_gpu::data::catalogue::{Published, Set};
use mlp_gpu::data::fetch::{self, Event, MOST};
use mlp_gpu::data::idx::NAMES;
use sha2::{Digest, Sha256};

/// What the server does with a request for one of its files.
#[derive(Debug, Clone)]
enum Answer {
    /// Sends it, from where the request wants it.
    Good,
    /// Sends all of it, whatever the request wants.
    Whole,
    /// Announces all of it, sends that many bytes, and ends the connection.
    Cut(usize),
    /// The same, in chunks of no announced length.
    CutChunks(usize),
    /// Announces all of it, sends that many bytes, and falls silent.
    Stall(usize),
    /// Sends these bytes as if they were the file.
    Other(Vec<u8>),
    /// A status and a body.
    Status(u16, &'static str),
    /// Sends the request elsewhere.
    Redirect(&'static str),
    /// Announces more than is ever read.
    Huge,
    /// Never stops to send.
    Endless,
}

/// A request: path, and the first byte that it wants.
type Request = (String, Option<usize>);

struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves `files` by name; `answer` says what is done with a request, and with how many for the same path before it.
    fn start(files: BTreeMap<String, Vec<u8>>, answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (log, shared) = (requests.clone(), Arc::new((files, answer)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, shared) = (log.clone(), shared.clone());
                // A client that goes away is no failure of the server's.
                std::thread::spawn(move || serve(stream.unwrap(), &log, &shared.0, &shared.1));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    files: &BTreeMap<String, Vec<u8>>,
    answer: &impl Fn(&str, usize) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut path, mut start) = (String::new(), String::new(), None);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap().to_owned();
        } else if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            start = range.trim().trim_end_matches('-').parse().ok();
        } else if line.trim().is_empty() {
            break;
        }
    }
    let before = {
        let mut log = log.lock().unwrap();
        log.push((path.clone(), start));
        log.iter().filter(|(other, _)| *other == path).count() - 1
    };
    let file = files.get(path.rsplit('/').next().unwrap());
    let mut send = |status: &str, headers: &str, body: &[u8]| {
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n")?;
        stream.write_all(body)
    };
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    let answer = answer(&path, before);
    match (&answer, file) {
        (Answer::Status(status, body), _) => send(&format!("{status} Status"), &length(body.len()), body.as_bytes()),
        (Answer::Redirect(to), _) => send("302 Found", &format!("Location: {to}\r\n{}", length(0)), b""),
        (Answer::Other(bytes), _) => send("200 OK", &length(bytes.len()), bytes),
        (Answer::Huge, _) => send("200 OK", &length(MOST as usize + 1), &[0; 100]),
        (Answer::Endless, _) => {
            send("200 OK", "", b"")?;
            let block = vec![7; 1 << 20];
            loop {
                stream.write_all(&block)?;
            }
        }
        (_, None) => send("404 Not Found", &length(9), b"not found"),
        (Answer::Good, Some(file)) if start.is_some_and(|start| start < file.len()) => {
            let (start, all) = (start.unwrap(), file.len());
            let headers = format!("Content-Range: bytes {start}-{}/{all}\r\n{}", all - 1, length(all - start));
            send("206 Partial Content", &headers, &file[start..])
        }
        (Answer::Good, Some(_)) if start.is_some() => send("416 Range Not Satisfiable", &length(0), b""),
        (Answer::Good | Answer::Whole, Some(file)) => send("200 OK", &length(file.len()), file),
        (Answer::Cut(bytes), Some(file)) => send("200 OK", &length(file.len()), &file[..*bytes]),
        (Answer::CutChunks(bytes), Some(file)) => {
            send("200 OK", "Transfer-Encoding: chunked\r\n", format!("{bytes:x}\r\n").as_bytes())?;
            stream.write_all(&file[..*bytes])
        }
        (Answer::Stall(bytes), Some(file)) => {
            send("200 OK", &length(file.len()), &file[..*bytes])?;
            // Until the client gives up.
            reader.read_to_end(&mut Vec::new()).map(drop)
        }
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A small published set, and its files.
fn small() -> (Set, BTreeMap<String, Vec<u8>>) {
    let content = |index: usize| (0..5_000).map(|i| ((i * (index + 3)) ^ (i >> 3)) as u8).collect::<Vec<u8>>();
    let hex = |bytes: &[u8]| -> &'static str {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().leak()
    };
    let published = [0, 1, 2, 3].map(|index| Published {
        name: NAMES[index],
        bytes: gzip(&content(index)).len() as u64,
        sha256: Some(hex(&gzip(&content(index)))),
        content_bytes: 5_000,
        content_sha256: None,
    });
    let files = published.iter().enumerate().map(|(index, file)| (file.file_name(), gzip(&content(index)))).collect();
    let set = Set { name: "small", folder: "small", licence: "none", mirrors: &[], files: published, archive: None };
    (set, files)
}

fn options(mirror: &str, folder: &Path) -> fetch::Options {
    fetch::Options {
        mirror: Some(mirror.into()),
        silence: Duration::from_millis(300),
        lock: Some(folder.into()),
        ..fetch::Options::default()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Fetches the small set with `answer` for the labels of the training part, the second file, and all others good.
/// Gives the result, and the requests for it. What is there afterwards has been checked.
fn fetched(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Result<(), String>, Vec<Request>) {
    let (set, files) = small();
    let server = Server::start(files.clone(), move |path, before| match path.ends_with(&format!("{}.gz", NAMES[1])) {
        true => answer(before),
        false => Answer::Good,
    });
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("set");
    let result = fetch::fetch(&set, &target, true, &options(&server.address, folder.path()), &mut |_| {});
    let there = names(&target);
    for name in &there {
        assert_eq!(fs::read(target.join(name)).unwrap(), files[name], "{name}");
    }
    // What came before a failure stays, and of what failed there is nothing.
    let expected: Vec<&String> = files.keys().collect();
    match &result {
        Ok(()) => assert_eq!(there.iter().collect::<Vec<_>>(), expected),
        Err(_) => assert_eq!(there, [format!("{}.gz", NAMES[0])]),
    }
    let mut requests = server.requests();
    requests.retain(|(path, _)| path.contains(NAMES[1]));
    (result.map_err(|error| error.to_string()), requests)
}

fn starts(requests: &[Request]) -> Vec<Option<usize>> {
    requests.iter().map(|(_, start)| *start).collect()
}

#[test]
fn good_files_arrive_with_one_request_each() {
    let (result, requests) = fetched(|_| Answer::Good);
    assert_eq!((result, starts(&requests)), (Ok(()), vec![None]));
    assert_eq!(requests[0].0, format!("/small/{}.gz", NAMES[1]));
}

#[test]
fn a_cut_or_stalled_transfer_goes_on_where_it_stopped() {
    for first in [Answer::Cut(700), Answer::CutChunks(700), Answer::Stall(700)] {
        let (result, requests) = fetched(move |before| if before == 0 { first.clone() } else { Answer::Good });
        assert_eq!((result, starts(&requests)), (Ok(()), vec![None, Some(700)]));
    }
    // A server that cannot go on sends it all again.
    let (result, requests) = fetched(|before| if before == 0 { Answer::Cut(700) } else { Answer::Whole });
    assert_eq!((result, starts(&requests)), (Ok(()), vec![None, Some(700)]));
}

#[test]
fn servers_that_recover_are_asked_again() {
    for status in [500, 503, 429] {
        let (result, requests) =
            fetched(move |before| if before < 2 { Answer::Status(status, "later") } else { Answer::Good });
        assert_eq!((result, requests.len()), (Ok(()), 3));
    }
}

#[test]
fn what_is_not_in_the_sets_folder_may_be_in_the_mirrors_own() {
    let (result, requests) = fetched(|before| if before == 0 { Answer::Status(404, "") } else { Answer::Good });
    // The second request has another path, and is the first for it.
    let paths: Vec<&str> = requests.iter().map(|(path, _)| &path[..]).collect();
    let name = format!("{}.gz", NAMES[1]);
    assert_eq!(paths, [format!("/small/{name}"), format!("/{name}")]);
    assert!(result.unwrap_err().contains("404"));
    let (set, files) = small();
    let server = Server::start(files, |path, _| match path.starts_with("/small/") {
        true => Answer::Status(404, ""),
        false => Answer::Good,
    });
    let folder = tempfile::tempdir().unwrap();
    fetch::fetch(&set, folder.path(), false, &options(&server.address, folder.path()), &mut |_| {}).unwrap();
}

/// Two sets that share an archive of their eight files, and the archive.
fn packed() -> ([Set; 2], Vec<u8>) {
    let (small, _) = small();
    let content = |index: usize| vec![index as u8; 3_000];
    let set = |name: &'static str, first: usize| {
        let file = |index: usize| Published {
            name: format!("{name}-{index}").leak(),
            // What comes out of the archive has no hash of its own.
            bytes: 0,
            sha256: None,
            content_bytes: 3_000,
            content_sha256: None,
        };
        Set { name, folder: "packed", files: [0, 1, 2, 3].map(|index| file(first + index)), ..small }
    };
    let mut sets = [set("one", 0), set("two", 4)];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (index, file) in sets.iter().flat_map(|set| set.files).enumerate() {
        zip.start_file(format!("gzip/{}", file.file_name()), options).unwrap();
        zip.write_all(&gzip(&content(index))).unwrap();
    }
    zip.start_file("gzip/mapping.txt", options).unwrap();
    zip.start_file("../outside.gz", options).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (name, length) = ("all.zip", bytes.len() as u64);
    let archive = Published { name, bytes: length, sha256: Some(hash.leak()), ..sets[0].files[0] };
    sets.iter_mut().for_each(|set| set.archive = Some(archive));
    (sets, bytes)
}

#[test]
fn sets_of_one_archive_are_fetched_once_and_unpacked_into_their_folder() {
    let ([one, two], archive) = packed();
    let server = Server::start([("all.zip".to_owned(), archive.clone())].into(), |_, _| Answer::Good);
    let root = tempfile::tempdir().unwrap();
    let (folder, lock) = (root.path().join("packed"), root.path().join("lock"));
    fs::create_dir(&lock).unwrap();
    for set in [&one, &two, &one] {
        fetch::fetch(set, &folder, true, &options(&server.address, &lock), &mut |_| {}).unwrap();
        assert!(
            set.complete(&folder) && set.files.iter().all(|file| !file.verify(&folder.join(file.file_name())).unwrap())
        );
    }
    assert_eq!(server.requests(), [("/packed/all.zip".to_owned(), None)]);
    assert_eq!(names(&folder).len(), 9, "{:?}", names(&folder));
    assert!(!root.path().join("outside.gz").exists() && !folder.join("mapping.txt").exists());
    // What was damaged since is fetched anew, as all of it is checked as a whole.
    let damaged = folder.join(one.files[2].file_name());
    fs::write(&damaged, gzip(&[1; 2_999])).unwrap();
    fetch::fetch(&one, &folder, true, &options(&server.address, &lock), &mut |_| {}).unwrap();
    assert!(server.requests().len() == 2 && one.files[2].verify(&damaged).is_ok());
    fs::remove_file(&damaged).unwrap();
    let server = Server::start([("all.zip".to_owned(), archive)].into(), |_, _| Answer::Other(b"PK".to_vec()));
    let result = fetch::fetch(&one, &folder, true, &options(&server.address, &lock), &mut |_| {});
    assert!(result.unwrap_err().to_string().contains("found 2 bytes"));
    assert!(!folder.join("all.zip.part").exists());
}

#[test]
fn every_fault_that_stays_is_a_clear_error_and_leaves_nothing() {
    let html = "<!DOCTYPE html><html><body>Sign in to the network</body></html>";
    let right_length = vec![0x55; small().1[&format!("{}.gz", NAMES[1])].len()];
    let truncated = small().1[&format!("{}.gz", NAMES[1])][..500].to_vec();
    let cases: Vec<(Answer, &[&str])> = vec![
        (Answer::Other(truncated), &["found 500 bytes", "expected", "SHA-256"]),
        (Answer::Other(right_length), &["found no gzip file", "SHA-256", "expected"]),
        (Answer::Other(html.into()), &["found a page of HTML", "expected"]),
        (Answer::Other(Vec::new()), &["found an empty file"]),
        (Answer::Status(404, html), &["HTTP status 404"]),
        (Answer::Status(401, html), &["HTTP status 401"]),
        (Answer::Status(500, ""), &["HTTP status 500"]),
        (Answer::Status(204, ""), &["HTTP status 204"]),
        (Answer::Redirect("/loop.gz"), &["HTTP status 404"]),
        (Answer::Cut(300), &["the connection ended after 300 of"]),
        (Answer::Cut(0), &["the connection ended after 0 of"]),
        (Answer::CutChunks(300), &["after 300 bytes"]),
        (Answer::Stall(300), &["fell silent", "after 300 bytes"]),
        (Answer::Stall(0), &["fell silent"]),
        (Answer::Huge, &["67108865 bytes, of which at most 67108864 are read"]),
        (Answer::Endless, &["more than the 67108864 bytes"]),
    ];
    for (answer, parts) in cases {
        let begun = Instant::now();
        let (result, requests) = fetched({
            let answer = answer.clone();
            move |_| answer.clone()
        });
        let error = result.expect_err("a fault");
        for part in [&format!("small/{}.gz could not be fetched: http://127.0.0.1:", NAMES[1])[..], "the option mirror"]
            .iter()
            .chain(parts)
        {
            assert!(error.contains(part), "{answer:?}: no {part:?} in {error}");
        }
        assert!(!error.contains('\n') && requests.len() <= 6, "{error} {requests:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{answer:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_loop_of_redirects_ends() {
    let name: &'static str = format!("/small/{}.gz", NAMES[1]).leak();
    let (result, requests) = fetched(move |_| Answer::Redirect(name));
    assert!(result.unwrap_err().contains("redirects"));
    assert!(requests.len() < 10, "{requests:?}");
}

#[test]
fn what_another_run_left_is_used_if_it_is_good() {
    let (set, files) = small();
    let name = format!("{}.gz", NAMES[0]);
    for (left, starts) in [
        (files[&name][..400].to_vec(), vec![Some(400)]),
        (vec![9; 400], vec![Some(400), None]),
        (vec![9; 1 << 20], vec![Some(1 << 20), None]),
    ] {
        let server = Server::start(files.clone(), |_, _| Answer::Good);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(format!("{name}.part")), left).unwrap();
        let options = options(&server.address, folder.path());
        fetch::fetch(&set, folder.path(), false, &options, &mut |_| {}).unwrap();
        assert_eq!(fs::read(folder.path().join(&name)).unwrap(), files[&name]);
        let mut requests = server.requests();
        requests.retain(|(path, _)| path.contains(NAMES[0]));
        assert_eq!(requests.iter().map(|(_, start)| *start).collect::<Vec<_>>(), starts);
    }
}

#[test]
fn files_that_are_there_are_checked_and_only_replaced_where_that_is_allowed() {
    let (set, files) = small();
    let server = Server::start(files.clone(), |_, _| Answer::Good);
    let folder = tempfile::tempdir().unwrap();
    let options = options(&server.address, folder.path());
    let fetch = |replace| {
        let (mut present, mut trouble) = (0, Vec::new());
        let result = fetch::fetch(&set, folder.path(), replace, &options, &mut |event| match event {
            Event::Present(_) => present += 1,
            Event::Trouble(what) => trouble.push(what),
            _ => {}
        });
        (result.map_err(|error| error.to_string()), present, trouble.len())
    };
    assert_eq!(fetch(false), (Ok(()), 0, 0));
    assert_eq!(fetch(false), (Ok(()), 4, 0));
    assert_eq!(server.requests().len(), 4);
    let wrong = folder.path().join(format!("{}.gz", NAMES[2]));
    fs::write(&wrong, "mine").unwrap();
    let (result, _, _) = fetch(false);
    assert!(result.unwrap_err().contains("found no gzip file, 4 bytes"), "refused");
    assert_eq!(fs::read(&wrong).unwrap(), b"mine");
    assert_eq!(fetch(true), (Ok(()), 3, 1));
    assert_eq!(server.requests().len(), 5);
    // What is not compressed is not ours to replace.
    fs::write(folder.path().join(NAMES[2]), "mine").unwrap();
    assert!(fetch(true).0.unwrap_err().contains("move it away"));
}

/// The real files, where there are some.
fn mnist() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = PathBuf::from(std::env::var_os("MLP_GPU_DATA")?).join("mnist");
    let file = |name: &str| Some((format!("{name}.gz"), fs::read(folder.join(format!("{name}.gz"))).ok()?));
    NAMES.iter().map(|name| file(name)).collect()
}

/// A command whose cache is `cache` and that knows no other data.
fn command(cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    for variable in ["MLP_GPU_DATA", "MLP_GPU_OFFLINE", "MLP_GPU_MIRROR"] {
        command.env_remove(variable);
    }
    command.env("MLP_GPU_CACHE", cache).env("NO_PROXY", "127.0.0.1").env("NODEVICE_SELECT", "1").args(arguments);
    command
}

fn run(cache: &Path, arguments: &[&str]) -> Output {
    command(cache, arguments).output().unwrap()
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

fn succeeds(cache: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(cache, arguments);
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
    (out, err)
}

fn fails(cache: &Path, arguments: &[&str], parts: &[&str]) {
    let output = run(cache, arguments);
    let (_, err) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
    assert_eq!(err.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{err}");
    for part in parts {
        assert!(err.contains(part), "{arguments:?}: no {part:?} in {err}");
    }
}

/// Trains nothing, for what is said of the data.
const LOOK: &[&str] = &["train", "--backend", "cpu", "--epochs", "0"];

#[test]
fn without_a_network_named_sets_are_errors_and_auto_is_digits() {
    let cache = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = format!("http://{closed}");
    for without in [&["--offline"][..], &["--mirror", &mirror]] {
        let (_, err) = succeeds(cache.path(), &[LOOK, without].concat());
        assert!(err.lines().any(|line| line.starts_with("Data: the embedded data set digits: mnist")), "{err}");
        fails(cache.path(), &[LOOK, &["--data", "kmnist"], without].concat(), &["error: kmnist"]);
        fails(cache.path(), &[&["data", "fetch", "all"], without].concat(), &["error: mnist"]);
    }
    fails(cache.path(), &["data", "fetch", "mnist", "--mirror", &mirror], &[&mirror, "efused", "--mirror URL"]);
    let output = command(cache.path(), &["data", "fetch", "mnist"]).env("MLP_GPU_OFFLINE", "1").output().unwrap();
    assert_eq!((output.status.code(), text(&output).1.contains("MLP_GPU_OFFLINE")), (Some(1), true));
    let output = run(cache.path(), &["data", "fetch", "mnist", "--mirror", "ftp://x"]);
    assert_eq!((output.status.code(), text(&output).1.contains("http")), (Some(2), true));
    fails(cache.path(), &["data", "check", "mnist"], &["data fetch mnist"]);
    assert_eq!(succeeds(cache.path(), &["data", "list"]).0.matches("not here").count(), 10);
}

#[test]
fn mnist_is_fetched_once_and_known_from_then_on() {
    let Some(files) = mnist() else {
        return println!("no MNIST in MLP_GPU_DATA: not tested");
    };
    // The first request is cut.
    let server = Server::start(files, |path, before| match before == 0 && path.contains(NAMES[0]) {
        true => Answer::Cut(1 << 20),
        false => Answer::Good,
    });
    let cache = tempfile::tempdir().unwrap();
    let look = [LOOK, &["--data", "mnist"]].concat();
    let output = command(cache.path(), &look).env("MLP_GPU_MIRROR", &server.address).output().unwrap();
    let (_, err) = text(&output);
    assert!(output.status.success() && err.contains("fetching mnist (11.6 MB) into"), "{err}");
    let folder = cache.path().join("mnist");
    assert_eq!(names(&folder).len(), 4);
    assert_eq!(server.requests().len(), 5);
    assert_eq!(server.requests()[1].1, Some(1 << 20));

    // From here on there is nobody to ask.
    let nobody = ["--mirror", "http://127.0.0.1:9"];
    for data in ["mnist", "auto"] {
        let (_, err) = succeeds(cache.path(), &[LOOK, &["--data", data], &nobody].concat());
        assert!(!err.contains("fetch") && !err.contains("digits"), "{err}");
    }
    let (out, _) = succeeds(cache.path(), &[&["data", "fetch", "mnist"], &nobody[..]].concat());
    assert_eq!(out.matches("already there").count(), 4, "{out}");
    assert!(out.contains("Licence: CC BY-SA 3.0"), "{out}");
    let (out, _) = succeeds(cache.path(), &["data", "list", "--json"]);
    let sets: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mnist = sets.iter().find(|set| set["name"] == "mnist").unwrap();
    assert_eq!((mnist["checked"].as_str(), mnist["folder"].as_str()), (Some("yes"), folder.to_str()));
    for checked in ["mnist", folder.to_str().unwrap(), cache.path().to_str().unwrap()] {
        assert_eq!(succeeds(cache.path(), &["data", "check", checked]).0.matches(": ok").count(), 4);
    }
    let picture = cache.path().join("picture.png");
    succeeds(cache.path(), &["data", "preview", "mnist", "--offline", "--out", picture.to_str().unwrap()]);
    assert!(picture.is_file());

    // A file that goes bad is found, and replaced.
    let labels = folder.join(format!("{}.gz", NAMES[3]));
    fs::write(&labels, "bad").unwrap();
    let path = labels.to_str().unwrap();
    assert!(succeeds(cache.path(), &["data", "list"]).0.contains("wrong"));
    fails(cache.path(), &["data", "check", "mnist"], &["1 of 4 files"]);
    fails(cache.path(), &[&["data", "fetch", "mnist"], &nobody[..]].concat(), &[path, "127.0.0.1:9"]);
    assert_eq!(fs::read(&labels).unwrap(), b"bad");
    let own = cache.path().to_str().unwrap();
    let arguments = ["data", "fetch", "mnist", "--mirror", &server.address];
    fails(cache.path(), &[&arguments[..], &["--data-dir", own]].concat(), &[path, "move it away"]);
    let (out, err) = succeeds(cache.path(), &arguments);
    assert!(out.matches("already there").count() == 3 && err.contains("it is replaced"), "{out}{err}");
    succeeds(cache.path(), &["data", "check", "mnist"]);
}

#[test]
fn two_processes_fetch_each_file_once() {
    let Some(files) = mnist() else {
        return println!("no MNIST in MLP_GPU_DATA: not tested");
    };
    let server = Server::start(files, |_, _| {
        std::thread::sleep(Duration::from_millis(300));
        Answer::Good
    });
    let cache = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = command(cache.path(), &["data", "fetch", "mnist", "--mirror", &server.address]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let outputs = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let both: String = outputs.iter().map(|output| text(output).0 + &text(output).1).collect();
    assert!(outputs.iter().all(|output| output.status.success()), "{both}");
    assert_eq!((both.matches("fetched from").count(), both.matches("already there").count()), (4, 4), "{both}");
    assert_eq!((both.matches("waiting").count(), server.requests().len()), (1, 4), "{both}");
}
