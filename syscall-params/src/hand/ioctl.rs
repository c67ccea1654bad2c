//! ioctl: known requests by a table, nested ones in `ioctl_nested`, all others by the direction and size in the number.
//!
//! What always holds: a request without direction that is not known checks nothing. The number encodes, from
//! bit 30, whether the kernel reads (1) or writes (2), from bit 16 a size of 14 bits, from bit 8 the driver.

use super::ioctl_nested;
use super::ioctl_table::{ENTRIES, Way};
use crate::parameter::Parameter;
use crate::visit::Visit;

/// `struct ifreq`: a name of 16 bytes and 24 for the rest.
const INTERFACE: u64 = 40;
const NAME: u64 = 16;

const SG_IO: u32 = 0x2285;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCETHTOOL: u32 = 0x8946;
const FS_IOC_FIEMAP: u32 = 0xc020_660b;
const TUNSETIFF: u32 = 0x4004_54ca;
const PROCMAP_QUERY: u32 = 0xc068_6611;
const PERF_EVENT_IOC_SET_FILTER: u32 = 0x4008_2406;

/// Drivers of requests whose size is in the number but free: evdev and uinput (`E`, `U`), which write as many
/// bytes as they return.
const EVDEV: u32 = b'E' as u32;

pub(crate) fn ioctl(visit: &mut Visit<'_>) {
    let request = visit.argument32(1);
    let known =
        ENTRIES.binary_search_by_key(&request, |entry| entry.request).ok().and_then(|at| ENTRIES.get(at));
    visit.registers(if known.is_some_and(|entry| entry.way == Way::None) { 2 } else { 3 });
    let address = visit.argument(2);
    if let Some(entry) = known {
        let text = Parameter::of(entry.text);
        match entry.way {
            Way::Value | Way::None => {}
            Way::Read => visit.read(text, address, entry.size),
            Way::Write => visit.write(text, address, entry.size),
            Way::Both => {
                visit.read(text, address, entry.size);
                visit.write(text, address, entry.size);
            }
        }
    } else if !interface(visit, request, address) {
        match request {
            SIOCGIFCONF => ioctl_nested::configuration(visit, address),
            SIOCETHTOOL => ioctl_nested::network_card(visit, address),
            SG_IO => ioctl_nested::scsi(visit, address),
            FS_IOC_FIEMAP => ioctl_nested::extents(visit, address),
            TUNSETIFF => {
                visit.string_within("ioctl(TUNSETIFF)", address, NAME);
                visit.read("ioctl(TUNSETIFF)", address.wrapping_add(NAME), 2);
                visit.write("ioctl(TUNSETIFF)", address, INTERFACE);
            }
            PERF_EVENT_IOC_SET_FILTER => {
                visit.string("ioctl(VKI_PERF_EVENT_IOC_SET_FILTER).filter", address);
            }
            PROCMAP_QUERY => ioctl_nested::mappings(visit, address),
            _ => encoded(visit, request, address),
        }
    }
}

/// By the bits of the number.
fn encoded(visit: &mut Visit<'_>, request: u32, address: u64) {
    let (reads, writes) = (request >> 30 & 1 != 0, request >> 31 != 0);
    let (size, driver) = (u64::from(request >> 16 & 0x3fff), request >> 8 & 0xff);
    if driver == EVDEV && writes && !reads {
        // EVIOCGNAME, EVIOCGBIT and their kin return how many bytes they wrote; those with a fixed structure 0.
        let written = visit.result().filter(|count| *count != 0).unwrap_or(size).min(size);
        let free = matches!(request & 0xff, 0x06..=0x0a | 0x18..=0x3f);
        visit.write_part(if free { "ioctl(EVIO*)" } else { "ioctl(generic)" }, address, size, written);
        return;
    }
    if reads {
        visit.read("ioctl(generic)", address, size);
    }
    if writes {
        visit.write("ioctl(generic)", address, size);
    }
}

/// Network interfaces (`SIOCGIF*`, `SIOCSIF*`): a name and one field; false for another request.
fn interface(visit: &mut Visit<'_>, request: u32, address: u64) -> bool {
    // Number, text, bytes of the field that a setting request reads behind the name (0: it asks).
    let (text, field) = match request {
        0x8933 => ("ioctl(SIOCGIFINDEX)", 0),
        0x8913 => ("ioctl(SIOCGIFFLAGS)", 0),
        0x8927 => ("ioctl(SIOCGIFHWADDR)", 0),
        0x8921 => ("ioctl(SIOCGIFMTU)", 0),
        0x8915 => ("ioctl(SIOCGIFADDR)", 0),
        0x891b => ("ioctl(SIOCGIFNETMASK)", 0),
        0x891d => ("ioctl(SIOCGIFMETRIC)", 0),
        0x8970 => ("ioctl(SIOCGIFMAP)", 0),
        0x8942 => ("ioctl(SIOCGIFTXQLEN)", 0),
        0x8917 => ("ioctl(SIOCGIFDSTADDR)", 0),
        0x8919 => ("ioctl(SIOCGIFBRDADDR)", 0),
        0x8947 => ("ioctl(SIOCGIFMIIPHY)", 0),
        0x8948 => ("ioctl(SIOCGIFMIIREG)", 0),
        0x8910 => {
            visit.read("ioctl(SIOCGIFNAME)", address.wrapping_add(NAME), 4);
            visit.write("ioctl(SIOCGIFNAME)", address, INTERFACE);
            return true;
        }
        0x8914 => ("ioctl(SIOCSIFFLAGS)", 2),
        0x8971 => ("ioctl(SIOCSIFMAP)", 24),
        0x8943 => ("ioctl(SIOCSIFTXQLEN)", 4),
        0x8916 | 0x8918 | 0x891a | 0x891c => ("ioctl(SIOCSIF*ADDR)", 16),
        0x891e => ("ioctl(SIOCSIFMETRIC)", 4),
        0x8922 => ("ioctl(SIOCSIFMTU)", 4),
        0x8924 => ("ioctl(SIOCSIFHWADDR)", 16),
        _ => return false,
    };
    visit.string_within(text, address, NAME);
    if field == 0 {
        visit.write(text, address, INTERFACE);
    } else {
        visit.read(text, address.wrapping_add(NAME), field);
    }
    true
}
