//! Marks against the kernel: calls are made for real, twice, with buffers full of 0x00 and full of 0xff.
//!
//! What always holds: every byte that the kernel changed in either run is marked, and every marked byte was
//! changed in one of them, but for bytes that held an input (they may be written with what they held) and for
//! those that a trial excuses with a reason. Calls that this machine refuses are named and skipped; so many must
//! be left. Everything happens in the test's own process, on its own descriptors and memory.
#![allow(unsafe_code, reason = "makes system calls on a mapping of its own")]

#[path = "kernel/trials.rs"]
mod trials;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use syscall_params::{Check, Memory, Need};

/// The mapping that all buffers lie in.
pub(crate) struct Arena {
    start: u64,
    size: usize,
    used: usize,
    pattern: u8,
    inputs: BTreeSet<u64>,
}

const SIZE: usize = 1 << 18;

impl Arena {
    fn new() -> Arena {
        // SAFETY: a new mapping, which no reference points into.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Arena { start: start as u64, size: SIZE, used: 0, pattern: 0, inputs: BTreeSet::new() }
    }

    /// Makes all bytes the pattern and forgets what was in use.
    fn reset(&mut self, pattern: u8) {
        self.pattern = pattern;
        self.used = 0;
        self.inputs.clear();
        // SAFETY: the whole mapping, in which nothing lives.
        unsafe { std::ptr::write_bytes(self.start as *mut u8, pattern, self.size) };
    }

    /// Bytes for an output, with some to spare behind them.
    pub(crate) fn room(&mut self, size: usize) -> u64 {
        let at = self.start + self.used as u64;
        self.used += size.next_multiple_of(16) + 64;
        assert!(self.used <= self.size);
        at
    }

    /// A page of its own.
    pub(crate) fn page(&mut self) -> u64 {
        self.used = self.used.next_multiple_of(4096);
        self.room(4096)
    }

    /// Bytes that the call reads.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len());
        self.write(at, bytes);
        at
    }

    pub(crate) fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    pub(crate) fn text(&mut self, text: &str) -> u64 {
        self.put(format!("{text}\0").as_bytes())
    }

    /// Input at a place in a room.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        assert!(at >= self.start && at + bytes.len() as u64 <= self.start + self.size as u64);
        // SAFETY: inside the mapping, as just asserted.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
        self.inputs.extend(at..at + bytes.len() as u64);
    }

    fn snapshot(&self) -> Vec<u8> {
        // SAFETY: the mapping, which is written only by system calls of this thread.
        unsafe { std::slice::from_raw_parts(self.start as *const u8, self.size) }.to_vec()
    }
}

/// This process, read through the kernel, so that a bad address is no fault.
struct Own;

impl Memory for Own {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let remote = libc::iovec { iov_base: address as *mut _, iov_len: into.len() };
        // SAFETY: the local vector is `into`; the remote one is only read, by the kernel.
        let count = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        count == into.len() as isize
    }

    fn semaphores(&self, _set: u32) -> Option<u64> {
        Some(2)
    }
}

