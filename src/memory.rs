//! How much memory there is, and the refusal of what would take more: by name if the need is known beforehand ([`check`]), and for
//! any large allocation in a program whose allocator is [`Allocator`]. There, what is not in memory can lie in files ([`spill`],
//! [`values`]).

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use bytemuck::Pod;

use crate::error::{Error, Result};

mod regions;

/// Allocations of so many bytes are counted, and refused where there is no memory for them.
const LARGE: usize = 1 << 20;
/// Where files take what there is no memory for, allocations of so many bytes are looked at too.
const SPILLED: usize = 1 << 16;
/// Allocations of so many bytes go back to the system when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK: libc::c_int = 1 << 17;
/// How often pages of files are let go of, where the process is held to so many bytes.
const TRIMMED: Duration = Duration::from_millis(2);
/// One part in so many of what is left may be taken before it is measured again.
const LEASE: u64 = 8;

/// The most bytes that the process may take, as it was told.
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// Bytes in large allocations. Those that were not written to yet are in no figure of the system.
static LARGE_BYTES: AtomicU64 = AtomicU64::new(0);
/// Bytes that may be taken before what is left is measured again, and how many they were when it was measured last.
static LEASED: AtomicI64 = AtomicI64::new(0);
static LEASE_SIZE: AtomicI64 = AtomicI64::new(0);
/// What does not change while the process runs.
static BOUNDS: OnceLock<Bounds> = OnceLock::new();

/// What holds the process to so much memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// What [`set_limit`] was given.
    Limit,
    /// The process's address space, RLIMIT_AS.
    AddressSpace,
    /// Its control group, such as that of a container.
    Group,
    /// What the machine has.
    Machine,
}

impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Limit => "the memory that was allowed",
            Self::AddressSpace => "the address space that the process may have (ulimit -v)",
            Self::Group => "the memory of the process's control group",
            Self::Machine => "the machine's memory",
        })
    }
}

/// Allows the process so many bytes in all, from now on.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
    LEASED.store(0, Ordering::Relaxed);
    LEASE_SIZE.store(0, Ordering::Relaxed);
}

/// What [`set_limit`] was given, if anything.
pub fn limit() -> Option<u64> {
    Some(LIMIT.load(Ordering::Relaxed)).filter(|limit| *limit != u64::MAX)
}

/// How many bytes more the process can take; none where nothing says so.
pub fn available() -> Option<u64> {
    BOUNDS.get_or_init(Bounds::new);
    // No machine has so much, and no address space.
    Some(left().0).filter(|left| *left < 1 << 60)
}

/// Refuses `needed` bytes more where there are not so many left; `what` takes them.
///
/// # Errors
/// [`Error::Memory`].
pub fn check(needed: u64, what: impl FnOnce() -> String) -> Result<()> {
    // Beneath this, the figures are not worth their time.
    if needed < LARGE as u64 {
        return Ok(());
    }
    BOUNDS.get_or_init(Bounds::new);
    match left() {
        (left, of) if needed > left => Err(Error::Memory { what: what(), needed, left, of }),
        _ => Ok(()),
    }
}

/// From now on, allocations that there is no memory for are files without names in `folder`, if the allocator is [`Allocator`] and the
/// system Linux: slower, but not refused while the disk has room.
pub fn spill(folder: &Path) {
    regions::spill(folder);
    keep_trimmed();
}

