//! The code of a store that has found V bits: memory that the guest may write to is defined from now on.

use crate::address::Address;
use crate::cold::look_for_unaddressable;
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
        // cmp gs:[r11 + bias], -1; jne over what defines it
        let shadow = at.plus(SHADOW_BIAS);
        match bytes {
            1 => shadow.emit(e, &[0x65], false, &[0x80], 7, &[0xff]),
            2 => shadow.emit(e, &[0x65, 0x66], false, &[0x83], 7, &[0xff]),
            4 => shadow.emit(e, &[0x65], false, &[0x83], 7, &[0xff]),
            _ => shadow.emit(e, &[0x65], true, &[0x83], 7, &[0xff]),
        }
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
        // lahf; seto al
        e.bytes(&[0x9f, 0x0f, 0x90, 0xc0]);
        e.store_ctx(SCRATCH + 24, reg::RAX);
        e.mark(0, Fix::SCRATCH_FLAGS);
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
        e.load_ctx(reg::RAX, SCRATCH + 24);
        // add al, 127: overflows if al is 1; sahf
        e.bytes(&[0x04, 0x7f, 0x9e]);
        e.mark(0, Fix::SCRATCH);
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
