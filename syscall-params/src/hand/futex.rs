//! Futexes: what is read depends on the operation.
//!
//! What always holds: the futex itself counts as read, as in Valgrind; a wake reads only its address, but a
//! futex that was never set is a mistake all the same.

use crate::visit::Visit;

const COMMAND: u32 = !(128 | 256);

const WAIT: u32 = 0;
const WAKE: u32 = 1;
const FD: u32 = 2;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;

/// `struct futex_waitv`: value, address, flags, reserved.
const WAITER: u64 = 24;

/// The kernel's `FUTEX_WAITV_MAX`.
const WAITERS_MAX: u64 = 128;

pub(crate) fn futex(visit: &mut Visit<'_>) {
    let operation = visit.argument32(1) & COMMAND;
    visit.registers(match operation {
        CMP_REQUEUE | WAKE_OP | CMP_REQUEUE_PI => 6,
        REQUEUE | WAIT_REQUEUE_PI => 5,
        WAIT | LOCK_PI | LOCK_PI2 | WAIT_BITSET => 4,
        WAKE | FD | WAKE_BITSET => 3,
        _ => 2,
    });
    if matches!(operation, WAIT_BITSET | WAKE_BITSET) {
        visit.register(5);
    }
    let (first, second, time) = (visit.argument(0), visit.argument(4), visit.argument(3));
    if operation <= LOCK_PI2 {
        visit.read("futex(futex)", first, 4);
    }
    match operation {
        WAIT | LOCK_PI | LOCK_PI2 | WAIT_BITSET | WAIT_REQUEUE_PI if time != 0 => {
            visit.read("futex(timeout)", time, 16);
        }
        REQUEUE | CMP_REQUEUE | CMP_REQUEUE_PI | WAKE_OP => visit.read("futex(futex2)", second, 4),
        _ => {}
    }
    // These write to the futex; the rest leave it to the program.
    if matches!(operation, LOCK_PI | LOCK_PI2 | TRYLOCK_PI | UNLOCK_PI) && visit.result().is_some() {
        visit.mark(first, 4);
    }
}

pub(crate) fn waitv(visit: &mut Visit<'_>) {
    waiters(visit, "sys_futex_waitv(waiters)", visit.count(1));
    let time = visit.argument(3);
    if time != 0 {
        visit.read("sys_futex_waitv(timeout)", time, 16);
    }
}

pub(crate) fn requeue(visit: &mut Visit<'_>) {
    waiters(visit, "futex_requeue(waiters)", 2);
}

fn waiters(visit: &mut Visit<'_>, text: &'static str, count: u64) {
    if count > WAITERS_MAX {
        return;
    }
    visit.read(text, visit.argument(0), count * WAITER);
}
