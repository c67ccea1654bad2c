//! The kernel's list of mappings: read, parsed, and rendered for the guest without the engine's part of it.

use crate::loader;
use crate::space;
use crate::state::Engine;
use alloc::vec::Vec;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// First address.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Four letters: rwxp or rwxs.
    pub permissions: [u8; 4],
    /// Offset in the file.
    pub offset: u64,
    /// Device, as major and minor in hexadecimal, and inode.
    pub device: &'a [u8],
    /// Inode number.
    pub inode: u64,
    /// Path or bracketed name; empty for anonymous memory.
    pub name: &'a [u8],
}

/// The whole list.
pub fn read() -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(fd) = loader::open(b"/proc/self/maps") else { return out };
    let mut chunk = [0u8; 4096];
    loop {
        #[allow(unsafe_code, reason = "read into an engine buffer")]
        // SAFETY: the kernel writes at most the buffer's length.
        let count = unsafe {
            crate::sys::call(
                crate::sys::nr::READ,
                &[fd as u64, chunk.as_mut_ptr() as u64, chunk.len() as u64],
            )
        };
        if count <= 0 {
            break;
        }
        out.extend_from_slice(&chunk[..count as usize]);
    }
    loader::close(fd);
    out
}

fn hexadecimal(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 4 | u64::from((*byte as char).to_digit(16).unwrap_or(0)))
}

/// Parses the list.
pub fn parse(maps: &[u8]) -> impl Iterator<Item = Line<'_>> {
    maps.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.splitn(6, |b| *b == b' ');
        let range = fields.next()?;
        let dash = range.iter().position(|b| *b == b'-')?;
        let permissions = fields.next()?.try_into().ok()?;
        let offset = hexadecimal(fields.next()?);
        let device = fields.next()?;
        let inode =
            fields.next()?.iter().fold(0u64, |v, b| v.wrapping_mul(10).wrapping_add(u64::from(b & 15)));
        let name = fields.next().unwrap_or(b"");
        let name = &name[name.iter().position(|b| *b != b' ').unwrap_or(name.len())..];
        let (start, end) = (hexadecimal(&range[..dash]), hexadecimal(&range[dash + 1..]));
        Some(Line { start, end, permissions, offset, device, inode, name })
    })
}

/// The list as the guest shall see it.
pub fn for_guest(engine: &Engine) -> Vec<u8> {
    use core::fmt::Write;
    let maps = read();
    let space = engine.space.lock();
    let mut out = Vec::new();
    for line in parse(&maps) {
        let is_heap = (space::HEAP_BASE..space::HEAP_BASE + space::HEAP_BYTES).contains(&line.start);
        if line.name == b"[vsyscall]" {
            out.extend_from_slice(
                b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
            );
            continue;
        }
        if (space::is_engine_range(line.start, line.end) && !is_heap) || line.start >= space::GUEST_END {
            continue;
        }
        let mut permissions = line.permissions;
        if let Some((_, mapping)) = space.find(line.start)
            && mapping.guarded
            && mapping.protection & 2 != 0
        {
            permissions[1] = b'w';
        }
        let name: &[u8] = if line.start >= space.stack.0 && line.end <= space.stack.1 {
            b"[stack]"
        } else if is_heap
            || (line.start >= space.brk.0 && line.end <= space.brk.1.next_multiple_of(space::PAGE))
        {
            b"[heap]"
        } else {
            line.name
        };
        let mut text = crate::fatal::Text::new();
        let _ = write!(
            text,
            "{:08x}-{:08x} {} {:08x} {} {} ",
            line.start,
            line.end,
            core::str::from_utf8(&permissions).unwrap_or("----"),
            line.offset,
            core::str::from_utf8(line.device).unwrap_or("00:00"),
            line.inode,
        );
        let start = out.len();
        out.extend_from_slice(text.as_bytes());
        if !name.is_empty() {
            while out.len() - start < 73 {
                out.push(b' ');
            }
            out.extend_from_slice(name);
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse() {
        let maps =
            b"00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a b\n7ffe-8fff rw-s 0 00:00 0 \n";
        let lines: Vec<Line<'_>> = parse(maps).collect();
        assert_eq!((lines[0].start, lines[0].end, lines[0].inode), (0x40_0000, 0x45_2000, 173_521));
        assert_eq!((lines[0].name, &lines[0].permissions), (&b"/usr/bin/a b"[..], b"r-xp"));
        assert_eq!((lines[1].name, lines[1].permissions[3]), (&b""[..], b's'));
    }
}
