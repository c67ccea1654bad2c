//! Decoding of a guest superblock: from its first instruction through conditional fall-throughs to a stop.

use crate::flags;
use crate::request::{self, Found};
use alloc::vec::Vec;
use iced_x86::{
    Code, ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, Register,
};

/// How much one fragment may cover.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Guest instructions.
    pub instructions: usize,
    /// Segments: one more than the conditional branches followed through their fall-through.
    pub segments: usize,
    /// End in front of an instruction whose accesses no check in code can look at.
    pub checked: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { instructions: 96, segments: 8, checked: false }
    }
}

/// What an instruction does to the flow of control, and whether it needs the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Goes on with the next instruction.
    Next,
    /// Direct jump.
    Jump(u64),
    /// Conditional jump; goes on with the next instruction too.
    Condition(u64),
    /// jrcxz, loop and their relatives, which have only short forms.
    ShortCondition(u64),
    /// Direct call.
    Call(u64),
    /// Indirect jump through a register or memory.
    IndirectJump,
    /// Indirect call.
    IndirectCall,
    /// Return, with the bytes that it pops beyond the return address.
    Return(u16),
    /// The `syscall` instruction.
    Syscall,
    /// xbegin: always aborts to this address.
    TransactionAbort(u64),
    /// An instruction that only precise code executes: see [`Limits::checked`].
    Beyond,
    /// An instruction that the engine must handle outside the cache.
    Special(Special),
}

impl Flow {
    /// Whether control may leave the block at this instruction.
    pub(crate) fn leaves(self) -> bool {
        self != Flow::Next
    }

    /// Whether it may go on with the next instruction.
    pub(crate) fn falls_through(self) -> bool {
        matches!(self, Flow::Next | Flow::Condition(_) | Flow::ShortCondition(_) | Flow::Syscall)
    }
}

/// Why the dispatcher must take over in front of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Bytes that are no instruction: SIGILL.
    Undefined,
    /// The bytes end before the instruction does: the next page is not executable.
    Truncated,
    /// int 0x80, sysenter, far branches, iret: not supported in 64-bit guests.
    Unsupported,
    /// A client request of Valgrind's: arguments at rax, the answer goes to rdx; it goes on [`Special::BYTES`] later.
    ClientRequest,
    /// Valgrind's question for the address of a function that was replaced, to rax; it goes on as above.
    ReplacedAddress,
    /// Valgrind's call of a replaced function's original at rax; it returns to where the others go on.
    CallOriginal,
    /// A jump through a pointer that is [`Pointer::Unresolved`].
    Unresolved,
    /// A place where the dispatcher wants to be asked. Never decoded.
    Watched,
}

impl Special {
    /// Guest bytes of each of Valgrind's sequences.
    pub const BYTES: u64 = request::BYTES as u64;
}

/// What is known, when a branch through a pointer at a fixed address is translated, of where it will lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointer {
    /// Nothing.
    Unknown,
    /// Most likely to this guest pc: a direct exit leads there, after a check.
    LeadsTo(u64),
    /// To a dynamic linker that is going to change it: the jump is to be translated again then.
    Unresolved,
}

pub(crate) struct Insn {
    pub(crate) iced: Instruction,
    /// Where the displacement of a RIP-relative operand is; empty for others.
    pub(crate) offsets: ConstantOffsets,
    pub(crate) flow: Flow,
    /// Where an indirect branch most likely leads.
    pub(crate) likely: Option<u64>,
    /// Offset of its bytes in the block's bytes.
    pub(crate) at: usize,
}

impl Insn {
    pub(crate) fn pc(&self) -> u64 {
        self.iced.ip()
    }

    pub(crate) fn next_pc(&self) -> u64 {
        self.iced.next_ip()
    }
}

/// Memory for the instructions of a block, to be used again for the next one.
#[derive(Default)]
pub struct Scratch(Vec<Insn>);

/// A decoded superblock.
pub struct Block<'a> {
    pub(crate) pc: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) insns: Vec<Insn>,
    pub(crate) flags_dead_at_end: bool,
    pub(crate) function: bool,
}