/// `count` values of `file` from the byte `offset` on. If the allocator is [`Allocator`] and the system Linux, they take no memory: they
/// are read as they are needed, and what is written to them is the process's own. The file must stay as it is: reading what was cut off
/// ends the process in one line and with exit code 1. Otherwise they are read now.
///
/// # Errors
/// When the file has not so many, or cannot be read.
pub fn values<T: Pod>(file: &File, offset: u64, count: usize) -> std::io::Result<Vec<T>> {
    let bytes = count.saturating_mul(size_of::<T>());
    let end = offset.checked_add(bytes as u64);
    // Mappings begin at multiples of any type's alignment.
    if bytes >= LARGE
        && offset.is_multiple_of(align_of::<T>() as u64)
        && end.is_some_and(|end| file.metadata().is_ok_and(|found| found.len() >= end))
        && let Some(wanted) = regions::Wanted::new(file, offset, bytes)
    {
        regions::want(Some(wanted));
        let mut values = Vec::with_capacity(count);
        // Taken by the allocator.
        if regions::want(None).is_none() {
            keep_trimmed();
            regions::guard();
            // SAFETY: all of the allocation is a mapping of bytes that the file has, and any bits are a value.
            unsafe { values.set_len(count) };
            return Ok(values);
        }
    }
    let mut values = vec![T::zeroed(); count];
    let mut reader = file;
    reader.seek(SeekFrom::Start(offset))?;
    reader.read_exact(bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}

/// Lets go of pages of files as long as the process lives, where it takes most of what [`set_limit`] allows: the system itself would do
/// so only once the machine has no memory left.
fn keep_trimmed() {
    static BEGUN: Once = Once::new();
    let limit = LIMIT.load(Ordering::Relaxed);
    if limit == u64::MAX {
        return;
    }
    BEGUN.call_once(|| {
        // Without it, the process takes more, but nothing is wrong.
        let _ = std::thread::Builder::new().name("trim".into()).spawn(move || {
            loop {
                std::thread::sleep(TRIMMED);
                let [all, files] = kibibytes("/proc/self/status", ["VmRSS", "RssFile"]);
                let (all, files) = (all.unwrap_or(0), files.unwrap_or(0));
                if regions::any() && all > limit / 2 && files > limit / 8 {
                    regions::trim();
                }
            }
        });
    });
}

/// A number of bytes in words.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(60, "EiB"), (50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(power, _)| self.0 >> power > 0) {
            Some((power, unit)) => write!(out, "{:.1} {unit}", self.0 as f64 / (1u64 << power) as f64),
            None => write!(out, "{} bytes", self.0),
        }
    }
}

/// What does not change while the process runs: where the figures are.
#[derive(Debug, Default)]
struct Bounds {
    /// RLIMIT_AS.
    address_space: Option<u64>,
    group: Option<Group>,
}

/// The files of a control group: its limit, what it takes, and of what. Version 2 and version 1 name them differently.
#[derive(Debug)]
struct Group {
    limit: PathBuf,
    taken: PathBuf,
    parts: PathBuf,
}

impl Bounds {
    fn new() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let address_space = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max address space"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { address_space, group: groups.lines().find_map(Group::of) }
    }
}

impl Group {
    /// The group in a line of /proc/self/cgroup, if it limits memory.
    fn of(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (root, names) = match controllers {
            "" => ("/sys/fs/cgroup", ["memory.max", "memory.current"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes"])
            }
            _ => return None,
        };
        // The nearest that has a limit: the process's own, those around it, and the root, which is a container's own group.
        let root = Path::new(root);
        Path::new(path).ancestors().map(|path| root.join(path)).find_map(|folder| {
            let [limit, taken, parts] = [names[0], names[1], "memory.stat"].map(|name| folder.join(name));
            (number(&limit)? < 1 << 60).then_some(Self { limit, taken, parts })
        })
    }

    /// The bytes that are left to it. Files and caches that are kept in memory while there is room are given up.
    fn left(&self) -> Option<u64> {
        let mut buffer = [0; 4096];
        let length = File::open(&self.parts).and_then(|mut file| file.read(&mut buffer)).unwrap_or(0);
        let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let given_up = lines.filter(|(name, _)| ["inactive_file", "active_file", "slab_reclaimable"].contains(name));
        let files: u64 = given_up.filter_map(|(_, bytes)| bytes.parse::<u64>().ok()).sum();
        Some(number(&self.limit)?.saturating_sub(number(&self.taken)?.saturating_sub(files)))
    }
}

/// The number that a file of the system holds. Takes no memory: the allocator asks too.
fn number(path: &Path) -> Option<u64> {
    let mut buffer = [0; 32];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()?.trim().parse().ok()
}

/// The numbers of KiB behind `names` in a file of lines `name: number kB`, as bytes.
fn kibibytes<const N: usize>(path: &str, names: [&str; N]) -> [Option<u64>; N] {
    let mut buffer = [0; 4096];
    let length = File::open(path).and_then(|mut file| file.read(&mut buffer)).unwrap_or(0);
    let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
    names.map(|name| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.strip_prefix(':')?.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    })
}

