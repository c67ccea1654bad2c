//! What a descriptor is open for, in words: a path, or the addresses of a connection.
//!
//! Always holds: whatever the kernel answers, the name is short. Not here: when it is asked.
//!
//! # Safety
//! `unsafe` here makes system calls with buffers of the engine's.
#![allow(unsafe_code, reason = "system calls with engine buffers")]

use crate::modules;
use crate::sys;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use ring::record::descriptor;

const GETSOCKNAME: u64 = 51;
const GETPEERNAME: u64 = 52;

/// Kind and name of an open descriptor; without /proc, nothing is known.
pub(super) fn of(number: i32) -> (u32, Vec<u8>) {
    let path = modules::path_of(i64::from(number));
    if path.starts_with(b"socket:") {
        return (descriptor::SOCKET, connection(number).unwrap_or(path));
    }
    let kind = match &path[..] {
        [] => descriptor::UNKNOWN,
        path if path.starts_with(b"pipe:") => descriptor::PIPE,
        path if path.starts_with(b"anon_inode:") || path.starts_with(b"/memfd:") => descriptor::SPECIAL,
        _ => descriptor::FILE,
    };
    (kind, path)
}

/// `127.0.0.1:80 <-> 127.0.0.1:4000`; `None` for sockets of other families, and those without a name.
fn connection(number: i32) -> Option<Vec<u8>> {
    let local = address(number, GETSOCKNAME)?;
    let text = match address(number, GETPEERNAME) {
        Some(peer) => format!("{local} <-> {peer}"),
        None => local,
    };
    Some(text.into_bytes())
}

fn address(number: i32, call: u64) -> Option<String> {
    // struct sockaddr_un, the longest.
    let mut bytes = [0u8; 110];
    let mut length = bytes.len() as u32;
    // SAFETY: the kernel writes at most the buffer's length, and the length.
    let result = unsafe {
        let arguments = [number as u64, bytes.as_mut_ptr() as u64, &raw mut length as u64];
        sys::call(call, &arguments)
    };
    if result != 0 {
        return None;
    }
    text(&bytes[..bytes.len().min(length as usize)])
}

/// A `struct sockaddr` in words.
fn text(bytes: &[u8]) -> Option<String> {
    const UNIX: u16 = 1;
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let family = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match family {
        INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(format!("{}:{}", Ipv4Addr::from(address), port(bytes)?))
        }
        INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(format!("[{}]:{}", Ipv6Addr::from(address), port(bytes)?))
        }
        UNIX => {
            // An abstract name begins with NUL, which ss and lsof show as "@".
            let (mark, path) = match bytes.get(2..)? {
                [0, rest @ ..] => ("@", rest),
                path => ("", path),
            };
            let path = path.split(|byte| *byte == 0).next().filter(|path| !path.is_empty())?;
            Some(format!("{mark}{}", String::from_utf8_lossy(path)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(text(&[2, 0, 0, 80, 127, 0, 0, 1]).as_deref(), Some("127.0.0.1:80"));
        let mut six = [0; 28];
        six[..4].copy_from_slice(&[10, 0, 1, 187]);
        six[23] = 1;
        assert_eq!(text(&six).as_deref(), Some("[::1]:443"));
        assert_eq!(text(b"\x01\0/run/x\0").as_deref(), Some("/run/x"));
        assert_eq!(text(b"\x01\0\0hidden").as_deref(), Some("@hidden"));
        for short in [&b""[..], b"\x01", b"\x01\0", b"\x02\0\0", b"\x0a\0\0\0\0", b"\x10\0"] {
            assert_eq!(text(short), None, "{short:?}");
        }
    }
}
