//! Fetching published data sets over HTTP: each file whole and checked, or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::header;
use ureq::http::{Response, StatusCode};
use zip::ZipArchive;

use super::catalogue::{Published, Set};
use super::idx;
use crate::cache;
use crate::error::{Error, Remedy, Result};

/// The most bytes that are read of a file, whatever length the server announces; more only of one that is longer as published.
pub const MOST: u64 = 64 << 20;
/// Attempts without a byte gained before a mirror is given up, and attempts of any kind.
const ATTEMPTS: (u32, u32) = (3, 20);
/// Attempts at a silent server before it is given up. Each costs the user [`Options::silence`].
const SILENT_ATTEMPTS: u32 = 2;
/// The longest time that the body of one answer may take. The missing bytes are then requested anew.
const BODY: Duration = Duration::from_secs(15 * 60);
const REDIRECTS: u32 = 5;

/// The options of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The address of a mirror to use instead of the published ones. Files are looked for in its folder of the set's name,
    /// then directly below it.
    pub mirror: Option<String>,
    /// How long to wait for a connection.
    pub connect: Duration,
    /// How long to wait for a silent server.
    pub silence: Duration,
    /// The folder of the lock file; the cache folder if none is given.
    pub lock: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { mirror: None, connect: Duration::from_secs(5), silence: Duration::from_secs(15), lock: None }
    }
}

