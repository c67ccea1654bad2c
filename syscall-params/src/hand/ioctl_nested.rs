//! Requests of ioctl with memory behind memory.
//!
//! What always holds: lengths that the kernel overwrites are those from before the call where they are kept.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// `struct ifconf`: a length and a pointer to as many bytes; without the pointer the length is asked for.
pub(crate) fn configuration(visit: &mut Visit<'_>, address: u64) {
    let buffer_at = address.wrapping_add(8);
    visit.read("ioctl(SIOCGIFCONF)", address, 4);
    visit.read("ioctl(SIOCGIFCONF)", buffer_at, 8);
    if let (Some(length), Some(buffer)) = (visit.u32(address), visit.u64(buffer_at)) {
        let now = if length > i32::MAX as u32 { 0 } else { u64::from(length) };
        let before = visit.keep(0, now);
        if buffer != 0 {
            visit.write_part("ioctl(SIOCGIFCONF).ifc_buf", buffer, before, now.min(before));
        }
        if visit.result().is_some() {
            visit.mark(address, 4);
        }
    }
}

/// `struct procmap_query`: 104 bytes with two buffers.
pub(crate) fn mappings(visit: &mut Visit<'_>, address: u64) {
    let at = |offset| address.wrapping_add(offset);
    visit.read("ioctl(PROCMAP_QUERY).size", address, 8);
    visit.read("ioctl(PROCMAP_QUERY).query_flags", at(8), 8);
    visit.read("ioctl(PROCMAP_QUERY).query_addr", at(16), 8);
    visit.read("ioctl(PROCMAP_QUERY).vma_name_size", at(80), 4);
    visit.read("ioctl(PROCMAP_QUERY).vma_name_addr", at(88), 8);
    visit.read("ioctl(PROCMAP_QUERY).build_id_size", at(84), 4);
    visit.read("ioctl(PROCMAP_QUERY).build_id_addr", at(96), 8);
    for (place, size_at, buffer_at) in [(0, at(80), at(88)), (1, at(84), at(96))] {
        if let (Some(size), Some(buffer)) = (visit.u32(size_at), visit.u64(buffer_at))
            && buffer != 0
        {
            let now = u64::from(size);
            let before = visit.keep(place, now);
            visit.write_part("ioctl(PROCMAP_QUERY)", buffer, before, now.min(before));
        }
    }
    if visit.result().is_some() {
        // Everything behind the question: the answer, and the sizes.
        visit.mark(at(24), 64);
    }
}

/// `SG_IO`: `struct sg_io_hdr` with a command, data and what the device senses.
pub(crate) fn scsi(visit: &mut Visit<'_>, address: u64) {
    const TEXT: &str = "ioctl(SG_IO)";
    /// Directions of the data.
    const TO_DEVICE: u32 = -2_i32 as u32;
    const FROM_DEVICE: u32 = -3_i32 as u32;
    const BOTH: u32 = -4_i32 as u32;
    let at = |offset| address.wrapping_add(offset);
    visit.read(TEXT, address, 88);
    let pointers = (visit.u64(at(24)), visit.u64(at(16)), visit.u64(at(32)));
    let (Some(command), Some(data), Some(sense)) = pointers else { return };
    visit.read(TEXT, command, visit.u8(at(8)).map_or(0, u64::from));
    let size = visit.u32(at(12)).map_or(0, u64::from);
    let vectors = visit.u16(at(10)).unwrap_or(0);
    let direction = visit.u32(at(4)).unwrap_or(0);
    // Data in several pieces is left alone.
    if vectors == 0 && matches!(direction, TO_DEVICE | BOTH) {
        visit.read(TEXT, data, size);
    }
    if vectors == 0 && matches!(direction, FROM_DEVICE | BOTH) {
        visit.write(TEXT, data, size);
    }
    if visit.result().is_some() {
        visit.mark(at(64), 24);
        visit.mark(sense, visit.u8(at(67)).map_or(0, u64::from));
    }
}

