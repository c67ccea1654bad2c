//! Accesses that fault: reads and writes of what is not mapped, or not allowed, told from the state that the fault left.
//!
//! The signal's handler notes the fault; the dispatcher, through which the thread goes on, tells of it, on the engine's
//! stack. Always holds: the guest gets its signal as natively. Not here: accesses to the heap that fault nowhere
//! (`errors`), jumps (`dispatch`).

use crate::context::Thread;
use crate::errors::{self, About, Told};
use crate::signals::recover::GuestRegs;
use crate::state::Engine;
use crate::{guest_mem, shadow, stacks};
use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, Register};
use ring::record::Error;
use ring::shared::EVENTS_SHADOW;

/// An access that has faulted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The guest before the instruction.
    regs: GuestRegs,
    /// `si_addr`, or `None` where the processor does not tell.
    address: Option<u64>,
    /// Bits of the page fault, as the kernel gives them.
    error: u64,
}

/// Bit of a page fault: it was a write.
const WRITE: u64 = 2;
/// Bit of a page fault: of an instruction.
const FETCH: u64 = 16;
/// Where addresses end that this processor has, seen from the lower half.
const CANONICAL_END: u64 = 1 << 47;
/// Longest instruction.
const LONGEST: usize = 15;

/// The signal's handler: SIGSEGV by the thread's own instruction, with its `si_code`, `si_addr` and page-fault bits.
pub(crate) fn note(
    engine: &Engine,
    thread: &mut Thread,
    regs: &GuestRegs,
    code: u32,
    address: u64,
    error: u64,
) {
    const MAPERR: u32 = 1;
    const ACCERR: u32 = 2;
    const SI_KERNEL: u32 = 0x80;
    let looked_for = engine.options.events & EVENTS_SHADOW != 0 && thread.signals.freeres_done == 0;
    if !looked_for || error & FETCH != 0 {
        return;
    }
    let address = match code {
        MAPERR | ACCERR => Some(address),
        SI_KERNEL => None,
        // Of protection keys: the guest forbade it on purpose.
        _ => return,
    };
    thread.signals.fault = Some(Fault { regs: *regs, address, error });
}

/// The dispatcher: tells of a fault that was noted.
#[cold]
pub(crate) fn tell(engine: &Engine, thread: &mut Thread) {
    let Some(fault) = thread.signals.fault.take() else { return };
    let Some(access) = access(thread, &fault) else { return };
    if is_told(engine, fault.address.unwrap_or(access.address)) {
        return;
    }
    // The thread may be on its way into a handler of the signal.
    let now = GuestRegs::of_context(&thread.context);
    fault.regs.to_context(&mut thread.context);
    let stack = stacks::here(engine, thread);
    let about = About::anything(engine, thread, fault.regs.pc, fault.address.unwrap_or(access.address));
    let Access { error, address, size } = access;
    errors::tell(thread, stack, &Told { address, size, ..Told::new(error, about) });
    now.to_context(&mut thread.context);
}

/// Whether the check in front of the access has found it: it looks at all of the heap's arena.
fn is_told(engine: &Engine, address: u64) -> bool {
    let mut bits = [0];
    if !engine.heap.get().is_some_and(|heap| heap.contains(address)) {
        return false;
    }
    shadow::read(address, &mut bits);
    bits[0] == shadow::Bits::Unaddressable as u8
}

/// What an instruction did to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    error: Error,
    address: u64,
    size: u64,
}

fn access(thread: &Thread, fault: &Fault) -> Option<Access> {
    let mut bytes = [0; LONGEST];
    let length = guest_mem::read_code(fault.regs.pc, &mut bytes);
    let decoded = Decoder::with_ip(64, &bytes[..length], fault.regs.pc, DecoderOptions::NONE).decode();
    let bases = [thread.context.guest_fs, thread.context.guest_gs];
    find(&decoded, fault, bases, is_readable)
}

/// Whether a byte can be read.
fn is_readable(address: u64) -> bool {
    guest_mem::read(address, &mut [0]) == 1
}