/// The progress of a fetch.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another process is fetching; this one waits for it.
    Waiting,
    /// A file begins or continues to arrive: its name and its total bytes, by the server or as published.
    Begin(&'a str, u64),
    /// The number of bytes that have arrived.
    Progress(u64),
    /// A message: what went wrong, and what is done about it.
    Trouble(String),
    /// A file is complete: its path, and the address it came from.
    Fetched(&'a Path, &'a str),
    /// A file was there before.
    Present(&'a Path),
}

/// The reason why an attempt failed.
struct Fault {
    why: String,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The same request may succeed another time.
    Again,
    /// The server was silent; the same request may succeed another time.
    Silent,
    /// The server does not have the file.
    Missing,
    /// This mirror cannot be used.
    Stop,
}

impl Fault {
    fn new(next: Next, why: impl Into<String>) -> Self {
        Self { why: why.into(), next }
    }
}

/// Fetches the files of `set` that are missing in `folder`, which is created, and checks those that exist. With `replace`,
/// existing files that are not the published ones are replaced once the right ones have arrived.
///
/// # Errors
/// [`Error::Data`] naming the file, each address and what went wrong there; [`Error::File`] for a file that may not be
/// replaced; [`Error::Io`] where the folder cannot be written to; [`Error::Usage`] for a mirror that is no address. Files
/// that were there stay, and none is half-written.
pub fn fetch(
    set: &Set,
    folder: &Path,
    replace: bool,
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<()> {
    if let Some(mirror) = &options.mirror
        && !["http://", "https://"].iter().any(|scheme| mirror.starts_with(scheme))
    {
        return Err(Error::Usage(format!("the mirror {mirror:?} is no address: give one with http:// or https://")));
    }
    let _lock = lock(options.lock.as_deref(), tell)?;
    let made = !folder.exists();
    let result = fetch_into(set, folder, replace, options, tell);
    if made && result.is_err() {
        // This removes the folder only if it is empty.
        let _ = std::fs::remove_dir(folder);
    }
    result
}

fn fetch_into(
    set: &Set,
    folder: &Path,
    replace: bool,
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let agent = agent(options);
    if let Some(archive) = &set.archive {
        let mut complete = true;
        for file in &set.files {
            complete &= is_here(file, folder, replace, tell)?;
        }
        return if complete { Ok(()) } else { fetch_archive(set, archive, (folder, replace), &agent, options, tell) };
    }
    for file in &set.files {
        if is_here(file, folder, replace, tell)? {
            continue;
        }
        let path = folder.join(file.file_name());
        let url = Transfer { agent: &agent, set, file, part: part_of(&path), tell }.run(options)?;
        put(&part_of(&path), &path)?;
        tell(Event::Fetched(&path, &url));
    }
    Ok(())
}

/// Whether `file` is in `folder`. One that is not the published one counts as none where it may be replaced.
fn is_here(file: &Published, folder: &Path, replace: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<bool> {
    let Ok(path) = idx::find(folder, file.name) else { return Ok(false) };
    match file.verify(&path) {
        Ok(_) => {
            tell(Event::Present(&path));
            Ok(true)
        }
        // What is not compressed did not come from here.
        Err(Error::File { found, expected, .. }) if replace && path.ends_with(file.file_name()) => {
            tell(Event::Trouble(format!("{}: found {found}, expected {expected}; it is replaced", path.display())));
            Ok(false)
        }
        Err(Error::File { found, expected, .. }) => {
            Err(Error::file(&path, found, format!("{expected}: move it away, then fetch again")))
        }
        Err(error) => Err(error),
    }
}

/// Fetches the zip archive of `set`, and unpacks the gzipped files in it into `folder`, also those of sets that share it.
fn fetch_archive(
    set: &Set,
    archive: &Published,
    (folder, replace): (&Path, bool),
    agent: &Agent,
    options: &Options,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<()> {
    let path = folder.join(archive.file_name());
    let part = part_of(&path);
    let url = Transfer { agent, set, file: archive, part: part.clone(), tell: &mut *tell }.run(options)?;
    let damaged =
        |error: &dyn std::fmt::Display| Error::file(&part, format!("a damaged archive ({error})"), "a whole one");
    let file = File::open(&part).map_err(Error::io("read", &part))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).map_err(|error| damaged(&error))?;
        // The last part of its name alone: nothing is written elsewhere.
        let name = member.name().map_err(|error| damaged(&error))?.rsplit('/').next().unwrap_or_default().to_owned();
        if !name.ends_with(".gz") || name.contains('\\') {
            continue;
        }
        let path = folder.join(&name);
        // Files of other sets that are here stay, as far as nothing may be replaced.
        if !replace && idx::find(folder, name.trim_end_matches(".gz")).is_ok() {
            continue;
        }
        let unpacked = part_of(&path);
        let mut target = File::create(&unpacked).map_err(Error::io("write", &unpacked))?;
        let written = std::io::copy(&mut member, &mut target).and_then(|_| target.sync_all());
        if let Err(error) = written {
            let _ = std::fs::remove_file(&unpacked);
            return Err(Error::io("write", &unpacked)(error));
        }
        put(&unpacked, &path)?;
        tell(Event::Fetched(&path, &url));
    }
    std::fs::remove_file(&part).map_err(Error::io("remove", &part))?;
    match set.files.iter().find(|file| idx::find(folder, file.name).is_err()) {
        Some(file) => Err(Error::Data(format!("{url} holds no {}", file.file_name()))),
        None => Ok(()),
    }
}

/// Gives what is complete its name.
fn put(part: &Path, path: &Path) -> Result<()> {
    std::fs::rename(part, path).map_err(Error::io("rename", part))?;
    // The new name too shall outlast a power cut. Elsewhere folders cannot be opened.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("write", folder))?;
    }
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Keeps other processes of this user from fetching until it is dropped.
fn lock(folder: Option<&Path>, tell: &mut dyn FnMut(Event<'_>)) -> Result<File> {
    let folder = folder.map_or_else(cache::folder, |folder| Ok(folder.to_path_buf()))?;
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let path = folder.join("fetch.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            tell(Event::Waiting);
            file.lock().map_err(Error::io("lock", &path)).map(|()| file)
        }
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

fn agent(options: &Options) -> Agent {
    // Proxies come from the environment by default.
    let config = Agent::config_builder()
        .user_agent(concat!("mlp-gpu/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .max_redirects(REDIRECTS)
        .timeout_resolve(Some(options.connect))
        .timeout_connect(Some(options.connect))
        .timeout_send_request(Some(options.silence))
        .timeout_recv_response(Some(options.silence))
        .timeout_per_read(Some(options.silence))
        .timeout_recv_body(Some(BODY));
    config.build().new_agent()
}

/// One file on its way to `part`.
struct Transfer<'a> {
    agent: &'a Agent,
    set: &'a Set,
    file: &'a Published,
    part: PathBuf,
    tell: &'a mut dyn FnMut(Event<'_>),
}

impl Transfer<'_> {
    /// Tries one mirror after the other until `part` is the published file. Returns the address that it came from. On failure
    /// `part` is removed.
    fn run(&mut self, options: &Options) -> Result<String> {
        let name = self.file.file_name();
        let (set, mut troubles) = (self.set.folder, Vec::new());
        let urls: Vec<String> = match options.mirror.as_deref().map(|mirror| mirror.trim_end_matches('/')) {
            Some(mirror) => vec![format!("{mirror}/{set}/{name}"), format!("{mirror}/{name}")],
            None => self.set.mirrors.iter().map(|mirror| format!("{mirror}{name}")).collect(),
        };
        let last = urls.len() - 1;
        for (index, url) in urls.into_iter().enumerate() {
            match self.mirror(&url) {
                Ok(()) => return Ok(url),
                Err(Fault { why, next }) => {
                    troubles.push(format!("{url}: {why}"));
                    if options.mirror.is_some() && next != Next::Missing {
                        break;
                    }
                    if index < last && options.mirror.is_none() {
                        (self.tell)(Event::Trouble(format!("{url}: {why}; trying the next mirror")));
                    }
                }
            }
        }
        match std::fs::remove_file(&self.part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &self.part)(error));
            }
            _ => {}
        }
        let error = Error::Data(format!(
            "{set}/{name} could not be fetched: {}; try again later, or put the file into {} by hand",
            troubles.join("; "),
            self.part.parent().unwrap_or(Path::new(".")).display()
        ));
        Err(error.advise(&[Remedy::Option("mirror")]))
    }

    /// Tries one address for as long as an attempt may succeed.
    fn mirror(&mut self, url: &str) -> Result<(), Fault> {
        let (mut attempts, mut fruitless, mut silent) = (0, 0, 0);
        loop {
            let before = self.length();
            let result = self.attempt(url, before).and_then(|()| self.check());
            let Err(fault) = result else { return Ok(()) };
            attempts += 1;
            (fruitless, silent) = if self.length() > before {
                (0, 0)
            } else {
                (fruitless + 1, silent + u32::from(fault.next == Next::Silent))
            };
            let hope = match fault.next {
                Next::Again => fruitless < ATTEMPTS.0,
                Next::Silent => silent < SILENT_ATTEMPTS,
                // A file that another transfer had begun may be the reason.
                Next::Stop => before > 0 && self.length() == 0,
                Next::Missing => false,
            };
            if !hope || attempts == ATTEMPTS.1 {
                return Err(fault);
            }
            (self.tell)(Event::Trouble(format!("{url}: {}; trying again", fault.why)));
            std::thread::sleep(Duration::from_millis(250 << fruitless));
        }
    }

    /// The number of bytes of the file that have arrived.
    fn length(&self) -> u64 {
        self.part.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Appends the missing bytes to the `had` bytes in `part`, or writes it anew.
    fn attempt(&mut self, url: &str, had: u64) -> Result<(), Fault> {
        let mut request = self.agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if had > 0 {
            request = request.header(header::RANGE, format!("bytes={had}-"));
        }
        let mut response = request.call().map_err(|error| self.fault(&error))?;
        let (status, length) = (response.status(), response.body().content_length());
        let start = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if had > 0 && first_of(&response) == Some(had) => had,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => {
                self.forget()?;
                return Err(Fault::new(Next::Again, format!("{status} does not go on at byte {had}")));
            }
            _ => return Err(refusal(status)),
        };
        let total = length.map(|length| length.saturating_add(start));
        let most = MOST.max(self.file.bytes);
        if total.is_some_and(|total| total > most) {
            return Err(Fault::new(
                Next::Stop,
                format!("{} bytes, of which at most {most} are read", total.unwrap_or(0)),
            ));
        }
        (self.tell)(Event::Begin(self.file.name, total.unwrap_or(self.file.bytes)));
        let mut part = self.open(start)?;
        let (mut here, mut block) = (start, vec![0; 1 << 16]);
        let mut body = response.body_mut().as_reader();
        let outcome = loop {
            let read = match body.read(&mut block) {
                Ok(0) if total.is_some_and(|total| here < total) => {
                    break Err(Fault::new(Next::Again, cut(here, total)));
                }
                Ok(0) => break Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    break Err(Fault::new(Next::Again, cut(here, total)));
                }
                Err(error) => {
                    let Fault { why, next } = self.fault(&ureq::Error::from(error));
                    break Err(Fault::new(next, format!("{why} after {here} bytes")));
                }
            };
            here += read as u64;
            if here > most {
                drop(part);
                self.forget()?;
                return Err(Fault::new(Next::Stop, format!("more than the {most} bytes that are read at most")));
            }
            part.write_all(&block[..read]).map_err(|error| self.unwritable(&error))?;
            (self.tell)(Event::Progress(here));
        };
        part.sync_all().map_err(|error| self.unwritable(&error))?;
        outcome
    }

    /// Checks that `part`, which is complete, is the published file. Otherwise removes it.
    fn check(&mut self) -> Result<(), Fault> {
        match self.file.verify(&self.part) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.forget()?;
                let why = match error {
                    Error::File { found, expected, .. } => format!("found {found}, expected {expected}"),
                    other => other.to_string(),
                };
                Err(Fault::new(Next::Stop, why))
            }
        }
    }

    /// Opens `part` for writing from byte `start` on.
    fn open(&self, start: u64) -> Result<File, Fault> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.part);
        let cut = file.and_then(|mut file| {
            file.set_len(start)?;
            file.seek(std::io::SeekFrom::Start(start))?;
            Ok(file)
        });
        cut.map_err(|error| self.unwritable(&error))
    }

    fn forget(&self) -> Result<(), Fault> {
        std::fs::remove_file(&self.part).map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &std::io::Error) -> Fault {
        Fault::new(Next::Stop, format!("cannot write {}: {error}", self.part.display()))
    }

    fn fault(&self, error: &ureq::Error) -> Fault {
        use std::io::ErrorKind;
        let connection =
            |kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe);
        let next = match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => Next::Stop,
            ureq::Error::Timeout(ureq::Timeout::RecvBody) => Next::Again,
            ureq::Error::Timeout(_) => Next::Silent,
            ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof || connection(error.kind()) => {
                Next::Again
            }
            ureq::Error::Protocol(_) => Next::Again,
            _ => Next::Stop,
        };
        let why = match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => "no connection in time".into(),
            ureq::Error::Timeout(_) => "the server fell silent".into(),
            ureq::Error::HostNotFound => "there is no such host".into(),
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::TooManyRedirects => format!("more than {REDIRECTS} redirects"),
            other => other.to_string(),
        };
        Fault::new(next, why)
    }
}

fn cut(here: u64, total: Option<u64>) -> String {
    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
    format!("the connection ended after {here}{of} bytes")
}

/// The number of the first byte of a partial answer.
fn first_of<B>(response: &Response<B>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// The fault behind an answer that holds nothing of the file.
fn refusal(status: StatusCode) -> Fault {
    let next = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Next::Again,
        _ if status.is_server_error() => Next::Again,
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Next::Missing,
        _ => Next::Stop,
    };
    Fault::new(next, format!("HTTP status {status}"))
}