/// `FS_IOC_FIEMAP`: `struct fiemap` of 32 bytes, then extents of 56: room for some, and how many there are.
pub(crate) fn extents(visit: &mut Visit<'_>, address: u64) {
    const HEADER: u64 = 32;
    const EXTENT: u64 = 56;
    visit.read("ioctl(generic)", address, HEADER);
    visit.write("ioctl(generic)", address, HEADER);
    let number = |visit: &Visit<'_>, offset| visit.u32(address.wrapping_add(offset)).map_or(0, u64::from);
    let (found, room) = (number(visit, 20), number(visit, 24));
    let written = found.min(room) * EXTENT;
    visit.write_part("ioctl(FS_IOC_FIEMAP)", address.wrapping_add(HEADER), room * EXTENT, written);
}

/// What a command of `SIOCETHTOOL` does with the structure behind `ifr_data`.
enum Card {
    Read(&'static str, u64),
    Write(&'static str, u64),
    /// It reads the first bytes and writes all of them and a list behind: the bytes, where its 32-bit count is,
    /// and the bytes of an entry.
    List(&'static str, u64, u64, u64),
}

/// `SIOCETHTOOL`: `struct ifreq` with a pointer to a structure that begins with a command.
pub(crate) fn network_card(visit: &mut Visit<'_>, address: u64) {
    use Card::{List, Read, Write};
    let Some(data) = visit.u64(address.wrapping_add(16)) else {
        visit.read("ioctl(SIOCETHTOOL,ir)", address, 40);
        return;
    };
    visit.read("ioctl(SIOCETHTOOL,ir->ifr_data)", data, 4);
    visit.string_within("ioctl(SIOCETHTOOL,ir->ifr_name)", address, 16);
    let Some(command) = visit.u32(data) else { return };
    let card = match command {
        0x01 => Write("GSET", 44),
        0x02 => Read("SSET", 44),
        0x03 => Write("GDRVINFO", 196),
        0x05 => Write("GWOL", 20),
        0x06 => Read("SWOL", 20),
        0x07 | 0x0a | 0x14 | 0x16 | 0x18 | 0x1e | 0x21 | 0x23 | 0x25 | 0x27 | 0x2b => Write("Gvalue", 8),
        0x08 | 0x15 | 0x17 | 0x19 | 0x1f | 0x22 | 0x24 | 0x26 | 0x28 | 0x2c => Read("Svalue", 8),
        0x0e => Write("GCOALESCE", 92),
        0x0f => Read("SCOALESCE", 92),
        0x10 => Write("GRINGPARAM", 36),
        0x11 => Read("SRINGPARAM", 36),
        0x1b => List("GSTRINGS", 12, 8, 32),
        0x1d => List("GSTATS", 8, 4, 8),
        0x20 => List("GPERMADDR", 8, 4, 1),
        0x3a => List("GFEATURES", 8, 4, 16),
        0x3c => Write("GCHANNELS", 36),
        0x3d => Read("SCHANNELS", 36),
        0x41 => Write("GET_TS_INFO", 44),
        0x4c => Write("GLINKSETTINGS", 48),
        _ => return,
    };
    let text = |name| Parameter::of("ioctl(SIOCETHTOOL,").text(name).text(")");
    match card {
        Read(name, size) => visit.read(text(name), data, size),
        Write(name, size) => visit.write(text(name), data, size),
        List(name, size, count_at, entry) => {
            visit.read(text(name), data, size);
            let now = visit.u32(data.wrapping_add(count_at)).map_or(0, u64::from);
            let before = visit.keep(0, now);
            let behind = data.wrapping_add(size);
            // The number of strings is told by the kernel; the program has made room for as many before.
            let room = if before == 0 { now } else { before };
            visit.write_part(text(name), behind, room.saturating_mul(entry), now.min(room) * entry);
            if visit.result().is_some() {
                visit.mark(data, size);
            }
        }
    }
    // Masks of link modes behind the settings: three, of as many words as the (signed) byte says.
    if command == 0x4c
        && visit.result().is_some()
        && let Some(words) = visit.u8(data.wrapping_add(15)).filter(|words| *words < 128)
    {
        visit.mark(data.wrapping_add(48), u64::from(words) * 12);
    }
}