impl<'a> Block<'a> {
    /// Decodes from `pc`; `bytes` are the executable bytes there, as many as are known to be readable.
    pub fn decode(bytes: &'a [u8], pc: u64, limits: Limits) -> Block<'a> {
        Block::decode_in(Scratch::default(), bytes, pc, limits, |_, _| Pointer::Unknown)
    }

    /// As [`Block::decode`], in the memory of an earlier block. `pointer` is asked about branches through a pointer at a
    /// fixed address: by the branch's pc and the pointer's address.
    pub fn decode_in(
        scratch: Scratch,
        bytes: &'a [u8],
        pc: u64,
        limits: Limits,
        pointer: impl Fn(u64, u64) -> Pointer,
    ) -> Block<'a> {
        let mut decoder = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE);
        let mut insns = scratch.0;
        insns.clear();
        let mut segments = 1;
        while insns.len() < limits.instructions && segments <= limits.segments {
            let at = decoder.position();
            let mut iced = Instruction::default();
            if at >= bytes.len() {
                if insns.is_empty() {
                    insns.push(Insn {
                        iced,
                        offsets: ConstantOffsets::default(),
                        flow: Flow::Special(Special::Truncated),
                        likely: None,
                        at,
                    });
                }
                break;
            }
            let found = request::find(&bytes[at..]);
            if found == Found::Cut && !insns.is_empty() {
                // A block that begins there sees all of it, or knows that there is no more.
                break;
            }
            decoder.decode_out(&mut iced);
            let mut flow = if let Found::Whole(special) = found {
                // As one instruction, with the operands of its last one, which touch nothing.
                for _ in 1..request::INSTRUCTIONS {
                    decoder.decode_out(&mut iced);
                }
                iced.set_len(request::BYTES);
                Flow::Special(special)
            } else if iced.is_invalid() {
                // Bytes that ran out are a fault on the next page, once execution gets there.
                let special = if decoder.last_error() == iced_x86::DecoderError::NoMoreBytes {
                    Special::Truncated
                } else {
                    Special::Undefined
                };
                if special == Special::Truncated && !insns.is_empty() {
                    break;
                }
                Flow::Special(special)
            } else {
                match classify(&iced) {
                    Flow::Next
                        if limits.checked
                            && crate::access::is_beyond_clean(&iced, &bytes[decoder.position()..]) =>
                    {
                        Flow::Beyond
                    }
                    flow => flow,
                }
            };
            if matches!(flow, Flow::Condition(_) | Flow::ShortCondition(_)) {
                segments += 1;
            }
            // Only the displacement of a RIP-relative operand is ever patched.
            let offsets = if iced.is_ip_rel_memory_operand() {
                decoder.get_constant_offsets(&iced)
            } else {
                ConstantOffsets::default()
            };
            let mut likely = None;
            if matches!(flow, Flow::IndirectJump | Flow::IndirectCall)
                && iced.is_ip_rel_memory_operand()
                && iced.segment_prefix() == Register::None
            {
                match pointer(iced.ip(), iced.ip_rel_memory_address()) {
                    Pointer::LeadsTo(target) => likely = Some(target),
                    Pointer::Unresolved if flow == Flow::IndirectJump => {
                        flow = Flow::Special(Special::Unresolved);
                    }
                    Pointer::Unresolved | Pointer::Unknown => (),
                }
            }
            insns.push(Insn { iced, offsets, flow, likely, at });
            if !flow.falls_through() {
                break;
            }
        }
        Block { pc, bytes, insns, flags_dead_at_end: false, function: false }
    }

    /// Ends it in front of the first instruction that begins there or behind.
    pub(crate) fn cut(&mut self, end: u64) {
        self.insns.retain(|insn| insn.pc() < end);
    }

    /// Where its last instruction leads, when that is one place.
    pub fn leads_to(&self) -> Option<u64> {
        let last = self.insns.last()?;
        match last.flow {
            Flow::Jump(target) | Flow::Call(target) => Some(target),
            Flow::Next => Some(last.next_pc()),
            _ => None,
        }
    }

    /// Where the direct jump leads that it ends with, if it does.
    pub fn jumps_to(&self) -> Option<u64> {
        match self.insns.last()?.flow {
            Flow::Jump(target) | Flow::Condition(target) | Flow::ShortCondition(target) => Some(target),
            _ => None,
        }
    }

    /// Whether it ends with a branch that passes no status flag on, whatever that leads to: by the ABI a call does not, nor
    /// does an entry of a linkage table (lazy binding would lose it).
    pub fn passes_no_flags(&self) -> bool {
        let Some((last, others)) = self.insns.split_last() else { return false };
        match last.flow {
            Flow::IndirectCall => true,
            Flow::IndirectJump => {
                last.iced.is_ip_rel_memory_operand() && others.iter().all(|insn| flags::is_idle(&insn.iced))
            }
            _ => false,
        }
    }

    /// Where its last instruction most likely leads, when that is a branch through a pointer at a fixed address.
    pub fn likely_leads_to(&self) -> Option<u64> {
        self.insns.last()?.likely
    }

    /// Where the function that it ends with a call of returns to.
    pub fn returns_to(&self) -> Option<u64> {
        let last = self.insns.last()?;
        matches!(last.flow, Flow::Call(_) | Flow::IndirectCall).then(|| last.next_pc())
    }

    /// The bytes behind it, as far as they are known.
    pub fn bytes_behind(&self) -> &'a [u8] {
        self.bytes.get(self.end().wrapping_sub(self.pc) as usize..).unwrap_or(&[])
    }

    /// Whether it is the end of a function, not merely a return: it takes registers back from the stack, or has flags of its
    /// own. A return with neither may be a jump by other means, and flags that are taken back are meant to be there.
    pub fn ends_function(&self) -> bool {
        use Mnemonic::{Pop, Popf, Popfd, Popfq, Sahf};
        let Some((last, others)) = self.insns.split_last() else { return false };
        let has = |found: &dyn Fn(&Insn) -> bool| others.iter().any(found);
        matches!(last.flow, Flow::Return(_))
            && !has(&|insn| matches!(insn.iced.mnemonic(), Popf | Popfd | Popfq | Sahf))
            && (has(&|insn| insn.iced.mnemonic() == Pop)
                || has(&|insn| crate::flags::killed(&insn.iced) == crate::flags::STATUS))
    }

    /// No status flag is live at [`Block::leads_to`]: see [`incoming_flags`](crate::incoming_flags). The fragment then
    /// depends on the bytes there, too.
    pub fn set_flags_dead_at_end(&mut self) {
        self.flags_dead_at_end = true;
    }

    /// Whether it only leads on to a function elsewhere, as a linkage table's entry: jumps through a pointer at a fixed address, or
    /// pushes a number for the dynamic linker and jumps there.
    pub fn is_linkage(&self) -> bool {
        let mut insns = self.insns.iter().skip_while(|insn| insn.iced.mnemonic() == Mnemonic::Endbr64);
        let through_pointer = |insn: &Insn| {
            let jumps = matches!(insn.flow, Flow::IndirectJump | Flow::Special(Special::Unresolved));
            jumps && insn.iced.is_ip_rel_memory_operand()
        };
        match (insns.next(), insns.next()) {
            (Some(insn), _) if through_pointer(insn) => true,
            (Some(push), Some(jump)) => {
                let pushes_number =
                    push.iced.mnemonic() == Mnemonic::Push && push.iced.op0_register() == Register::None;
                pushes_number && (matches!(jump.flow, Flow::Jump(_)) || through_pointer(jump))
            }
            _ => false,
        }
    }

    /// A function begins there: what lies below the stack pointer is no variable yet.
    pub fn set_function(&mut self) {
        self.function = true;
    }

    /// The memory of a block that has been used.
    pub fn into_scratch(self) -> Scratch {
        Scratch(self.insns)
    }

    /// Guest address of the first instruction.
    pub fn start(&self) -> u64 {
        self.pc
    }

    /// Guest address behind the last byte that was decoded.
    pub fn end(&self) -> u64 {
        match self.insns.last() {
            Some(last) if last.iced.is_invalid() => self.pc + last.at as u64 + 1,
            Some(last) => last.next_pc(),
            None => self.pc,
        }
    }

    /// The decoded instructions.
    pub fn decoded(&self) -> impl ExactSizeIterator<Item = &Instruction> {
        self.insns.iter().map(|insn| &insn.iced)
    }

    /// Number of guest instructions.
    pub fn instructions(&self) -> usize {
        self.insns.len()
    }
}

