//! Allocations that lie in files: what is mapped from one, and, where that was asked for, what there is no memory for. The system writes
//! their pages out or drops them as it needs to.
//!
//! On other systems than Linux there are none.

use std::fs::File;

/// A file of which the next allocation on this thread is to be a copy that is read as it is needed.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) file: i32,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

impl Wanted {
    /// So many bytes of `file`; none where files are not mapped.
    pub(super) fn new(file: &File, offset: u64, bytes: usize) -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            Some(Self { file: file.as_raw_fd(), offset, bytes })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (file, offset, bytes);
            None
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::Cell;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};
    use std::time::Duration;

    use super::Wanted;

    /// The most regions; the system allows a process about four times as many.
    const MOST: usize = 1 << 14;
    /// What scratch files are called for the moment in which they have a name.
    const NAME: &[u8] = b"/.mlp-gpu-XXXXXX\0";
    /// The longest path of a folder of scratch files.
    const LONGEST: usize = 4096;
    /// Bytes that are let go of at a time: whole pages.
    const PIECE: usize = 16 << 20;
    /// What a mapping begins at is a multiple of so many bytes, on all machines.
    const ALIGNED: u64 = 1 << 16;

    /// The folder of scratch files.
    static FOLDER: OnceLock<CString> = OnceLock::new();
    static REGIONS: Mutex<Regions> = Mutex::new(Regions { all: [Region::NONE; MOST], count: 0 });
    /// How many there are: most processes have none, and need no look.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    /// What SIGBUS did before [`guard`].
    static USUAL: OnceLock<libc::sigaction> = OnceLock::new();

    thread_local! {
        static WANTED: Cell<Option<Wanted>> = const { Cell::new(None) };
    }

    struct Regions {
        all: [Region; MOST],
        count: usize,
    }

    #[derive(Clone, Copy)]
    struct Region {
        /// What was given out.
        pointer: usize,
        /// The mapping that it lies in.
        base: usize,
        length: usize,
        scratch: bool,
    }

    impl Region {
        const NONE: Self = Self { pointer: 0, base: 0, length: 0, scratch: false };
    }

    fn regions() -> MutexGuard<'static, Regions> {
        REGIONS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::memory) fn spill(folder: &Path) {
        let name = CString::new(folder.as_os_str().as_bytes()).ok();
        if let Some(name) = name.filter(|name| name.as_bytes().len() + NAME.len() <= LONGEST) {
            let _ = FOLDER.set(name);
        }
    }

    pub(in crate::memory) fn spills() -> bool {
        FOLDER.get().is_some()
    }

    pub(in crate::memory) fn any() -> bool {
        COUNT.load(Ordering::Relaxed) > 0
    }

    pub(in crate::memory) fn want(wanted: Option<Wanted>) -> Option<Wanted> {
        WANTED.replace(wanted)
    }

    /// Maps `length` bytes of `file` from `offset` on. Null where that fails.
    fn map(file: i32, offset: u64, length: usize, scratch: bool) -> *mut u8 {
        // What is written to a scratch file is written out to it, what is written to any other file is this process's own.
        let kind = if scratch { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let first = offset / ALIGNED * ALIGNED;
        let before = (offset - first) as usize;
        let Ok(start) = libc::off_t::try_from(first) else { return null_mut() };
        // Held until the region is listed, so that whoever trims sees whole regions alone.
        let mut regions = regions();
        if regions.count == MOST {
            return null_mut();
        }
        // SAFETY: a new mapping touches no memory that is in use.
        let base =
            unsafe { libc::mmap(null_mut(), length + before, libc::PROT_READ | libc::PROT_WRITE, kind, file, start) };
        if base == libc::MAP_FAILED {
            return null_mut();
        }
        let pointer = base.cast::<u8>().wrapping_add(before);
        let count = regions.count;
        regions.all[count] =
            Region { pointer: pointer as usize, base: base as usize, length: length + before, scratch };
        regions.count += 1;
        COUNT.store(regions.count, Ordering::Relaxed);
        pointer
    }

    /// What this thread wants, if it is as large as an allocation of so many bytes.
    pub(in crate::memory) fn mapped(bytes: usize) -> *mut u8 {
        match WANTED.get() {
            Some(wanted) if wanted.bytes == bytes => {
                let pointer = map(wanted.file, wanted.offset, bytes, false);
                if !pointer.is_null() {
                    WANTED.set(None);
                }
                pointer
            }
            _ => null_mut(),
        }
    }

    /// Zeroes in a scratch file, which has no name. Null where there is no room for them, or nobody asked for such files.
    pub(in crate::memory) fn scratch(bytes: usize) -> *mut u8 {
        let Some(folder) = FOLDER.get().map(|folder| folder.as_bytes()) else { return null_mut() };
        let mut path = [0; LONGEST];
        path[..folder.len()].copy_from_slice(folder);
        path[folder.len()..folder.len() + NAME.len()].copy_from_slice(NAME);
        let Ok(length) = libc::off_t::try_from(bytes) else { return null_mut() };
        // SAFETY: the path ends in a zero within the array, which nobody else has.
        let file = unsafe { libc::mkostemp(path.as_mut_ptr().cast(), libc::O_CLOEXEC) };
        if file < 0 {
            return null_mut();
        }
        // SAFETY: as above; and the file is open.
        let there = unsafe {
            libc::unlink(path.as_ptr().cast());
            // Room that is not there would be found missing only when it is written to.
            libc::posix_fallocate(file, 0, length) == 0
        };
        let pointer = if there { map(file, 0, bytes, true) } else { null_mut() };
        // SAFETY: the mapping stays; nobody else has the file.
        unsafe { libc::close(file) };
        pointer
    }

    /// Whether `pointer` is a region.
    pub(in crate::memory) fn holds(pointer: *mut u8) -> bool {
        let regions = regions();
        regions.all[..regions.count].iter().any(|region| region.pointer == pointer as usize)
    }

    /// Gives the region at `pointer` up, if there is one.
    pub(in crate::memory) fn free(pointer: *mut u8) -> bool {
        let mut regions = regions();
        let count = regions.count;
        // What was taken last is mostly given up first.
        let Some(at) = regions.all[..count].iter().rposition(|region| region.pointer == pointer as usize) else {
            return false;
        };
        let region = regions.all[at];
        regions.all[at] = regions.all[count - 1];
        regions.count -= 1;
        COUNT.store(regions.count, Ordering::Relaxed);
        // SAFETY: the mapping is whole, and who gave it up does not use it any more.
        unsafe { libc::munmap(region.base as *mut libc::c_void, region.length) };
        true
    }

    /// Has the process end in one line where it reads what a mapped file has no more: the system sends SIGBUS, which would end it
    /// without a word.
    pub(in crate::memory) fn guard() {
        static GUARDED: Once = Once::new();
        GUARDED.call_once(|| {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = unreadable;
            // SAFETY: zeroes are an action. The handler is one of the kind that the flag asks for.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                let mut usual: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as libc::sighandler_t;
                // Not on the stack for overflows, which is small.
                action.sa_flags = libc::SA_SIGINFO;
                if libc::sigaction(libc::SIGBUS, &raw const action, &raw mut usual) == 0 {
                    let _ = USUAL.set(usual);
                }
            }
        });
    }

    /// Ends the process where the signal is of a mapped file. The thread that it interrupts was about to read a value, and holds no lock.
    extern "C" fn unreadable(signal: libc::c_int, about: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: what the signal is about is there as long as the handler runs, and says the address.
        let address = unsafe { (*about).si_addr() } as usize;
        if is_of_file(address) {
            // Other threads read the same file. One of them tells.
            static TOLD: AtomicBool = AtomicBool::new(false);
            while TOLD.swap(true, Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
            }
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
            let path = maps.lines().find_map(|line| path_at(line, address)).unwrap_or("a mapped file");
            super::super::end(format_args!(
                "{path}: found fewer bytes than it had when it was opened, expected a file that stays as it is while it is in use"
            ));
        }
        // What happens again does what it would have done.
        if let Some(usual) = USUAL.get() {
            // SAFETY: the action is one that was set before.
            unsafe { libc::sigaction(signal, usual, null_mut()) };
        }
    }

    /// Whether `address` is of a file that was mapped, and not of a scratch file.
    fn is_of_file(address: usize) -> bool {
        let regions = regions();
        let mut files = regions.all[..regions.count].iter().filter(|region| !region.scratch);
        files.any(|region| (region.base..region.base + region.length).contains(&address))
    }

    /// The path in a line of /proc/self/maps, if the mapping holds `address`.
    fn path_at(line: &str, address: usize) -> Option<&str> {
        let (first, last) = line.split_whitespace().next()?.split_once('-')?;
        let within = usize::from_str_radix(first, 16).ok()?..usize::from_str_radix(last, 16).ok()?;
        line.find('/').filter(|_| within.contains(&address)).map(|start| &line[start..])
    }

    /// Lets go of the pages of all regions; they are read again where they are needed.
    pub(in crate::memory) fn trim() {
        let (mut number, mut start) = (0, 0);
        loop {
            // Piece by piece, as whoever gives a region up waits. Another may be in its place then, whose turn comes with the next call.
            let regions = regions();
            let Some(region) = regions.all[..regions.count].get(number) else { return };
            let length = region.length.saturating_sub(start).min(PIECE);
            if length == 0 {
                (number, start) = (number + 1, 0);
                continue;
            }
            // Pages of a shared mapping are the file's; those of a private one may have been written to, and are paged out.
            let how = if region.scratch { libc::MADV_DONTNEED } else { libc::MADV_PAGEOUT };
            // SAFETY: the piece is of a mapping that is there as long as the lock is held, and what it holds stays the same.
            unsafe { libc::madvise((region.base + start) as *mut libc::c_void, length, how) };
            start += length;
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{any, free, guard, holds, mapped, scratch, spill, spills, trim, want};

#[cfg(not(target_os = "linux"))]
mod none {
    use std::path::Path;
    use std::ptr::null_mut;

    use super::Wanted;

    pub(in crate::memory) fn spill(_: &Path) {}

    pub(in crate::memory) fn spills() -> bool {
        false
    }

    pub(in crate::memory) fn any() -> bool {
        false
    }

    pub(in crate::memory) fn want(wanted: Option<Wanted>) -> Option<Wanted> {
        wanted
    }

    pub(in crate::memory) fn mapped(_: usize) -> *mut u8 {
        null_mut()
    }

    pub(in crate::memory) fn scratch(_: usize) -> *mut u8 {
        null_mut()
    }

    pub(in crate::memory) fn holds(_: *mut u8) -> bool {
        false
    }

    pub(in crate::memory) fn free(_: *mut u8) -> bool {
        false
    }

    pub(in crate::memory) fn guard() {}

    pub(in crate::memory) fn trim() {}
}

#[cfg(not(target_os = "linux"))]
pub(super) use none::{any, free, guard, holds, mapped, scratch, spill, spills, trim, want};
