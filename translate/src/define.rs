//! The code of a store that has found V bits: memory that the guest may write to is defined from now on.

use crate::address::Address;
use crate::cold::{look_for_unaddressable, restore_flags, save_flags};
use crate::emit::{Emitter, reg};
use crate::layout::{self, Fix, SCRATCH, SHADOW_BIAS};
use crate::shadow;
use alloc::vec::Vec;

/// A store of `bytes` bytes to the address in r11, whose own value is in `SCRATCH`, has found V bits. What is undefined in full is
/// defined at once; of all else, each byte is looked at. The engine, at `check`, gets what has an unaddressable one.
/// `flags`: one is live.
pub(crate) fn store(e: &mut Emitter<'_>, bytes: u8, flags: bool, check: u64) {
    let at = Address::at(reg::R11, 0);
    e.mark(0, Fix::SCRATCH_R11);
    let mut partly = None;
    if !flags && bytes <= 8 {
        // jne over what defines it
        shadow::compare(e, at.plus(SHADOW_BIAS), u64::from(bytes), -1);
        partly = Some(e.branch(&[0x0f, 0x85]));
        shadow::define(e, at, u64::from(bytes));
        e.load_ctx(reg::R11, SCRATCH + 16);
        go_on(e);
    }
    if let Some(partly) = partly {
        e.patch_branch(partly, e.here());
    }
    e.mark(0, Fix::SCRATCH_R11);
    e.store_ctx(SCRATCH, reg::RAX);
    e.store_ctx(SCRATCH + 8, reg::RCX);
    e.mark(0, Fix::SCRATCH);
    if flags {
        save_flags(e, 0);
    }
    let mut unaddressable = Vec::new();
    look_for_unaddressable(e, bytes, &mut unaddressable);
    shadow::define(e, at, u64::from(bytes));
    restore(e, flags);
    e.load_ctx(reg::R11, SCRATCH + 16);
    go_on(e);
    for field in unaddressable {
        e.patch_branch(field, e.here());
    }
    e.mark(0, if flags { Fix::SCRATCH_FLAGS } else { Fix::SCRATCH });
    restore(e, flags);
    e.jmp(check);
}

/// All but r11.
fn restore(e: &mut Emitter<'_>, flags: bool) {
    if flags {
        restore_flags(e, 0);
    }
    e.load_ctx(reg::RAX, SCRATCH);
    e.load_ctx(reg::RCX, SCRATCH + 8);
    e.mark(0, Fix::SCRATCH_R11);
}

/// `jmp fs:[CONTINUE]`
fn go_on(e: &mut Emitter<'_>) {
    e.bytes(&[0x64, 0xff, 0x24, 0x25]);
    e.u32(layout::CONTINUE);
}