/// The access of an instruction that has faulted; `bases`: those of FS and GS.
fn find(
    instruction: &Instruction,
    fault: &Fault,
    bases: [u64; 2],
    is_readable: impl Fn(u64) -> bool,
) -> Option<Access> {
    let is_canonical = |address: u64| address < CANONICAL_END || address >= CANONICAL_END.wrapping_neg();
    let is_it = |address: u64, size: u64| match fault.address {
        Some(faulted) => faulted.wrapping_sub(address) < size.max(1),
        None => !is_canonical(address) || !is_canonical(address.wrapping_add(size.saturating_sub(1))),
    };
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    for memory in info.used_memory() {
        let address = memory.virtual_address(0, |register, _, _| value(&fault.regs, bases, register));
        let (Some(address), size) = (address, memory.memory_size().size() as u64) else { continue };
        if !is_it(address, size) {
            continue;
        }
        let error = match memory.access() {
            OpAccess::Read | OpAccess::CondRead => Error::InvalidRead,
            OpAccess::Write | OpAccess::CondWrite => Error::InvalidWrite,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                // Of one that does both, Valgrind tells the read alone: the first that fails.
                let at = fault.address.unwrap_or(address);
                if is_readable(at) { Error::InvalidWrite } else { Error::InvalidRead }
            }
            _ => continue,
        };
        return Some(Access { error, address, size });
    }
    // Gathers, saved states and their like: of where they began nothing is known.
    let error = if fault.error & WRITE != 0 { Error::InvalidWrite } else { Error::InvalidRead };
    let size = instruction.memory_size().element_size() as u64;
    fault.address.map(|address| Access { error, address, size: size.max(1) })
}

/// The value of a register that addresses are made of.
fn value(regs: &GuestRegs, bases: [u64; 2], register: Register) -> Option<u64> {
    match register {
        Register::FS => Some(bases[0]),
        Register::GS => Some(bases[1]),
        Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
        register if register.is_gpr64() => Some(regs.regs[register.number()]),
        register if register.is_gpr32() => Some(regs.regs[register.number()] & 0xffff_ffff),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAX: usize = 0;
    const RBX: usize = 3;

    fn of(bytes: &[u8], address: Option<u64>, error: u64, readable: bool) -> Option<(Error, u64, u64)> {
        let mut regs = [0; 16];
        regs[RAX] = 0x1000;
        regs[RBX] = 0x1234_5678_0000_0000;
        regs[4] = 0x8000;
        let fault = Fault { regs: GuestRegs { regs, pc: 0x100, flags: 0 }, address, error };
        let instruction = Decoder::with_ip(64, bytes, 0x100, DecoderOptions::NONE).decode();
        let found = find(&instruction, &fault, [0x10_0000, 0], |_| readable)?;
        Some((found.error, found.address, found.size))
    }

    #[test]
    fn size_and_direction_are_the_instructions() {
        // mov ecx, [rax]; the fault is in its last byte.
        assert_eq!(of(&[0x8b, 0x08], Some(0x1003), 4, false), Some((Error::InvalidRead, 0x1000, 4)));
        // mov [rax+8], cl
        assert_eq!(of(&[0x88, 0x48, 8], Some(0x1008), 6, false), Some((Error::InvalidWrite, 0x1008, 1)));
        // add dword [rax], 1: where nothing is, the read; where it may be read, the write
        assert_eq!(of(&[0x83, 0, 1], Some(0x1000), 6, false), Some((Error::InvalidRead, 0x1000, 4)));
        assert_eq!(of(&[0x83, 0, 1], Some(0x1000), 7, true), Some((Error::InvalidWrite, 0x1000, 4)));
        // push rax; push [rax], by its first and by its second access
        assert_eq!(of(&[0x50], Some(0x7ff8), 6, false), Some((Error::InvalidWrite, 0x7ff8, 8)));
        assert_eq!(of(&[0xff, 0x30], Some(0x1000), 4, false), Some((Error::InvalidRead, 0x1000, 8)));
        assert_eq!(of(&[0xff, 0x30], Some(0x7ff8), 6, false), Some((Error::InvalidWrite, 0x7ff8, 8)));
        // mov rcx, fs:[0]
        let load = [0x64, 0x48, 0x8b, 0x0c, 0x25, 0, 0, 0, 0];
        assert_eq!(of(&load, Some(0x10_0000), 4, false), Some((Error::InvalidRead, 0x10_0000, 8)));
    }

    #[test]
    fn addresses_that_the_processor_does_not_have() {
        // mov ecx, [rbx]
        let found = Some((Error::InvalidRead, 0x1234_5678_0000_0000, 4));
        assert_eq!(of(&[0x8b, 0x0b], None, 0, false), found);
        // movaps xmm0, [rax]: not aligned, and no error of addresses; hlt
        assert_eq!(of(&[0x0f, 0x28, 0x00], None, 0, true), None);
        assert_eq!(of(&[0xf4], None, 0, true), None);
    }
}
