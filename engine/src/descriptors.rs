//! The guest's descriptors, with `--track-fds`: who opened and who closed them, and what is wrong with a close or a use.
//!
//! Always holds: what is told was checked with the kernel, so that a descriptor that was made in a way nobody knows of is
//! none that is not open. Each table belongs to the threads that share it in the kernel (CLONE_FILES), and a lock guards
//! it. Not here: which system calls make, close and use descriptors (`syscalls::descriptors`).
//!
//! # Safety
//! `unsafe` here asks the kernel about descriptors, with buffers of the engine's.
#![allow(unsafe_code, reason = "system calls with engine buffers")]

mod names;

use crate::context::Thread;
use crate::errors::{self, About, Told};
use crate::lock::Mutex;
use crate::stacks;
use crate::state::Engine;
use crate::sys::{self, errno, nr};
use crate::syscalls::descriptors::Under;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ring::record::{Error, descriptor};
use ring::shared::{FLAG_DESCRIPTORS, FLAG_STANDARD_DESCRIPTORS, FLAG_UNCLOSED};

/// One number, as long as it was open once.
#[derive(Debug, Clone, Default)]
struct Entry {
    is_open: bool,
    /// The process was started with it.
    inherited: bool,
    /// Stack of the call that made it; 0 when it is not known.
    opened: u32,
    /// Stack of the close before; 0 before the first.
    closed: u32,
    /// What it was open for when it was closed.
    name: Vec<u8>,
    /// Of the name: `descriptor::*`.
    kind: u32,
}

/// A table of descriptors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    entries: BTreeMap<i32, Entry>,
}

/// What a thread knows of descriptors.
pub(crate) struct Descriptors {
    table: Arc<Mutex<Table>>,
    /// The call that it is in, if that makes any.
    pub(crate) under: Option<Under>,
}

impl Descriptors {
    /// Those that the program was started with; `None` unless they are asked for.
    pub(crate) fn inherited(engine: &Engine) -> Option<Descriptors> {
        if engine.options.flags & FLAG_DESCRIPTORS == 0 {
            return None;
        }
        let mut table = Table::default();
        for number in open_numbers() {
            let ours = [engine.shared_fd, engine.image_fd].contains(&i64::from(number));
            if !ours && is_open(number) {
                let entry = Entry { is_open: true, inherited: true, ..Entry::default() };
                table.entries.insert(number, entry);
            }
        }
        Some(Descriptors::with(table))
    }

    fn with(table: Table) -> Descriptors {
        Descriptors { table: Arc::new(Mutex::new(table)), under: None }
    }

    /// Those of a new thread or process that shares this one's memory.
    pub(crate) fn of_child(&self, shared: bool) -> Descriptors {
        if shared {
            return Descriptors { table: self.table.clone(), under: None };
        }
        Descriptors::with(self.table.lock().clone())
    }

    /// From here on the thread's table is its own (unshare).
    pub(crate) fn part(&mut self) {
        *self = self.of_child(false);
    }

    /// The table, to be locked over a fork: the lock's holder would not be there in the child.
    pub(crate) fn table(&self) -> Arc<Mutex<Table>> {
        self.table.clone()
    }

    /// A call has made a descriptor.
    pub(crate) fn opened(&self, number: i32, stack: u32) {
        let mut table = self.table.lock();
        let entry = table.entries.entry(number).or_default();
        *entry = Entry { is_open: true, opened: stack, ..Entry::default() };
    }

    /// A descriptor is about to be closed. False when it is not open.
    pub(crate) fn close(&self, number: i32, stack: u32) -> bool {
        if !is_open(number) {
            return false;
        }
        let (kind, name) = names::of(number);
        let mut table = self.table.lock();
        let entry = table.entries.entry(number).or_default();
        *entry = Entry { is_open: false, closed: stack, name, kind, ..core::mem::take(entry) };
        true
    }

    /// All in a range are about to be closed.
    pub(crate) fn close_range(&self, first: i32, last: i32, stack: u32) {
        if first > last {
            return;
        }
        let table = self.table.lock();
        let open = table.entries.range(first..=last).filter(|(_, entry)| entry.is_open);
        let numbers: Vec<i32> = open.map(|(number, _)| *number).collect();
        drop(table);
        for number in numbers {
            self.close(number, stack);
        }
    }

    /// Whether a descriptor that is used is open.
    pub(crate) fn may_use(&self, number: i32) -> bool {
        let known = self.table.lock().entries.get(&number).is_some_and(|entry| entry.is_open);
        known || is_open(number)
    }
}

