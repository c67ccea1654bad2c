//! Userland exec: ELF files and `#!` scripts into the guest's address space, by the kernel's rules.
//!
//! Not here: the initial stack (`initial_stack`), what becomes of the mappings later (`syscalls::memory`).
//!
//! # Safety
//! `unsafe` here is mmap of the guest's own zone.
#![allow(unsafe_code, reason = "maps guest memory")]

use crate::space::{self, Mapping, PAGE, Space};
use crate::sys::{self, errno, nr};
use alloc::vec::Vec;

/// An ELF file in memory.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Absolute path.
    pub path: Vec<u8>,
    /// Load bias.
    pub bias: u64,
    /// First and last address.
    pub start: u64,
    /// End of the last segment, page aligned.
    pub end: u64,
    /// Entry point.
    pub entry: u64,
    /// Program headers in memory.
    pub phdr: u64,
    /// Their number.
    pub phnum: u64,
    /// Path of the interpreter.
    pub interpreter: Option<Vec<u8>>,
    /// PT_GNU_STACK asks for an executable stack.
    pub executable_stack: bool,
    /// Device and inode.
    pub file: Option<(u64, u64)>,
}

struct Header {
    kind: u16,
    entry: u64,
    phoff: u64,
    phnum: u16,
    phentsize: u16,
}

#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Reads up to `to.len()` bytes at an offset.
pub fn pread(fd: i64, to: &mut [u8], offset: u64) -> usize {
    let mut done = 0;
    while done < to.len() {
        // SAFETY: the kernel writes into the slice.
        let count = unsafe {
            let rest = &mut to[done..];
            sys::call(
                nr::PREAD64,
                &[fd as u64, rest.as_mut_ptr() as u64, rest.len() as u64, offset + done as u64],
            )
        };
        if count <= 0 {
            break;
        }
        done += count as usize;
    }
    done
}

/// Opens a file for reading; the path needs no NUL.
pub fn open(path: &[u8]) -> Result<i64, i64> {
    let mut name = path.to_vec();
    name.push(0);
    // SAFETY: the kernel reads the NUL-terminated name.
    let fd = unsafe { sys::call(nr::OPENAT, &[sys::AT_FDCWD, name.as_ptr() as u64, sys::O_CLOEXEC, 0]) };
    sys::result(fd).map(|fd| fd as i64)
}

/// Closes an engine descriptor.
pub fn close(fd: i64) {
    // SAFETY: closes a descriptor that we opened.
    unsafe { sys::call(nr::CLOSE, &[fd as u64]) };
}

fn parse_header(bytes: &[u8]) -> Result<Header, i64> {
    let sound = bytes.len() >= 64
        && bytes.starts_with(b"\x7fELF")
        && bytes[4] == 2
        && bytes[5] == 1
        && u16_at(bytes, 18) == 62;
    let header = Header {
        kind: u16_at(bytes, 16),
        entry: u64_at(bytes, 24),
        phoff: u64_at(bytes, 32),
        phentsize: u16_at(bytes, 54),
        phnum: u16_at(bytes, 56),
    };
    let sound = sound && matches!(header.kind, 2 | 3) && header.phentsize == 56 && header.phnum > 0;
    if sound && usize::from(header.phnum) * 56 <= 65_536 { Ok(header) } else { Err(errno::ENOEXEC) }
}

fn segments(fd: i64, header: &Header) -> Result<Vec<Segment>, i64> {
    let mut bytes = alloc::vec![0u8; usize::from(header.phnum) * 56];
    if pread(fd, &mut bytes, header.phoff) != bytes.len() {
        return Err(errno::ENOEXEC);
    }
    let parse = |p: &[u8]| Segment {
        kind: u32_at(p, 0),
        flags: u32_at(p, 4),
        offset: u64_at(p, 8),
        vaddr: u64_at(p, 16),
        filesz: u64_at(p, 32),
        memsz: u64_at(p, 40),
        align: u64_at(p, 48),
    };
    Ok(bytes.chunks_exact(56).map(parse).collect())
}