/// How many bytes more the process can take, and what says so. Without figures of the system only what [`set_limit`] says.
fn left() -> (u64, Bound) {
    let [resident, files, mapped] = kibibytes("/proc/self/status", ["VmRSS", "RssFile", "VmSize"]);
    // Pages of files are given up for what needs memory.
    let resident = resident.map(|bytes| bytes.saturating_sub(files.unwrap_or(0)));
    let [available] = kibibytes("/proc/meminfo", ["MemAvailable"]);
    let large = LARGE_BYTES.load(Ordering::Relaxed);
    let resident = resident.unwrap_or(large);
    let untouched = large.saturating_sub(resident);
    let limit = LIMIT.load(Ordering::Relaxed);
    let mut found = (limit.saturating_sub(resident.max(large)), Bound::Limit);
    let mut narrow = |left: Option<u64>, of| {
        if let Some(left) = left.filter(|left| *left < found.0) {
            found = (left, of);
        }
    };
    narrow(available.map(|bytes| bytes.saturating_sub(untouched)), Bound::Machine);
    if let Some(Bounds { address_space, group }) = BOUNDS.get() {
        narrow(group.as_ref().and_then(Group::left).map(|left| left.saturating_sub(untouched)), Bound::Group);
        narrow(address_space.and_then(|limit| Some(limit.saturating_sub(mapped?))), Bound::AddressSpace);
    }
    found
}

/// The system's allocator, which ends the process in one line and with exit code 1 where a large allocation would take more memory
/// than there is. Without it the process would be killed, or aborted.
pub struct Allocator;

impl Allocator {
    /// A large allocation of `bytes` begins, or one that grows to be so large by `more`: where it is, if that is in a file.
    fn begin(more: usize, bytes: usize) -> Option<*mut u8> {
        let in_file = |pointer: *mut u8| (!pointer.is_null()).then_some(pointer);
        if let Some(pointer) = in_file(regions::mapped(bytes)) {
            return Some(pointer);
        }
        let spills = regions::spills();
        if bytes < LARGE && !spills {
            return None;
        }
        let size = more as i64;
        if LEASED.fetch_sub(size, Ordering::Relaxed) < size {
            let (left, of) = left();
            // What is too small to be looked at needs some memory too.
            let most = if spills { left / 2 } else { left };
            let lease = (most / LEASE).min(i64::MAX as u64) as i64;
            LEASE_SIZE.store(lease, Ordering::Relaxed);
            LEASED.store(lease, Ordering::Relaxed);
            if more as u64 > most {
                match in_file(regions::scratch(bytes)) {
                    Some(pointer) => return Some(pointer),
                    None if more as u64 > left => refuse(more, left, of),
                    None => {}
                }
            }
        }
        if bytes >= LARGE {
            LARGE_BYTES.fetch_add(more as u64, Ordering::Relaxed);
        }
        None
    }

    /// One has ended: its bytes may be taken again, but no more at once than were leased, for others take memory too.
    fn give(bytes: usize) {
        LARGE_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
        let most = LEASE_SIZE.load(Ordering::Relaxed);
        let given = |leased: i64| (leased < most).then(|| leased.saturating_add(bytes as i64).min(most));
        let _ = LEASED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given);
    }

    /// `pointer`, unless the system gave none for so many bytes.
    fn given(pointer: *mut u8, bytes: usize) -> *mut u8 {
        if pointer.is_null() {
            let (left, of) = left();
            refuse(bytes, left, of);
        }
        pointer
    }
}

/// What comes before the process is ended.
static BEFORE: OnceLock<fn()> = OnceLock::new();

/// Has `act` called before a refused allocation, or a file that was cut off, ends the process. The first one counts; it must not take
/// much memory.
pub(crate) fn before_refusing(act: fn()) {
    let _ = BEFORE.set(act);
}

/// Ends the process.
#[cold]
fn refuse(bytes: usize, left: u64, of: Bound) -> ! {
    let (needed, left) = (Bytes(bytes as u64), Bytes(left));
    end(format_args!(
        "out of memory: {needed} more are needed, and {left} are left of {of}: use less data, smaller batches or layers"
    ))
}

