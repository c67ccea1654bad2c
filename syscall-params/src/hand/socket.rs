//! Sockets: addresses field by field, lengths behind pointers, message headers.
//!
//! What always holds: of an address only what its family uses is read, because the rest of the structure is
//! usually not set; of a message header not its padding. Names begin with `socketcall` where Valgrind's do.

use super::vectors::{VECTOR, VECTORS_MAX, entry};
use crate::parameter::Parameter;
use crate::visit::Visit;

/// Bytes of `struct msghdr` and of `struct mmsghdr`, and where the latter keeps its length.
const HEADER: u64 = 56;
const MANY_HEADER: u64 = 64;

/// The kernel shortens longer vectors of messages to `UIO_MAXIOV`.
const MESSAGES_MAX: u64 = 1024;

/// Longest address that the kernel takes: `struct sockaddr_storage`.
const ADDRESS_MAX: u64 = 128;

const AF_UNSPEC: u16 = 0;
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;
const AF_BLUETOOTH: u16 = 31;

const SOL_SOCKET: u32 = 1;
const SO_ATTACH_FILTER: u32 = 26;
const SO_ATTACH_REUSEPORT_CBPF: u32 = 51;

pub(crate) fn connect(visit: &mut Visit<'_>) {
    address(visit, Text::Fields("socketcall.connect(serv_addr."), visit.argument(1), visit.count(2));
}

pub(crate) fn bind(visit: &mut Visit<'_>) {
    address(visit, Text::Fields("socketcall.bind(my_addr."), visit.argument(1), visit.count(2));
}

pub(crate) fn sendto(visit: &mut Visit<'_>) {
    visit.read("socketcall.sendto(msg)", visit.argument(1), visit.argument(2));
    address(visit, Text::Fields("socketcall.sendto(to."), visit.argument(4), visit.count(5));
}