/// One call.
pub(crate) struct Trial {
    pub(crate) title: &'static str,
    pub(crate) number: i64,
    /// Prepares buffers and gives the arguments; `None` where this machine cannot.
    #[allow(clippy::type_complexity, reason = "used once")]
    pub(crate) prepare: Box<dyn FnMut(&mut Arena) -> Option<Vec<u64>>>,
    /// Bytes of marks that the kernel did not write, at most, with the reason.
    pub(crate) excused: Option<(u64, &'static str)>,
    /// The error that is expected, as a negative number; 0 for success.
    pub(crate) error: i64,
}

/// A call made once: arguments, changed bytes, marked bytes, all as offsets.
struct Run {
    changed: BTreeSet<u64>,
    marked: BTreeSet<u64>,
    inputs: BTreeSet<u64>,
}

fn run(arena: &mut Arena, trial: &mut Trial, pattern: u8) -> Result<Run, String> {
    arena.reset(pattern);
    let arguments = (trial.prepare)(arena).ok_or("cannot be prepared")?;
    let mut six = [0; 6];
    six[..arguments.len()].copy_from_slice(&arguments);
    let start = arena.start;
    let mut writable = BTreeSet::new();
    let before = syscall_params::before(trial.number as u64, &six, &Own, true, &mut |check| {
        if let Check::Memory { need: Need::Write, address, size, .. } = check {
            writable.extend((address..address + size).map(|at| at.wrapping_sub(start)));
        }
    });
    assert!(before.known);
    let old = arena.snapshot();
    // SAFETY: all pointers lead into the arena, where no references are.
    let result = unsafe { libc::syscall(trial.number, six[0], six[1], six[2], six[3], six[4], six[5]) };
    let result = if result == -1 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap())
    } else {
        result
    };
    if (result < 0 && result != trial.error) || (result >= 0 && trial.error != 0) {
        return Err(format!("result {result}"));
    }
    let new = arena.snapshot();
    let mut marked = BTreeSet::new();
    syscall_params::after(trial.number as u64, &six, result, &before.kept, &Own, &mut |address, size| {
        assert!(address >= start && address + size <= start + SIZE as u64, "{}: mark outside", trial.title);
        marked.extend((address..address + size).map(|at| at - start));
    });
    let changed: BTreeSet<u64> =
        (0..SIZE as u64).filter(|at| old[*at as usize] != new[*at as usize]).collect();
    let inputs = arena.inputs.iter().map(|at| at - start).collect();
    // What the kernel wrote, the checks before the call must have announced, as output or as input.
    let silent: Vec<u64> =
        changed.iter().filter(|at| !writable.contains(at) && !marked.contains(at)).copied().collect();
    assert!(silent.is_empty(), "{}: {silent:x?} written without a check or a mark", trial.title);
    Ok(Run { changed, marked, inputs })
}

#[test]
fn marks_are_what_the_kernel_writes() {
    let mut arena = Arena::new();
    let _objects = trials::Objects;
    let (mut problems, mut skipped) = (String::new(), Vec::new());
    let mut calls = BTreeSet::new();
    let mut bytes = 0;
    for mut trial in trials::all() {
        let runs: Result<Vec<Run>, String> =
            [0x00, 0xff].into_iter().map(|pattern| run(&mut arena, &mut trial, pattern)).collect();
        let runs = match runs {
            Ok(runs) => runs,
            Err(reason) => {
                skipped.push(format!("{} ({reason})", trial.title));
                continue;
            }
        };
        calls.insert(trial.number);
        let mut most = 0;
        let changed: BTreeSet<u64> = runs.iter().flat_map(|run| run.changed.iter().copied()).collect();
        for run in &runs {
            let missed: Vec<u64> = run.changed.difference(&run.marked).copied().collect();
            if !missed.is_empty() {
                writeln!(
                    problems,
                    "{}: {} written bytes are not marked: {missed:x?}",
                    trial.title,
                    missed.len()
                )
                .unwrap();
            }
            let more: Vec<u64> = run
                .marked
                .iter()
                .filter(|at| !changed.contains(at) && !run.inputs.contains(at))
                .copied()
                .collect();
            let allowed = trial.excused.map_or(0, |(count, _)| count);
            if more.len() as u64 > allowed {
                writeln!(
                    problems,
                    "{}: {} marked bytes were not written: {more:x?}",
                    trial.title,
                    more.len()
                )
                .unwrap();
            }
            bytes += run.changed.len();
            most = most.max(more.len() as u64);
        }
        if let Some((_, reason)) = trial.excused
            && most == 0
        {
            writeln!(problems, "{}: excused for nothing: {reason}", trial.title).unwrap();
        }
    }
    println!("{} calls, {bytes} bytes written by the kernel; skipped: {skipped:?}", calls.len());
    assert!(problems.is_empty(), "{problems}");
    assert!(calls.len() >= 60, "only {} calls; skipped: {skipped:?}", calls.len());
}