fn classify(insn: &Instruction) -> Flow {
    match insn.flow_control() {
        FlowControl::Next => match insn.mnemonic() {
            Mnemonic::Syscall => Flow::Syscall,
            Mnemonic::Sysenter => Flow::Special(Special::Unsupported),
            _ => Flow::Next,
        },
        FlowControl::UnconditionalBranch => {
            if insn.is_jmp_far() {
                Flow::Special(Special::Unsupported)
            } else {
                Flow::Jump(insn.near_branch_target())
            }
        }
        FlowControl::ConditionalBranch => {
            let target = insn.near_branch_target();
            if insn.is_jcc_short_or_near() { Flow::Condition(target) } else { Flow::ShortCondition(target) }
        }
        FlowControl::IndirectBranch => {
            if insn.is_jmp_far_indirect() {
                Flow::Special(Special::Unsupported)
            } else {
                Flow::IndirectJump
            }
        }
        FlowControl::Call => match insn.code() {
            Code::Syscall => Flow::Syscall,
            _ if insn.is_call_near() => Flow::Call(insn.near_branch_target()),
            _ => Flow::Special(Special::Unsupported),
        },
        FlowControl::IndirectCall => {
            if insn.is_call_near_indirect() {
                Flow::IndirectCall
            } else {
                Flow::Special(Special::Unsupported)
            }
        }
        FlowControl::Return => match insn.code() {
            Code::Retnq => Flow::Return(0),
            Code::Retnq_imm16 => Flow::Return(insn.immediate16()),
            _ => Flow::Special(Special::Unsupported),
        },
        // int3 and into run natively; their signal arrives with the cache pc behind them, which the map knows.
        FlowControl::Interrupt => match insn.mnemonic() {
            Mnemonic::Int => Flow::Special(Special::Unsupported),
            _ => Flow::Next,
        },
        FlowControl::XbeginXabortXend => {
            if insn.mnemonic() == Mnemonic::Xbegin {
                Flow::TransactionAbort(insn.near_branch_target())
            } else {
                Flow::Next
            }
        }
        // ud0, ud1, ud2: the native instruction raises the native signal.
        FlowControl::Exception => Flow::Next,
    }
}

/// Full 64-bit register number (encoding order) of a general register; `None` for others.
pub(crate) fn number(register: Register) -> Option<u8> {
    register.is_gpr().then(|| register.full_register().number() as u8)
}