/// Maps guest memory and records it.
///
/// # Errors
/// The kernel's error number.
#[allow(clippy::too_many_arguments, reason = "mmap's arguments")]
pub fn map(
    space: &mut Space,
    at: u64,
    length: u64,
    protection: u64,
    flags: u64,
    fd: i64,
    offset: u64,
    file: Option<(u64, u64)>,
) -> Result<(), i64> {
    let length = length.next_multiple_of(PAGE);
    // SAFETY: a range of the guest's zone that the caller chose; MAP_FIXED replaces guest memory only.
    unsafe { sys::mmap(at, length, protection, flags | sys::MAP_FIXED, fd, offset)? };
    let shared = flags & sys::MAP_SHARED != 0;
    let mapping =
        Mapping { end: at + length, protection: protection as u8, shared, file, offset, guarded: false };
    space.insert(at, mapping);
    Ok(())
}

/// Device and inode of an open file.
pub fn identity(fd: i64) -> Option<(u64, u64)> {
    let mut stat = [0u64; 18];
    // SAFETY: struct stat is 144 bytes.
    let result = unsafe { sys::call(nr::FSTAT, &[fd as u64, stat.as_mut_ptr() as u64]) };
    (result == 0).then(|| (stat[0], stat[1]))
}

/// Maps the ELF file behind `fd`. `interpreter`: the file is a dynamic linker (placed among the libraries).
///
/// # Errors
/// ENOEXEC for what is no 64-bit x86 program, or the kernel's error number.
pub fn load(space: &mut Space, fd: i64, path: &[u8], interpreter: bool) -> Result<Image, i64> {
    let mut first = [0u8; 64];
    let count = pread(fd, &mut first, 0);
    let header = parse_header(&first[..count])?;
    let segments = segments(fd, &header)?;
    let load: Vec<Segment> = segments.iter().copied().filter(|s| s.kind == 1 && s.memsz > 0).collect();
    let low = load.iter().map(|s| s.vaddr & !(PAGE - 1)).min().ok_or(errno::ENOEXEC)?;
    let high = load
        .iter()
        .map(|s| s.vaddr.checked_add(s.memsz).map(|end| end.next_multiple_of(PAGE)))
        .try_fold(0, |high, end| end.map(|end| high.max(end)))
        .ok_or(errno::ENOEXEC)?;
    let alignment = load.iter().map(|s| s.align).max().unwrap_or(PAGE).clamp(PAGE, 1 << 30);
    let alignment = if alignment.is_power_of_two() { alignment } else { PAGE };
    let size = high - low;
    let bias = if header.kind == 2 {
        if space::is_engine_range(low, high) || !space.is_free(low, high) {
            return Err(errno::ENOMEM);
        }
        0
    } else if interpreter {
        space.free_low(size, alignment).ok_or(errno::ENOMEM)?.wrapping_sub(low)
    } else {
        space::PIE_BASE.next_multiple_of(alignment).wrapping_sub(low)
    };
    let file = identity(fd);
    let mut image = Image {
        path: path.to_vec(),
        bias,
        start: low.wrapping_add(bias),
        end: high.wrapping_add(bias),
        entry: header.entry.wrapping_add(bias),
        phnum: u64::from(header.phnum),
        file,
        ..Image::default()
    };
    for segment in &load {
        let protection = u64::from(segment.flags >> 2 & 1 | (segment.flags & 2) | (segment.flags & 1) << 2);
        let start = (segment.vaddr & !(PAGE - 1)).wrapping_add(bias);
        let file_end = segment.vaddr.wrapping_add(segment.filesz).wrapping_add(bias);
        let end = segment.vaddr.wrapping_add(segment.memsz).wrapping_add(bias);
        let file_pages = file_end.next_multiple_of(PAGE);
        if segment.filesz > 0 {
            let offset = segment.offset & !(PAGE - 1);
            map(space, start, file_pages - start, protection, sys::MAP_PRIVATE, fd, offset, file)?;
        }
        let anonymous = if segment.filesz > 0 { file_pages } else { start };
        if end > anonymous {
            let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS;
            map(space, anonymous, end - anonymous, protection, flags, -1, 0, None)?;
        }
        if segment.memsz > segment.filesz && segment.filesz > 0 && protection & sys::PROT_WRITE != 0 {
            // The whole rest of the last file page: ld.so's first heap lies behind its own .bss.
            let zeros = [0u8; PAGE as usize];
            let length = (file_pages - file_end) as usize;
            crate::guest_mem::write(file_end, &zeros[..length]);
        }
        let phdr = header.phoff.wrapping_sub(segment.offset);
        if header.phoff >= segment.offset && phdr < segment.filesz {
            image.phdr = segment.vaddr.wrapping_add(phdr).wrapping_add(bias);
        }
    }
    for segment in &segments {
        match segment.kind {
            3 => {
                let length = usize::try_from(segment.filesz).map_err(|_| errno::ENOEXEC)?;
                if !(2..=4096).contains(&length) {
                    return Err(errno::ENOEXEC);
                }
                let mut path = alloc::vec![0u8; length];
                if pread(fd, &mut path, segment.offset) != length || path.pop() != Some(0) {
                    return Err(errno::ENOEXEC);
                }
                image.interpreter = Some(path);
            }
            0x6474_e551 => image.executable_stack = segment.flags & 1 != 0,
            _ => (),
        }
    }
    Ok(image)
}