/// Ends the process with a line of error.
#[cold]
fn end(error: fmt::Arguments<'_>) -> ! {
    if let Some(act) = BEFORE.get() {
        act();
    }
    // A bar may stand in the line.
    let start = if std::io::stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    // Neither formats into memory.
    let _ = writeln!(std::io::stderr().lock(), "{start}error: {error}");
    std::process::exit(1);
}

// SAFETY: all memory is the system allocator's, with the layouts as they were given, or a mapping of its own that is at least as large
// and begins where a page does, or, where a file is mapped, at values of its type; what is added counts bytes, or ends the process.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        if size >= SPILLED
            && let Some(pointer) = Self::begin(size, size)
        {
            return pointer;
        }
        // SAFETY: as the caller promises of `layout`.
        let pointer = unsafe { System.alloc(layout) };
        if size >= LARGE { Self::given(pointer, size) } else { pointer }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        if size >= SPILLED
            && let Some(pointer) = Self::begin(size, size)
        {
            return pointer;
        }
        // SAFETY: as the caller promises of `layout`.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if size >= LARGE { Self::given(pointer, size) } else { pointer }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() >= SPILLED && regions::any() && regions::free(pointer) {
            return;
        }
        if layout.size() >= LARGE {
            Self::give(layout.size());
        }
        // SAFETY: as the caller promises of `pointer` and `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // What grows may be copied, so that for a while there are both; pages are mostly moved instead, so that only what is added
        // counts.
        let (before, after) = (layout.size(), size);
        let known = if before >= LARGE { before } else { 0 };
        let in_file = before >= SPILLED && regions::any() && regions::holds(pointer);
        if in_file && (SPILLED..=before).contains(&after) {
            return pointer;
        }
        let place = if in_file {
            // SAFETY: `size` is not 0, and the alignment is one already.
            Some(unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) })
        } else if after >= SPILLED && after > before {
            Self::begin(after - known, after)
        } else {
            if known > 0 {
                Self::give(known - if after >= LARGE { after } else { 0 });
            }
            None
        };
        if let Some(place) = place {
            // What is in a file stays there where there is no memory: it is none of the system allocator's.
            if !place.is_null() {
                // SAFETY: both are as large as what is copied, they are apart, and the old one is the caller's to give up.
                unsafe {
                    std::ptr::copy_nonoverlapping(pointer, place, before.min(after));
                    self.dealloc(pointer, layout);
                }
            }
            return place;
        }
        // SAFETY: as the caller promises of `pointer`, `layout` and `size`.
        let pointer = unsafe { System.realloc(pointer, layout, size) };
        if after >= LARGE { Self::given(pointer, after) } else { pointer }
    }
}

/// Learns what holds the process, before anything large is allocated, and has what is freed given back to the system.
pub fn watch() {
    BOUNDS.get_or_init(Bounds::new);
    // By itself glibc keeps blocks of up to 32 MB for itself once such have been freed: the rows of a table, encoded chunk by chunk,
    // would be there twice.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_refused_with_the_figures() {
        check(0, || unreachable!()).unwrap();
        check(2 << 20, || unreachable!()).unwrap();
        let error = check(1 << 60, || "a large thing".into()).unwrap_err();
        assert!(matches!(error, Error::Memory { needed, .. } if needed == 1 << 60) || cfg!(not(target_os = "linux")));
        assert!(error.to_string().starts_with("a large thing takes 1.0 EiB"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn what_is_given_back_may_be_taken_without_measuring_again() {
        assert!(Allocator::begin(1 << 20, 1 << 20).is_none());
        let (leased, lease) = (LEASED.load(Ordering::Relaxed), LEASE_SIZE.load(Ordering::Relaxed));
        // A hundred times the lease in all, never more than a hundredth of it at once.
        let part = (lease / 100) as usize;
        for _ in 0..10_000 {
            assert!(Allocator::begin(part, part.max(LARGE)).is_none());
            Allocator::give(part);
        }
        assert_eq!(LEASED.load(Ordering::Relaxed), leased);
        Allocator::give(1 << 20);
        assert_eq!(LEASED.load(Ordering::Relaxed), lease);
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_fits() {
        let written = [0, 1023, 1536, 5 << 30].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(written, ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]);
    }
}
