//! fcntl: what the third argument is depends on the command.
//!
//! What always holds: a command that is not known reads descriptor, command and argument, and no memory.

use crate::parameter::Parameter;
use crate::visit::Visit;

const F_GETFD: u32 = 1;
const F_GETFL: u32 = 3;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_GETOWN: u32 = 9;
const F_GETSIG: u32 = 11;
const F_SETOWN_EX: u32 = 15;
const F_GETOWN_EX: u32 = 16;
const F_GETOWNER_UIDS: u32 = 17;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLK: u32 = 37;
const F_OFD_SETLKW: u32 = 38;
const F_GETLEASE: u32 = 1025;
const F_CREATED_QUERY: u32 = 1028;
const F_GETPIPE_SZ: u32 = 1032;
const F_GET_SEALS: u32 = 1034;
const F_GET_RW_HINT: u32 = 1035;
const F_SET_RW_HINT: u32 = 1036;
const F_GET_FILE_RW_HINT: u32 = 1037;
const F_SET_FILE_RW_HINT: u32 = 1038;

/// The type of a lock that is none.
const F_UNLCK: u16 = 2;

pub(crate) fn fcntl(visit: &mut Visit<'_>) {
    let (command, address) = (visit.argument32(1), visit.argument(2));
    match command {
        F_GETFD | F_GETFL | F_GETOWN | F_GETSIG | F_GETLEASE | F_GETPIPE_SZ | F_CREATED_QUERY
        | F_GET_SEALS => {
            visit.registers(2);
        }
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            visit.registers(2);
            visit.register_as(Parameter::of("fcntl(lock)"), 2, 8);
            lock(visit, address, matches!(command, F_GETLK | F_OFD_GETLK));
        }
        _ => {
            visit.registers(3);
            match command {
                F_SETOWN_EX => visit.read("fcntl(F_SETOWN_EX)", address, 8),
                F_GETOWN_EX => visit.write("fcntl(F_GETOWN_EX)", address, 8),
                F_GETOWNER_UIDS => visit.write("fcntl(F_GETOWNER_UIDS)", address, 8),
                F_GET_RW_HINT => visit.write("fcntl(F_GET_RW_HINT)", address, 8),
                F_GET_FILE_RW_HINT => visit.write("fcntl(F_GET_FILE_RW_HINT)", address, 8),
                F_SET_RW_HINT => visit.read("fcntl(F_SET_RW_HINT)", address, 8),
                F_SET_FILE_RW_HINT => visit.read("fcntl(F_SET_FILE_RW_HINT)", address, 8),
                _ => {}
            }
        }
    }
}

/// `struct flock`: type and kind of origin of 2 bytes, start and length of 8, process of 4.
fn lock(visit: &mut Visit<'_>, lock: u64, asks: bool) {
    let at = |offset| lock.wrapping_add(offset);
    visit.read("fcntl(lock->l_type)", lock, 2);
    visit.read("fcntl(lock->l_whence)", at(2), 2);
    visit.read("fcntl(lock->l_start)", at(8), 8);
    visit.read("fcntl(lock->l_len)", at(16), 8);
    if asks {
        visit.write_part("fcntl(lock->l_pid)", at(24), 4, 0);
        if visit.result().is_some() {
            // All of it is copied back; but the process is set only where there is a lock, and padding never.
            visit.mark(lock, 4);
            visit.mark(at(8), 16);
            visit.mark(at(24), if visit.u16(lock) == Some(F_UNLCK) { 0 } else { 4 });
        }
    }
}