/// How the fields of an address are called.
#[derive(Clone, Copy)]
enum Text {
    /// Each by its name, behind this.
    Fields(&'static str),
    /// All of them alike.
    Whole(Parameter),
}

impl Text {
    fn field(self, name: &'static str) -> Parameter {
        match self {
            Text::Fields(start) => Parameter::of(start).text(name).text(")"),
            Text::Whole(text) => text,
        }
    }
}

/// An address that the kernel reads.
fn address(visit: &mut Visit<'_>, text: Text, at: u64, length: u64) {
    if at == 0 || length == 0 {
        return;
    }
    let field = |visit: &mut Visit<'_>, name: &'static str, offset: u64, size: u64| {
        // The kernel reads no byte beyond the length.
        let size = size.min(length.saturating_sub(offset));
        visit.read(text.field(name), at.wrapping_add(offset), size);
    };
    field(visit, "sa_family", 0, 2);
    let Some(family) = visit.u16(at) else { return };
    match family {
        AF_UNSPEC => {}
        AF_UNIX => {
            let path = at.wrapping_add(2);
            let size = length.min(ADDRESS_MAX).saturating_sub(2);
            // A name of the abstract space begins with a NUL and is as long as the length says.
            if visit.u8(path) == Some(0) && size > 1 {
                field(visit, "sun_path", 2, size);
            } else {
                visit.string_within(text.field("sun_path"), path, size);
            }
        }
        AF_INET => {
            field(visit, "sin_port", 2, 2);
            field(visit, "sin_addr", 4, 4);
        }
        AF_INET6 => {
            field(visit, "sin6_port", 2, 2);
            field(visit, "sin6_flowinfo", 4, 4);
            field(visit, "sin6_addr", 8, 16);
            field(visit, "sin6_scope_id", 24, 4);
        }
        AF_NETLINK => {
            field(visit, "nl_pid", 4, 4);
            field(visit, "nl_groups", 8, 4);
        }
        AF_BLUETOOTH => {
            field(visit, "rc_bdaddr", 2, 6);
            field(visit, "rc_channel", 8, 1);
        }
        _ => field(visit, "sa_data", 2, length.min(ADDRESS_MAX).saturating_sub(2)),
    }
}

pub(crate) fn accept(visit: &mut Visit<'_>) {
    if visit.argument(1) != 0 {
        answer(visit, 1, 2, "socketcall.accept(addr)", "socketcall.accept(addrlen_in)");
    }
}

pub(crate) fn getsockname(visit: &mut Visit<'_>) {
    answer(visit, 1, 2, "socketcall.getsockname(name)", "socketcall.getsockname(namelen_in)");
}

pub(crate) fn getpeername(visit: &mut Visit<'_>) {
    answer(visit, 1, 2, "socketcall.getpeername(name)", "socketcall.getpeername(namelen_in)");
}

pub(crate) fn recvfrom(visit: &mut Visit<'_>) {
    let (buffer, size) = (visit.argument(1), visit.argument(2));
    // With MSG_TRUNC the result is the size of the whole message, which may be more than the buffer's.
    let written = visit.result().unwrap_or(0).min(size);
    visit.write_part("socketcall.recvfrom(buf)", buffer, size, written);
    if visit.argument(4) != 0 {
        answer(visit, 4, 5, "socketcall.recvfrom(from)", "socketcall.recvfrom(fromlen_in)");
    }
}

/// An address or option that the kernel writes, with its length in a 32-bit number that it reads and overwrites.
fn answer(
    visit: &mut Visit<'_>,
    buffer: usize,
    length: usize,
    text: &'static str,
    length_text: &'static str,
) {
    let (buffer, at) = (visit.argument(buffer), visit.argument(length));
    visit.read(length_text, at, 4);
    let now = visit.u32(at).map_or(0, u64::from);
    let before = visit.keep(0, now);
    visit.write_part(text, buffer, before, now.min(before));
    if visit.result().is_some() {
        visit.mark(at, 4);
    }
}

pub(crate) fn setsockopt(visit: &mut Visit<'_>) {
    let (level, option, value) = (visit.argument32(1), visit.argument32(2), visit.argument(3));
    if value == 0 {
        return;
    }
    if level == SOL_SOCKET && matches!(option, SO_ATTACH_FILTER | SO_ATTACH_REUSEPORT_CBPF) {
        // struct sock_fprog: a 16-bit count, padding, a pointer to instructions of 8 bytes.
        visit.read("setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, &optval.len)", value, 2);
        visit.read("setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, &optval.filter)", value.wrapping_add(8), 8);
        if let (Some(count), Some(filter)) = (visit.u16(value), visit.u64(value.wrapping_add(8)))
            && filter != 0
        {
            visit.read(
                "setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, optval.filter)",
                filter,
                u64::from(count) * 8,
            );
        }
    } else {
        visit.read("socketcall.setsockopt(optval)", value, visit.count(4));
    }
}

pub(crate) fn getsockopt(visit: &mut Visit<'_>) {
    if visit.argument(3) != 0 {
        answer(visit, 3, 4, "socketcall.getsockopt(optval)", "socketcall.getsockopt(optlen)");
    }
}

pub(crate) fn sendmsg(visit: &mut Visit<'_>) {
    send(visit, Parameter::of("sendmsg(msg"), visit.argument(1));
}

pub(crate) fn sendmmsg(visit: &mut Visit<'_>) {
    for index in 0..visit.count(2).min(MESSAGES_MAX) {
        let header = visit.argument(1).wrapping_add(index * MANY_HEADER);
        send(visit, Parameter::of("sendmsg(mmsg[").number(index).text("].msg_hdr"), header);
        let sent = visit.result().is_some_and(|sent| index < sent);
        let length = Parameter::of("sendmmsg(mmsg[").number(index).text("].msg_len)");
        visit.write_part(length, header.wrapping_add(HEADER), 4, if sent { 4 } else { 0 });
        if visit.is_before() && visit.u32(header).is_none() {
            return;
        }
    }
}

/// A message that is sent: header, address, vector, buffers, control data.
fn send(visit: &mut Visit<'_>, start: Parameter, header: u64) {
    if !visit.is_before() || header == 0 {
        return;
    }
    fields(visit, start, header);
    let at = |offset| header.wrapping_add(offset);
    if let (Some(name), Some(length)) = (visit.u64(header), visit.u32(at(8)))
        && name != 0
    {
        address(visit, Text::Whole(start.text(".msg_name)")), name, u64::from(length).min(ADDRESS_MAX));
    }
    if let (Some(vector), Some(count)) = (visit.u64(at(16)), visit.u64(at(24)))
        && vector != 0
    {
        visit.read(start.text(".msg_iov)"), vector, count.saturating_mul(VECTOR));
        for index in 0..count.min(VECTORS_MAX) {
            let Some((base, length)) = entry(visit, vector, index) else { break };
            visit.read(start.text(".msg_iov[").number(index).text("])"), base, length);
        }
    }
    if let (Some(control), Some(length)) = (visit.u64(at(32)), visit.u64(at(40)))
        && control != 0
    {
        let text = start.text(".msg_control)");
        control_messages(visit, control, length, |visit, at, size| visit.read(text, at, size));
    }
}

pub(crate) fn recvmsg(visit: &mut Visit<'_>) {
    let received = visit.result().unwrap_or(0);
    let header = visit.argument(1);
    let name = visit.u32(header.wrapping_add(8)).map_or(0, u64::from);
    let control = visit.u64(header.wrapping_add(40)).unwrap_or(0);
    let before = (visit.keep(0, name), visit.keep(1, control));
    receive(visit, Parameter::of("recvmsg(msg"), header, received, before);
}

pub(crate) fn recvmmsg(visit: &mut Visit<'_>) {
    let received = visit.result().unwrap_or(0);
    for index in 0..visit.count(2).min(MESSAGES_MAX) {
        let header = visit.argument(1).wrapping_add(index * MANY_HEADER);
        if !visit.is_before() && index >= received {
            break;
        }
        let length_at = header.wrapping_add(HEADER);
        let start = Parameter::of("recvmsg(mmsg[").number(index).text("].msg_hdr");
        let length = visit.u32(length_at).map_or(0, u64::from);
        // Lengths of names and control data before the call are not kept for each message.
        receive(visit, start, header, length, (u64::MAX, u64::MAX));
        visit.write(Parameter::of("recvmmsg(mmsg[").number(index).text("].msg_len)"), length_at, 4);
        if visit.is_before() && visit.u32(header).is_none() {
            break;
        }
    }
    // The kernel reads the time and writes what is left of it.
    let timeout = visit.argument(4);
    if timeout != 0 {
        visit.read("recvmmsg(timeout)", timeout, 16);
        if visit.result().is_some() {
            visit.mark(timeout, 16);
        }
    }
}

/// A message that is received; `received` bytes are in its buffers, `before` are the lengths of name and control
/// data before the call.
fn receive(visit: &mut Visit<'_>, start: Parameter, header: u64, received: u64, before: (u64, u64)) {
    if header == 0 || visit.error().is_some() {
        return;
    }
    fields(visit, start, header);
    let at = |offset| header.wrapping_add(offset);
    visit.write(start.text(")"), at(48), 4);
    if let (Some(name), Some(length)) = (visit.u64(header), visit.u32(at(8)))
        && name != 0
    {
        visit.write(start.text(".msg_name)"), name, u64::from(length).min(before.0));
        // The kernel sets the length only where it was asked for a name.
        if visit.result().is_some() {
            visit.mark(at(8), 4);
        }
    }
    if let (Some(vector), Some(count)) = (visit.u64(at(16)), visit.u64(at(24)))
        && vector != 0
    {
        visit.read(start.text(".msg_iov)"), vector, count.saturating_mul(VECTOR));
        let mut left = received;
        for index in 0..count.min(VECTORS_MAX) {
            let Some((base, length)) = entry(visit, vector, index) else { break };
            let part = length.min(left);
            visit.write_part(start.text(".msg_iov[").number(index).text("])"), base, length, part);
            left -= part;
        }
    }
    if let (Some(control), Some(length)) = (visit.u64(at(32)), visit.u64(at(40)))
        && control != 0
    {
        control_data(visit, start.text(".msg_control)"), control, length.min(before.1));
    }
    if visit.result().is_some() {
        visit.mark(at(40), 8);
    }
}

/// Control data: before the call all of the buffer; after it its messages, without the padding between them.
fn control_data(visit: &mut Visit<'_>, text: Parameter, control: u64, length: u64) {
    if visit.is_before() {
        visit.write(text, control, length);
    } else {
        control_messages(visit, control, length, |visit, at, size| visit.mark(at, size));
    }
}

/// Longest control data that is walked; the kernel's default limit (`net.core.optmem_max`) is 20 to 128 KiB.
const CONTROL_MAX: u64 = 1 << 20;

/// Gives each message of control data to `part`, without the padding between them: `struct cmsghdr` is a length
/// of 8 bytes that counts its own 16, level and type; then data; the next one is aligned to 8.
fn control_messages(
    visit: &mut Visit<'_>,
    control: u64,
    length: u64,
    mut part: impl FnMut(&mut Visit<'_>, u64, u64),
) {
    let length = length.min(CONTROL_MAX);
    let mut offset = 0;
    while offset + 16 <= length {
        let at = control.wrapping_add(offset);
        part(visit, at, 16);
        let Some(size) = visit.u64(at).filter(|size| *size >= 16) else { return };
        part(visit, at.wrapping_add(16), (size - 16).min(length - offset - 16));
        offset = match offset.checked_add(size) {
            Some(end) if end < length => end.next_multiple_of(8),
            _ => return,
        };
    }
}

/// The header itself: pointers and lengths, not the padding behind the length of the name.
fn fields(visit: &mut Visit<'_>, start: Parameter, header: u64) {
    visit.read(start.text(")"), header, 12);
    visit.read(start.text(")"), header.wrapping_add(16), 32);
}
