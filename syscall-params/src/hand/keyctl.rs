//! keyctl: registers and memory by operation.
//!
//! What always holds: an operation is one line of [`OPERATIONS`]: its number, its name in texts, its arguments
//! with the bytes that count, and what is behind them. One that is not known reads only its number.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// What an argument of an operation is.
#[derive(Clone, Copy)]
enum Is {
    /// A number of 32 bits,
    Int,
    /// of 64,
    Long,
    /// a string (a null pointer is no check where the flag says so),
    String(bool),
    /// bytes that are read, or written: as many as the next argument says.
    Read,
    Write,
}

use Is::{Int, Long, Read, String, Write};

struct Operation {
    number: u32,
    name: &'static str,
    arguments: &'static [(&'static str, Is)],
}

const fn operation(number: u32, name: &'static str, arguments: &'static [(&'static str, Is)]) -> Operation {
    Operation { number, name, arguments }
}

#[rustfmt::skip]
static OPERATIONS: &[Operation] = &[
    operation(0, "KEYCTL_GET_KEYRING_ID", &[("id", Int), ("create", Int)]),
    operation(1, "KEYCTL_JOIN_SESSION_KEYRING", &[("name", String(true))]),
    operation(2, "KEYCTL_UPDATE", &[("key", Int), ("payload", Read), ("plen", Long)]),
    operation(3, "KEYCTL_REVOKE", &[("id", Int)]),
    operation(4, "KEYCTL_CHOWN", &[("id", Int), ("uid", Int), ("gid", Int)]),
    operation(5, "KEYCTL_SETPERM", &[("id", Int), ("perm", Int)]),
    operation(6, "KEYCTL_DESCRIBE", &[("id", Int), ("buffer", Write), ("buflen", Long)]),
    operation(7, "KEYCTL_CLEAR", &[("keyring", Int)]),
    operation(8, "KEYCTL_LINK", &[("keyring", Int), ("key", Int)]),
    operation(9, "KEYCTL_UNLINK", &[("keyring", Int), ("key", Int)]),
    operation(10, "KEYCTL_SEARCH", &[("keyring", Int), ("type", String(false)), ("description", String(false)), ("destring", Int)]),
    operation(11, "KEYCTL_READ", &[("keyring", Int), ("buffer", Write), ("buflen", Long)]),
    operation(12, "KEYCTL_INSTANTIATE", &[("key", Int), ("payload", Read), ("plen", Long), ("keyring", Int)]),
    operation(13, "KEYCTL_NEGATE", &[("key", Int), ("timeout", Int), ("keyring", Int)]),
    operation(14, "KEYCTL_SET_REQKEY_KEYRING", &[("reqkey_defl", Int)]),
    operation(15, "KEYCTL_SET_TIMEOUT", &[("key", Int), ("timeout", Int)]),
    operation(16, "KEYCTL_ASSUME_AUTHORITY", &[("key", Int)]),
    operation(17, "KEYCTL_GET_SECURITY", &[("key", Int), ("buffer", Write), ("buflen", Long)]),
    operation(18, "KEYCTL_SESSION_TO_PARENT", &[]),
    operation(19, "KEYCTL_REJECT", &[("key", Int), ("timeout", Int), ("error", Int), ("keyring", Int)]),
    operation(21, "KEYCTL_INVALIDATE", &[("key", Int)]),
    operation(22, "KEYCTL_GET_PERSISTENT", &[("uid", Int), ("keyring", Int)]),
    operation(30, "KEYCTL_MOVE", &[("key", Int), ("from", Int), ("to", Int), ("flags", Int)]),
    operation(31, "KEYCTL_CAPABILITIES", &[("buffer", Write), ("buflen", Long)]),
];

pub(crate) fn keyctl(visit: &mut Visit<'_>) {
    let number = visit.argument32(0);
    let Ok(found) = OPERATIONS.binary_search_by_key(&number, |operation| operation.number) else {
        visit.register(0);
        return;
    };
    let Some(operation) = OPERATIONS.get(found) else { return };
    let text = Parameter::of("keyctl(").text(operation.name);
    visit.register_as(text.text(")(option)"), 0, 4);
    for (place, (name, is)) in operation.arguments.iter().enumerate() {
        let size = if matches!(is, Int) { 4 } else { 8 };
        visit.register_as(text.text(")(").text(name).text(")"), place + 1, size);
    }
    for (place, (name, is)) in operation.arguments.iter().enumerate() {
        let (address, size) = (visit.argument(place + 1), visit.argument(place + 2));
        let inner = text.text(", ").text(name).text(")");
        match is {
            Int | Long => {}
            String(true) if address == 0 => {}
            String(true) => visit.string(inner, address),
            String(false) => {
                // Valgrind's name of this one begins with `sys_`.
                let text = Parameter::of("sys_keyctl(").text(operation.name).text(", ").text(name).text(")");
                visit.string(text, address);
            }
            Read | Write if address == 0 => {}
            Read => visit.read(inner, address, size),
            Write => {
                // The result is what there was to write; nothing is written where the buffer is too small.
                let written = visit.result().unwrap_or(0);
                visit.write_part(inner, address, size, written.min(size));
            }
        }
    }
}