/// What the first bytes of a file say about running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// A 64-bit x86 ELF program.
    Elf,
    /// `#!`: interpreter and its optional argument.
    Script(Vec<u8>, Option<Vec<u8>>),
    /// Something else that the kernel may know (a 32-bit program, binfmt_misc).
    Foreign,
}

/// Reads enough of a file to know how to run it.
pub fn format(fd: i64) -> Format {
    let mut bytes = [0u8; 256];
    let count = pread(fd, &mut bytes, 0);
    classify(&bytes[..count])
}

/// [`format`] on the file's first 256 bytes.
pub fn classify(bytes: &[u8]) -> Format {
    if parse_header(bytes).is_ok() {
        return Format::Elf;
    }
    let Some(line) = bytes.strip_prefix(b"#!") else { return Format::Foreign };
    let end = line.iter().position(|b| *b == b'\n');
    // Without a line end in the first 256 bytes the interpreter's name must at least end in them.
    let line = &line[..end.unwrap_or(line.len())];
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let Some(start) = line.iter().position(|b| !blank(b)) else { return Format::Foreign };
    let line = &line[start..];
    let name_end = line.iter().position(|b| blank(b) || *b == 0);
    if end.is_none() && name_end.is_none() {
        return Format::Foreign;
    }
    let name = &line[..name_end.unwrap_or(line.len())];
    let rest = &line[name.len()..];
    let rest = &rest[rest.iter().position(|b| !blank(b)).unwrap_or(rest.len())..];
    let length = rest.iter().rposition(|b| !blank(b) && *b != 0).map_or(0, |last| last + 1);
    let argument = (length > 0).then(|| rest[..length].to_vec());
    Format::Script(name.to_vec(), argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_lines_follow_the_kernel() {
        let script = |name: &str, argument: Option<&str>| {
            Format::Script(name.as_bytes().to_vec(), argument.map(|a| a.as_bytes().to_vec()))
        };
        assert_eq!(classify(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(classify(b"#! /usr/bin/env  python3 -u \nx"), script("/usr/bin/env", Some("python3 -u")));
        assert_eq!(classify(b"#!/bin/sh"), Format::Foreign);
        assert_eq!(classify(b"#!\n"), Format::Foreign);
        assert_eq!(classify(b"\x7fELF"), Format::Foreign);
    }
}
