//! ptrace: memory by request.
//!
//! What always holds: a request that is not known reads its registers and no memory. What a request writes into
//! another process is not here.

use super::vectors::VECTOR;
use crate::visit::Visit;

const REGISTERS: u64 = 216;
const FLOATING: u64 = 512;
const SIGNAL: u64 = 128;
const SEGMENT: u64 = 16;

pub(crate) fn ptrace(visit: &mut Visit<'_>) {
    let (address, data) = (visit.argument(2), visit.argument(3));
    match visit.argument(0) {
        1..=3 => visit.write("ptrace(peek)", data, 8),
        12 => visit.write("ptrace(getregs)", data, REGISTERS),
        13 => visit.read("ptrace(setregs)", data, REGISTERS),
        14 => visit.write("ptrace(getfpregs)", data, FLOATING),
        15 => visit.read("ptrace(setfpregs)", data, FLOATING),
        25 => visit.write("ptrace(get_thread_area)", data, SEGMENT),
        26 => visit.read("ptrace(set_thread_area)", data, SEGMENT),
        0x4201 => visit.write("ptrace(geteventmsg)", data, 8),
        0x4202 => visit.write("ptrace(getsiginfo)", data, SIGNAL),
        0x4203 => visit.read("ptrace(setsiginfo)", data, SIGNAL),
        0x4204 => {
            vector(
                visit,
                data,
                [
                    "ptrace(getregset iovec->iov_base)",
                    "ptrace(getregset iovec->iov_len)",
                    "ptrace(getregset *(iovec->iov_base))",
                ],
                true,
            );
        }
        0x4205 => {
            vector(
                visit,
                data,
                [
                    "ptrace(setregset iovec->iov_base)",
                    "ptrace(setregset iovec->iov_len)",
                    "ptrace(setregset *(iovec->iov_base))",
                ],
                false,
            );
        }
        0x4209 => {
            // struct ptrace_peeksiginfo_args: position, flags, count. The result is how many were written.
            visit.read("ptrace(peeksiginfo)", address, VECTOR);
            if let Some(count) = visit.u32(address.wrapping_add(12)).filter(|count| *count <= i32::MAX as u32)
            {
                let size = u64::from(count).saturating_mul(SIGNAL);
                let written = visit.result().unwrap_or(0).saturating_mul(SIGNAL);
                visit.write_part("ptrace(peeksiginfo data)", data, size, written.min(size));
            }
        }
        0x420a => visit.write("ptrace(getsigmask)", data, 8),
        0x420b => visit.read("ptrace(setsigmask)", data, 8),
        0x420e => {
            // The size is in the third argument, the result is what there was.
            let written = visit.result().unwrap_or(0);
            visit.write_part("ptrace(get_syscall_info)", data, address, written.min(address));
        }
        _ => {}
    }
}

fn vector(visit: &mut Visit<'_>, at: u64, [base, length, behind]: [&'static str; 3], writes: bool) {
    let length_at = at.wrapping_add(8);
    visit.read(base, at, 8);
    visit.read(length, length_at, 8);
    let (Some(buffer), Some(size)) = (visit.u64(at), visit.u64(length_at)) else { return };
    if writes {
        let before = visit.keep(0, size);
        visit.write_part(behind, buffer, before, size.min(before));
    } else {
        visit.read(behind, buffer, size);
    }
    if visit.result().is_some() {
        visit.mark(length_at, 8);
    }
}