/// Tells that the thread closes or uses, in the system call `name` that it is about to make, what is not open.
#[cold]
pub(crate) fn tell_bad(engine: &Engine, thread: &mut Thread, error: Error, number: i32, name: &str) {
    let Some(descriptors) = &thread.descriptors else { return };
    let entry = descriptors.table.lock().entries.get(&number).cloned().unwrap_or_default();
    let stack = stacks::here(engine, thread);
    tell(thread, stack, error, number, &entry, name);
}

/// At the end of the process: tells of descriptors that are still open.
pub(crate) fn tell_open(engine: &Engine, thread: &mut Thread) {
    const FIRST_OTHER: i32 = 3;
    let flags = engine.options.flags;
    let Some(descriptors) = thread.descriptors.as_ref().filter(|_| flags & FLAG_UNCLOSED != 0) else {
        return;
    };
    let first = if flags & FLAG_STANDARD_DESCRIPTORS != 0 { 0 } else { FIRST_OTHER };
    let table = descriptors.table.lock().clone();
    for (&number, entry) in table.entries.range(first..) {
        if entry.is_open && is_open(number) {
            let (kind, name) = names::of(number);
            let entry = Entry { kind, name, ..entry.clone() };
            tell(thread, entry.opened, Error::FdNotClosed, number, &entry, "");
        }
    }
}

fn tell(thread: &mut Thread, stack: u32, error: Error, number: i32, entry: &Entry, call: &str) {
    let about = About::stacks(entry.opened, entry.closed);
    let inherited = if entry.inherited { descriptor::INHERITED } else { 0 };
    let told = Told {
        value: i64::from(number) as u64,
        given: u64::from(entry.kind | inherited),
        text: call.as_bytes(),
        name: &entry.name,
        ..Told::new(error, about)
    };
    errors::tell(thread, stack, &told);
}

/// Whether the kernel has it open.
fn is_open(number: i32) -> bool {
    const F_GETFD: u64 = 1;
    // SAFETY: touches no memory.
    unsafe { sys::call(nr::FCNTL, &[number as u64, F_GETFD]) != -errno::EBADF }
}

/// Numbers in /proc/self/fd; none when that is not there.
fn open_numbers() -> Vec<i32> {
    const HEAD: usize = 19;
    let mut numbers = Vec::new();
    let mut entries = alloc::vec![0u8; 4096];
    // SAFETY: the kernel reads the name, and writes at most the buffer's length.
    unsafe {
        let name = c"/proc/self/fd";
        let flags = sys::O_CLOEXEC;
        let directory = sys::call(nr::OPENAT, &[sys::AT_FDCWD, name.as_ptr() as u64, flags]);
        if directory < 0 {
            return numbers;
        }
        loop {
            let arguments = [directory as u64, entries.as_mut_ptr() as u64, entries.len() as u64];
            let count = sys::call(nr::GETDENTS64, &arguments);
            let Some(mut rest) = entries.get(..count.max(0) as usize).filter(|rest| !rest.is_empty()) else {
                break;
            };
            // struct linux_dirent64: inode, offset, length of the entry, type, name with a NUL.
            while let Some(head) = rest.get(..HEAD) {
                let length = usize::from(u16::from_le_bytes([head[16], head[17]]));
                let Some(name) = rest.get(HEAD..length) else { break };
                let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
                let number = core::str::from_utf8(name).ok().and_then(|name| name.parse::<i32>().ok());
                numbers.extend(number.filter(|number| i64::from(*number) != directory));
                rest = &rest[length..];
            }
        }
        crate::loader::close(directory);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_open() {
        let numbers = open_numbers();
        assert!([0, 1, 2].iter().all(|number| numbers.contains(number)));
        assert!(numbers.iter().filter(|number| **number <= 2).all(|number| is_open(*number)));
        assert!(!is_open(-1) && !is_open(1 << 30));
    }

    #[test]
    fn an_entry_keeps_who_opened_and_who_closed() {
        let descriptors = Descriptors::with(Table::default());
        descriptors.opened(2, 5);
        assert!(descriptors.close(2, 6));
        let of = |descriptors: &Descriptors| descriptors.table.lock().entries[&2].clone();
        assert_eq!(
            (of(&descriptors).is_open, of(&descriptors).opened, of(&descriptors).closed),
            (false, 5, 6)
        );
        // The kernel knows better.
        assert!(descriptors.may_use(2) && !descriptors.may_use(1 << 30) && !descriptors.close(1 << 30, 7));
        let child = descriptors.of_child(false);
        child.opened(2, 8);
        assert!(of(&child).is_open && !of(&descriptors).is_open);
        let thread = descriptors.of_child(true);
        thread.opened(2, 9);
        assert!(of(&descriptors).is_open);
        descriptors.close_range(0, 2, 10);
        assert_eq!(of(&thread).closed, 10);
    }
}
