//! prctl, arch_prctl and seccomp: what is read and written depends on the option.
//!
//! What always holds: an option that is not known reads all registers and no memory, as in Valgrind.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// `TASK_COMM_LEN`: bytes of a thread's name.
const NAME: u64 = 16;

/// Registers beyond the option: name and bytes.
type Registers = &'static [(&'static str, u8)];

pub(crate) fn prctl(visit: &mut Visit<'_>) {
    let (option, address) = (visit.argument32(0), visit.argument(1));
    let value: Registers = &[("value", 4)];
    let pointer: Registers = &[("value", 8)];
    let registers: Registers = match option {
        1 => &[("signal", 4)],
        2 => &[("signal", 8)],
        3 | 7 | 13 | 21 | 27 | 30 => &[],
        4 => &[("dump", 4)],
        5 | 9 | 11 | 19 => pointer,
        6 | 10 | 12 | 20 => value,
        8 => &[("keepcaps", 4)],
        14 => &[("timing", 4)],
        15 | 16 => &[("name", 8)],
        22 if visit.argument(1) == 2 => &[("mode", 4), ("filter", 8)],
        22 => &[("mode", 4)],
        23 | 24 => &[("capability", 4)],
        25 => pointer,
        26 | 29 => &[("value", 8)],
        28 => &[("value", 8)],
        37 | 40 => pointer,
        0x5961_6d61 => &[("ptracer_process_ID", 4)],
        _ => {
            visit.registers(5);
            return;
        }
    };
    visit.register(0);
    for (place, (name, size)) in registers.iter().enumerate() {
        visit.register_as(Parameter::argument("prctl", name), place + 1, *size);
    }
    match option {
        2 => visit.write("prctl(get-death-signal)", address, 4),
        5 => visit.write("prctl(get-unalign)", address, 4),
        9 => visit.write("prctl(get-fpemu)", address, 4),
        11 => visit.write("prctl(get-fpexc)", address, 4),
        15 => visit.string_within("prctl(set-name)", address, NAME),
        16 => visit.write("prctl(get-name)", address, NAME),
        19 => visit.write("prctl(get-endian)", address, 4),
        22 if visit.argument(1) == 2 => {
            filter(visit, "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter)", visit.argument(2));
        }
        25 => visit.write("prctl(get-tsc)", address, 4),
        37 => visit.write("prctl(get-child-subreaper)", address, 4),
        40 => visit.write("prctl(get-tid-address)", address, 8),
        _ => {}
    }
}

/// `struct sock_fprog`: a 16-bit count, padding, a pointer to instructions of 8 bytes.
fn filter(visit: &mut Visit<'_>, text: &'static str, program: u64) {
    if program == 0 {
        return;
    }
    visit.read(text, program, 2);
    visit.read(text, program.wrapping_add(8), 8);
    if let (Some(count), Some(instructions)) = (visit.u16(program), visit.u64(program.wrapping_add(8))) {
        visit.read(text, instructions, u64::from(count) * 8);
    }
}

pub(crate) fn arch_prctl(visit: &mut Visit<'_>) {
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    const GET_XCOMP_FIRST: u32 = 0x1021;
    const GET_XCOMP_PERM: u32 = 0x1022;
    const GET_XCOMP_GUEST_PERM: u32 = 0x1024;
    if matches!(
        visit.argument32(0),
        GET_FS | GET_GS | GET_XCOMP_FIRST | GET_XCOMP_PERM | GET_XCOMP_GUEST_PERM
    ) {
        visit.write("arch_prctl(addr)", visit.argument(1), 8);
    }
}

pub(crate) fn seccomp(visit: &mut Visit<'_>) {
    let address = visit.argument(2);
    match visit.argument32(0) {
        // SECCOMP_SET_MODE_STRICT
        0 => visit.registers(2),
        // SECCOMP_SET_MODE_FILTER
        1 => {
            visit.registers(3);
            filter(visit, "seccomp(uargs)", address);
        }
        // SECCOMP_GET_ACTION_AVAIL
        2 => {
            visit.registers(3);
            visit.read("seccomp(uargs)", address, 4);
        }
        // SECCOMP_GET_NOTIF_SIZES
        3 => {
            visit.registers(3);
            visit.write("seccomp(uargs)", address, 6);
        }
        _ => visit.register(0),
    }
}
