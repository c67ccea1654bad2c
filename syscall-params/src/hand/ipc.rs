//! System V semaphores, shared memory and message queues; POSIX message queues.
//!
//! What always holds: sizes are those of the kernel's 64-bit structures, also where the program asks without
//! `IPC_64`, because x86-64 knows no other. Values of a semaphore set need [`crate::Memory::semaphores`].

use crate::parameter::Parameter;
use crate::visit::Visit;

const IPC_64: u32 = 0x100;
const IPC_SET: u32 = 1;
const IPC_STAT: u32 = 2;
const IPC_INFO: u32 = 3;
const MSG_STAT: u32 = 11;
const MSG_INFO: u32 = 12;
const MSG_STAT_ANY: u32 = 13;
const SHM_STAT: u32 = 13;
const SHM_INFO: u32 = 14;
const SHM_STAT_ANY: u32 = 15;
const GETALL: u32 = 13;
const SETVAL: u32 = 16;
const SETALL: u32 = 17;
const SEM_STAT: u32 = 18;
const SEM_INFO: u32 = 19;
const SEM_STAT_ANY: u32 = 20;

const O_CREAT: u32 = 0o100;

/// Where `IPC_SET` reads in the kernel's structures: owner, group and mode.
const OWNER: (u64, u64) = (4, 8);
const MODE: (u64, u64) = (20, 4);

pub(crate) fn shmctl(visit: &mut Visit<'_>) {
    let address = visit.argument(2);
    match visit.argument32(1) & !IPC_64 {
        IPC_INFO => visit.write("shmctl(IPC_INFO, buf)", address, 72),
        SHM_INFO => visit.write("shmctl(SHM_INFO, buf)", address, 48),
        IPC_STAT | SHM_STAT | SHM_STAT_ANY => visit.write("shmctl(IPC_STAT, arg.buf)", address, 112),
        IPC_SET => set(visit, "shmctl(IPC_SET, arg.buf)", address),
        _ => {}
    }
}

pub(crate) fn msgctl(visit: &mut Visit<'_>) {
    let address = visit.argument(2);
    match visit.argument32(1) & !IPC_64 {
        IPC_INFO | MSG_INFO => visit.write("msgctl(IPC_INFO, buf)", address, 32),
        IPC_STAT | MSG_STAT | MSG_STAT_ANY => visit.write("msgctl(IPC_STAT, buf)", address, 120),
        IPC_SET => {
            set(visit, "msgctl(IPC_SET, arg.buf)", address);
            // The limit of a queue's bytes.
            visit.read("msgctl(IPC_SET, arg.buf)", address.wrapping_add(88), 8);
        }
        _ => {}
    }
}

fn set(visit: &mut Visit<'_>, text: &'static str, address: u64) {
    for (offset, size) in [OWNER, MODE] {
        visit.read(text, address.wrapping_add(offset), size);
    }
}

pub(crate) fn semctl(visit: &mut Visit<'_>) {
    let command = visit.argument32(2) & !IPC_64;
    let argument = matches!(
        command,
        IPC_INFO | SEM_INFO | IPC_STAT | SEM_STAT | SEM_STAT_ANY | IPC_SET | GETALL | SETALL | SETVAL
    );
    visit.registers(3);
    if argument {
        visit.register_as(Parameter::of("semctl(arg)"), 3, if command == SETVAL { 4 } else { 8 });
    }
    let address = visit.argument(3);
    match command {
        IPC_INFO | SEM_INFO => visit.write("semctl(IPC_INFO, arg.buf)", address, 40),
        IPC_STAT | SEM_STAT | SEM_STAT_ANY => visit.write("semctl(IPC_STAT, arg.buf)", address, 104),
        IPC_SET => set(visit, "semctl(IPC_SET, arg.buf)", address),
        GETALL | SETALL => {
            let Some(count) = visit.memory.semaphores(visit.argument32(0)) else { return };
            let size = count.saturating_mul(2);
            if command == GETALL {
                visit.write("semctl(IPC_GETALL, arg.array)", address, size);
            } else {
                visit.read("semctl(IPC_SETALL, arg.array)", address, size);
            }
        }
        _ => {}
    }
}

pub(crate) fn mq_open(visit: &mut Visit<'_>) {
    let creates = visit.argument32(1) & O_CREAT != 0;
    visit.registers(if creates { 4 } else { 2 });
    visit.string("mq_open(name)", visit.argument(0));
    let attributes = visit.argument(3);
    if creates && attributes != 0 {
        visit.read("mq_open(attr->mq_maxmsg)", attributes.wrapping_add(8), 8);
        visit.read("mq_open(attr->mq_msgsize)", attributes.wrapping_add(16), 8);
    }
}

pub(crate) fn mq_notify(visit: &mut Visit<'_>) {
    const SIGNAL: u32 = 0;
    const THREAD: u32 = 2;
    let event = visit.argument(1);
    if event == 0 {
        return;
    }
    // struct sigevent: value, signal, kind; the rest of its 64 bytes is not looked at.
    let text = "mq_notify(notification)";
    let at = |offset| event.wrapping_add(offset);
    visit.read(text, at(12), 4);
    match visit.u32(at(12)) {
        Some(SIGNAL) => visit.read(text, event, 12),
        Some(THREAD) => {
            // The value points to a cookie of 32 bytes, the signal is a socket.
            visit.read(text, event, 12);
            if let Some(cookie) = visit.u64(event) {
                visit.read("mq_notify(notification->sigev_value)", cookie, 32);
            }
        }
        _ => {}
    }
}
