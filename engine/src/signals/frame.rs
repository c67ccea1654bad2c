//! The kernel's signal frame: where its parts lie, and copies of it for the guest.
//!
//! From the frame's start: return address (8), ucontext (304: flags, link, stack_t, sigcontext, mask), siginfo (128);
//! the floating-point state lies above, aligned to 64, and the sigcontext points to it.

use super::recover::{FLAGS, Gregs, GuestRegs, SIGCONTEXT};
use super::{Action, AltStack, SA_ONSTACK, SS_AUTODISARM, SS_ONSTACK, ThreadSignals};
use crate::context::gpr;
use crate::guest_mem;
use crate::precise::Places;
use alloc::vec::Vec;

/// The kernel's `struct ucontext` on x86-64.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Ucontext {
    pub(super) flags: u64,
    pub(super) link: u64,
    pub(super) stack: AltStack,
    pub(super) gregs: Gregs,
    pub(super) fpstate: u64,
    pub(super) reserved: [u64; 8],
    pub(super) mask: u64,
}

pub(super) const UCONTEXT_BYTES: usize = size_of::<Ucontext>();
const _: () = assert!(UCONTEXT_BYTES == 304);
pub(super) const SIGINFO_BYTES: usize = 128;
const FRAME_BYTES: u64 = (8 + UCONTEXT_BYTES + SIGINFO_BYTES) as u64;
/// Indices into the gregs behind rip: flags, segments, error, trap number, old mask, cr2.
pub(super) const ERROR: usize = 19;
pub(super) const TRAP_NUMBER: usize = 20;
pub(super) const OLD_MASK: usize = 21;
pub(super) const CR2: usize = 22;
pub(super) const SEGMENTS: usize = 18;

/// Size of the floating-point state at `address`, from its own reserved bytes; 512 for the plain fxsave form.
pub(super) fn fpstate_bytes(head: &[u8]) -> usize {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if head.len() >= 512 && word(464) == 0x4650_5853 {
        (word(468) as usize).clamp(512, 64 * 1024)
    } else {
        512
    }
}

/// A guest frame that could not be written or read.
pub(super) struct Unwritable;

/// Writes a frame for `action` to the guest's stack and sets `guest` to the start of the handler.
/// `info` is the siginfo, `fpstate` the floating-point state as the kernel saved it.
#[allow(clippy::too_many_arguments, reason = "the parts of a frame")]
pub(super) fn push(
    guest: &mut GuestRegs,
    signals: &mut ThreadSignals,
    action: &Action,
    signal: u32,
    kernel: &Ucontext,
    info: &[u8; SIGINFO_BYTES],
    fpstate: &[u8],
    mask: u64,
) -> Result<(), Unwritable> {
    let rsp = guest.regs[gpr::RSP];
    let mut sp = rsp.wrapping_sub(128);
    let alternate = signals.alternate;
    let on_alternate = alternate.holds(rsp);
    if action.flags & SA_ONSTACK != 0 && alternate.size != 0 && !on_alternate {
        sp = alternate.sp + alternate.size;
    }
    let switched = sp == alternate.sp.wrapping_add(alternate.size) && alternate.size != 0;
    let fp_at = (sp.wrapping_sub(fpstate.len() as u64)) & !63;
    // The ABI wants rsp + 8 aligned to 16 at a function's entry.
    let frame = ((fp_at.wrapping_sub(FRAME_BYTES)) & !15).wrapping_sub(8);
    if (switched || on_alternate) && frame < alternate.sp {
        return Err(Unwritable);
    }
    let mut stack = alternate;
    if stack.size != 0 && on_alternate {
        stack.flags |= SS_ONSTACK;
    }
    let mut context = *kernel;
    guest.store(&mut context.gregs);
    context.gregs[OLD_MASK] = mask;
    context.stack = stack;
    context.mask = mask;
    context.link = 0;
    context.fpstate = fp_at;
    let whole = guest_mem::write(fp_at, fpstate) == fpstate.len()
        && guest_mem::write_u64(frame, action.restorer)
        && guest_mem::write(frame + 8, as_bytes(&context)) == UCONTEXT_BYTES
        && guest_mem::write(frame + 8 + UCONTEXT_BYTES as u64, info) == SIGINFO_BYTES;
    if !whole {
        return Err(Unwritable);
    }
    if alternate.flags & SS_AUTODISARM != 0 && switched {
        signals.alternate = AltStack::NONE;
    }
    guest.regs[gpr::RDI] = u64::from(signal);
    guest.regs[gpr::RSI] = frame + 8 + UCONTEXT_BYTES as u64;
    guest.regs[gpr::RDX] = frame + 8;
    guest.regs[gpr::RAX] = 0;
    guest.regs[gpr::RSP] = frame;
    guest.pc = action.handler;
    // DF, TF and RF are clear in a handler.
    guest.flags &= !0x1_0500;
    Ok(())
}

/// A frame that the guest wants to return from: its ucontext and floating-point state.
pub(super) fn pull(ucontext: u64) -> Result<(Ucontext, Vec<u8>), Unwritable> {
    let mut bytes = [0u8; UCONTEXT_BYTES];
    if guest_mem::read(ucontext, &mut bytes) != bytes.len() {
        return Err(Unwritable);
    }
    let context = from_bytes(&bytes);
    if context.fpstate == 0 {
        return Ok((context, Vec::new()));
    }
    let mut head = alloc::vec![0u8; 512];
    if guest_mem::read(context.fpstate, &mut head) != 512 {
        return Err(Unwritable);
    }
    let size = fpstate_bytes(&head);
    head.resize(size, 0);
    if guest_mem::read(context.fpstate, &mut head) != size {
        return Err(Unwritable);
    }
    Ok((context, head))
}

/// Where the frame whose ucontext lies at an address keeps the guest's registers.
pub(super) fn places(ucontext: u64) -> Places {
    const GREGS: u64 = core::mem::offset_of!(Ucontext, gregs) as u64;
    const FPSTATE: u64 = core::mem::offset_of!(Ucontext, fpstate) as u64;
    let at = |index: usize| ucontext.wrapping_add(GREGS + 8 * index as u64);
    let start = guest_mem::read_u64(ucontext.wrapping_add(FPSTATE)).unwrap_or(0);
    let mut head = [0; 512];
    let size = if start != 0 && guest_mem::read(start, &mut head) == 512 { fpstate_bytes(&head) } else { 0 };
    Places {
        general: SIGCONTEXT.map(at),
        flags: at(FLAGS),
        extended: if size == 0 { (0, 0) } else { (start, size) },
    }
}

fn as_bytes(context: &Ucontext) -> &[u8] {
    // SAFETY: a repr(C) structure of integers without padding bytes that matter (AltStack has an explicit pad).
    #[allow(unsafe_code, reason = "views a structure of integers as bytes")]
    unsafe {
        core::slice::from_raw_parts((&raw const *context).cast::<u8>(), UCONTEXT_BYTES)
    }
}

fn from_bytes(bytes: &[u8; UCONTEXT_BYTES]) -> Ucontext {
    // SAFETY: every bit pattern is a valid Ucontext, and the array has its size.
    #[allow(unsafe_code, reason = "reads a structure of integers from bytes")]
    unsafe {
        bytes.as_ptr().cast::<Ucontext>().read_unaligned()
    }
}
