//! What translated code and the engine agree on: the context behind FS, exits, and how to recover guest state.
//!
//! While guest code runs, FS base points at the thread's context; the constants here are offsets in it. The engine
//! declares the same structure and asserts these offsets at compile time.

/// The context's own address.
pub const SELF: u32 = 0x00;
/// The guest's FS base.
pub const GUEST_FS: u32 = 0x08;
/// The guest's GS base.
pub const GUEST_GS: u32 = 0x10;
/// Home of r11 while an indirect branch uses it, and of a second scratch register.
pub const R11: u32 = 0x18;
/// Target (guest pc) of the indirect branch under way.
pub const TARGET: u32 = 0x20;
/// Home of the scratch register of a rewritten operand.
pub const SPILL: u32 = 0x28;
/// Number of the direct exit that was taken.
pub const EXIT: u32 = 0x30;
/// Guest pc: behind the system call under way, of the replaced function that is called, or where the dispatcher shall
/// go on.
pub const PC: u32 = 0x38;
/// Cache address behind the system call under way.
pub const CONTINUE: u32 = 0x40;
/// What the thread is doing: `STATE_*`.
pub const STATE: u32 = 0x48;
/// Non-zero: a signal waits for delivery or the world is to be stopped; no system call may be begun.
pub const PENDING: u32 = 0x50;
/// Why the dispatcher was entered: `EXIT_*`.
pub const REASON: u32 = 0x58;
/// Stack pointer of the engine while guest code runs.
pub const ENGINE_RSP: u32 = 0x60;
/// Where guest code is entered next (cache address).
pub const NEXT: u32 = 0x68;
/// Where the thread's next call is told, when calls are; see [`calls`](crate::calls).
pub const LOG: u32 = 0x70;
/// Address of the engine's dispatcher function.
pub const DISPATCH: u32 = 0x78;
/// Guest RFLAGS while the engine runs.
pub const FLAGS: u32 = 0x80;
/// Home of the register that holds the place in the log while a record is put down there; see [`Fix::log`].
pub const LOG_HOME: u32 = 0x88;
/// Address of the decoded instruction (iced's) that precise code is about to execute.
pub const STEP: u32 = 0x90;
/// As [`INSTRUCTIONS`], for those that are executed in guarded code; [`GUARDED_SLOTS`] quadwords.
pub const GUARDED_INSTRUCTIONS: u32 = 0xa0;
/// How many quadwords share that count.
pub const GUARDED_SLOTS: u32 = 4;
/// Guest instructions executed by this thread in other than guarded code, when they are counted: the sum of [`INSTRUCTION_SLOTS`] quadwords in one
/// cache line. One alone would make each segment of a fragment wait until the last one's sum has been stored and can
/// be loaded again.
pub const INSTRUCTIONS: u32 = 0xc0;
/// How many quadwords share the count.
pub const INSTRUCTION_SLOTS: u32 = 8;
/// The thread's counters of executed segments, one quadword each, behind everything else that is the thread's: see
/// [`Counted`](crate::Counted).
pub const COUNTERS: u32 = 0x1_0000;
/// Most of them.
pub const MOST_COUNTERS: u32 = 8 << 20;
/// What the thread's calls are followed in, behind those: see [`frames`](crate::frames).
pub const CALLS: u32 = (COUNTERS + 8 * MOST_COUNTERS).next_multiple_of(0x1000);
/// Guest general registers while the engine runs, 16 quadwords in encoding order (rax rcx rdx rbx rsp rbp ..).
pub const REGS: u32 = 0x100;
/// Guest xmm0..xmm15 (low halves) while the engine runs, 16 bytes each.
pub const XMM: u32 = 0x180;

/// What the raise stub passes to rt_tgsigqueueinfo and rt_sigprocmask: process id, thread id, signal, address of
/// the siginfo, address of the mask; 5 quadwords.
pub const RAISE: u32 = 0x290;

/// One byte for each register at its place in [`Set`](crate::Set): not zero while bits of it are undefined.
pub const DIRTY: u32 = 0x2c0;
/// Where precise code puts rax, rcx, r11 and the status flags aside; four quadwords, see [`Fix::SCRATCH`].
pub const SCRATCH: u32 = 0x320;
/// Constants that precise code finds a byte of unaddressable memory with: [`PATTERNS_VALUES`].
pub const PATTERNS: u32 = 0x340;
/// The V bits of a byte that the guest may not touch, in each byte; 1 in each byte, negated; the highest bit of each byte.
pub const PATTERNS_VALUES: [u64; 3] =
    [u64::from_ne_bytes([UNADDRESSABLE; 8]), 0x0101_0101_0101_0101u64.wrapping_neg(), 0x8080_8080_8080_8080];
/// V bits of a byte that the guest may not touch.
pub const UNADDRESSABLE: u8 = 0xa5;
/// Homes of registers that models are looked up through; three quadwords, see [`Homes`].
pub const HOMES: u32 = 0x368;
/// Guest instructions executed in precise code.
pub const PRECISE_INSTRUCTIONS: u32 = 0x358;
/// How often precise code was entered.
pub const PRECISE_SWITCHES: u32 = 0x360;
/// V bits of the general registers, 16 quadwords; they count while the register's byte in `DIRTY` is not zero.
pub const V_GENERAL: u32 = 0x380;
/// V bits of the vector registers, 32 times 64 bytes.
pub const V_VECTOR: u32 = 0x400;
/// Where undefined bits of the general registers come from: guest addresses, 16 quadwords.
pub const ORIGIN_GENERAL: u32 = 0xcc0;
/// The same for vector registers, 32 quadwords.
pub const ORIGIN_VECTOR: u32 = 0xd40;

/// `STATE`: in the engine.
pub const STATE_ENGINE: u32 = 0;
/// `STATE`: in the code cache.
pub const STATE_CACHE: u32 = 1;
/// `STATE`: in a system call that was begun in the code cache.
pub const STATE_SYSCALL: u32 = 2;
/// `STATE`: on the way from the engine into the code cache, after the last look at `PENDING`: the context holds the
/// guest's whole state, and the engine holds nothing.
pub const STATE_LEAVING: u32 = 3;

/// `REASON`: a direct exit without a link; `EXIT` is its number.
pub const EXIT_DIRECT: u32 = 0;
/// `REASON`: an indirect jump or call missed; `TARGET` holds the guest pc.
pub const EXIT_INDIRECT: u32 = 1;
/// `REASON`: a return missed; `TARGET` holds the guest pc.
pub const EXIT_RETURN: u32 = 2;
/// `REASON`: a system call that the engine handles; `PC` is the guest pc behind it.
pub const EXIT_SYSCALL: u32 = 3;
/// `REASON`: go on at `PC`.
pub const EXIT_RESUME: u32 = 4;
/// `REASON`: the block ends in something that the engine must do; `EXIT` is the exit's number.
pub const EXIT_SPECIAL: u32 = 5;

/// `REASON`: a system call that the kernel refused with EFAULT; `SPILL` holds its number, `PC` the guest pc behind it.
pub const EXIT_SYSCALL_FAULT: u32 = 6;

/// `REASON`: a check has found V bits; `TARGET` holds the address of the access, `CONTINUE` the cache address behind the
/// check.
pub const EXIT_CHECK: u32 = 7;

/// `REASON`: precise code is about to execute the instruction at `STEP`, which the engine has to follow; then it goes on at
/// `CONTINUE`.
pub const EXIT_STEP: u32 = 8;

/// `REASON`: a system call is done whose results the engine has to look at; `PC` is the guest pc behind it.
pub const EXIT_SYSCALL_AFTER: u32 = 9;

/// `REASON`: a function has been entered or left in a way that emitted code does not follow; `EXIT` is the entered function's
/// number, or says how it was left (see [`frames`](crate::frames)), or that what the log holds is to be worked through, or nothing
/// ([`LOGGED`], [`NOTHING`]); then it goes on at `CONTINUE`.
pub const EXIT_CALL: u32 = 10;

/// `EXIT`, with [`EXIT_CALL`]: the log is to be worked through.
pub const LOGGED: u32 = u32::MAX - 2;
/// The same: only something is pending.
pub const NOTHING: u32 = u32::MAX - 3;

/// Two or three general registers that have been put aside together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Homes(u32);

impl Homes {
    /// Of these; the third may be left out.
    pub const fn new(first: u8, second: u8, third: Option<u8>) -> Homes {
        let (count, third) = match third {
            Some(third) => (3, third),
            None => (2, 0),
        };
        Homes(count | (first as u32) << 4 | (second as u32) << 8 | (third as u32) << 12)
    }

    /// Their numbers; one that was left out is 0.
    pub fn registers(self) -> [u8; 3] {
        [4, 8, 12].map(|at| (self.0 >> at & 15) as u8)
    }

    /// How many.
    pub fn count(self) -> usize {
        (self.0 & 3) as usize
    }
}

/// How the guest's registers are recovered when a thread is interrupted inside a fragment. The map gives the
/// guest pc; `Fix` what else differs. All but [`Fix::log`] look at what is [`Fix::without_log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix(pub u32);

impl Fix {
    /// All registers hold the guest's values.
    pub const NONE: Fix = Fix(0);
    /// r11 is in `R11`.
    pub const R11: Fix = Fix(1);
    /// pc is in r11, r11 is in `R11`.
    pub const R11_TO_R11: Fix = Fix(2);
    /// pc is in `TARGET`, r11 is in `R11`.
    pub const R11_TO_TARGET: Fix = Fix(3);
    /// pc is at `[rsp-8]`, r11 is in `R11`.
    pub const R11_TO_STACK: Fix = Fix(4);
    /// A return address was half pushed: rsp is 8 too low.
    pub const UNPUSH: Fix = Fix(5);
    /// rcx is in `SPILL`, r11 in `R11`.
    pub const RCX_R11: Fix = Fix(6);
    /// As `UNPUSH`, and r11 is in `R11`.
    pub const UNPUSH_R11: Fix = Fix(7);
    /// As `R11_TO_TARGET`, and rcx is in `SPILL`.
    pub const RCX_R11_TO_TARGET: Fix = Fix(8);
    /// As `R11_TO_STACK`, and rcx is in `SPILL`.
    pub const RCX_R11_TO_STACK: Fix = Fix(9);
    /// rcx is in r11, r11 is in `R11`.
    pub const RCX_IN_R11: Fix = Fix(10);
    /// As `R11_TO_TARGET`, and rcx is in r11.
    pub const RCX_IN_R11_TO_TARGET: Fix = Fix(11);
    /// As `R11_TO_STACK`, and rcx is in r11.
    pub const RCX_IN_R11_TO_STACK: Fix = Fix(12);
    /// As `RCX_R11`, and the cost of the innermost function has been counted, which is still active.
    pub const LEFT_ONCE: Fix = Fix(13);
    /// As `LEFT_ONCE`, and so has been that it was left.
    pub const LEFT_TWICE: Fix = Fix(14);

    /// rax, rcx and r11 are in `SCRATCH`, in this order.
    pub const SCRATCH: Fix = Fix(0x400);
    /// As `SCRATCH`, and behind them are the status flags: as lahf stores them to ah, and the overflow flag in al.
    pub const SCRATCH_FLAGS: Fix = Fix(0x401);
    /// Of the places of `SCRATCH`, r11 alone is in its own.
    pub const SCRATCH_R11: Fix = Fix(0x402);
    /// As `LEFT_ONCE`, but for what has been put aside, which is as with `SCRATCH_FLAGS`.
    pub const LEFT_ONCE_FLAGS: Fix = Fix(0x403);
    /// The same of `LEFT_TWICE`.
    pub const LEFT_TWICE_FLAGS: Fix = Fix(0x404);

    /// The status flags are in the last place of `SCRATCH`, as with `SCRATCH_FLAGS`; no register is.
    pub const FLAGS: Fix = Fix(0x405);
    /// rax is in `SCRATCH`.
    pub const RAX: Fix = Fix(0x406);
    /// Both.
    pub const RAX_FLAGS: Fix = Fix(0x407);

    /// Beside what else differs, this register is in `LOG_HOME`.
    pub const fn with_log(self, register: u8) -> Fix {
        Fix(self.0 | Self::LOG | (register as u32) << 12)
    }

    /// The register that is in `LOG_HOME`. It is to be recovered after all others: it may have been put aside meanwhile.
    pub fn log(self) -> Option<u8> {
        (self.0 & Self::LOG != 0).then_some((self.0 >> 12 & 15) as u8)
    }

    /// Beside what else differs, these registers are in `HOMES`.
    pub const fn with_homes(self, homes: Homes) -> Fix {
        Fix(self.0 | homes.0 << 16)
    }

    /// The registers that are in `HOMES`, in the order of their places. As with [`Fix::log`] they are to be recovered last.
    pub fn homes(self) -> impl Iterator<Item = u8> {
        let homes = Homes(self.0 >> 16);
        homes.registers().into_iter().take(homes.count())
    }

    /// What else differs.
    pub fn without_log(self) -> Fix {
        Fix(self.0 & (Self::LOG - 1))
    }

    const LOG: u32 = 0x800;

    /// General register `number` (encoding order) is in `SPILL`.
    pub const fn spill(number: u8) -> Fix {
        Fix(16 + number as u32)
    }

    /// As [`Fix::spill`], and r11 is in `R11`.
    pub const fn spill_and_r11(number: u8) -> Fix {
        Fix(32 + number as u32)
    }

    /// General register `spilled` is in `SPILL`, `second` in `R11`.
    pub const fn pair(spilled: u8, second: u8) -> Fix {
        Fix(0x100 | spilled as u32 | (second as u32) << 4)
    }

    /// The register that [`Fix::string`] finds in `SPILL`: rbx.
    pub const STRING_SCRATCH: u8 = 3;

    /// In a string instruction behind FS (or GS): rsi is too high by the guest's base, rbx is in `SPILL`. `narrow`: only
    /// the low half of rsi counts.
    pub const fn string(gs: bool, narrow: bool) -> Fix {
        Fix(0x200 | gs as u32 | (narrow as u32) << 1)
    }

    /// What rsi is, for [`Fix::string`]; `fs` and `gs` are the guest's bases.
    pub fn string_source(self, rsi: u64, fs: u64, gs: u64) -> Option<u64> {
        if !(0x200..0x400).contains(&self.0) {
            return None;
        }
        let rsi = rsi.wrapping_sub(if self.0 & 1 != 0 { gs } else { fs });
        Some(if self.0 & 2 != 0 { u64::from(rsi as u32) } else { rsi })
    }

    /// The register that is in `SPILL`, except for rcx: see [`Fix::rcx_is_spilled`].
    pub fn spilled(self) -> Option<u8> {
        match self.0 {
            16..48 | 0x100..0x200 => Some((self.0 & 15) as u8),
            0x200..0x400 => Some(Self::STRING_SCRATCH),
            _ => None,
        }
    }

    /// Whether rcx is in `SPILL`.
    pub fn rcx_is_spilled(self) -> bool {
        matches!(self.0, 6 | 8 | 9 | 13 | 14) || self.spilled() == Some(1)
    }

    /// Whether rcx is in r11.
    pub fn rcx_is_in_r11(self) -> bool {
        matches!(self.0, 10..=12)
    }

    /// The places in `SCRATCH` that hold registers, and those.
    pub fn scratch(self) -> &'static [(usize, u8)] {
        const ALL: [(usize, u8); 3] = [(0, 0), (1, 1), (2, 11)];
        match self {
            Fix::SCRATCH | Fix::SCRATCH_FLAGS | Fix::LEFT_ONCE_FLAGS | Fix::LEFT_TWICE_FLAGS => &ALL,
            Fix::SCRATCH_R11 => &ALL[2..],
            Fix::RAX | Fix::RAX_FLAGS => &ALL[..1],
            _ => &[],
        }
    }

    /// RFLAGS, for a thread that is interrupted where they are `flags` and those put aside are `scratch`.
    pub fn flags(self, flags: u64, scratch: u64) -> u64 {
        const LOW: u64 = 0xd5;
        const OVERFLOW: u64 = 1 << 11;
        let is_aside = matches!(
            self,
            Fix::SCRATCH_FLAGS | Fix::LEFT_ONCE_FLAGS | Fix::LEFT_TWICE_FLAGS | Fix::FLAGS | Fix::RAX_FLAGS
        );
        if !is_aside {
            return flags;
        }
        flags & !(LOW | OVERFLOW) | (scratch >> 8) & LOW | (scratch & 1) << 11
    }

    /// Whether the innermost function's cost has been counted, which is still active, and, if that is true, also that it was left.
    pub fn left(self) -> Option<bool> {
        match self {
            Fix::LEFT_ONCE | Fix::LEFT_ONCE_FLAGS => Some(false),
            Fix::LEFT_TWICE | Fix::LEFT_TWICE_FLAGS => Some(true),
            _ => None,
        }
    }

    /// The register that is in `R11`: r11, or the second of a pair.
    pub fn in_r11(self) -> Option<u8> {
        match self.0 {
            1..=4 | 6..=14 | 32..48 => Some(11),
            0x100..0x200 => Some((self.0 >> 4 & 15) as u8),
            _ => None,
        }
    }
}

/// Bytes of the stub of a direct exit.
pub const EXIT_STUB_BYTES: u64 = 17;

/// What a check adds to the guest's displacement (-128); GS base is so much more than the distance of the shadow. Recent
/// processors take a load for a copy of the last store with the same base register and the same low bits of the
/// displacement, whatever the segment: a check that looks like the access beside it is mispredicted each time. Most
/// displacements are small and not negative, so with this one they need a byte, and are no other local variable's.
pub const SHADOW_BIAS: u64 = (-128i64) as u64;

/// Bytes of the stub of a check. It begins with a jump to what follows, until it is linked to precise code. An interrupted
/// thread in it is [`Fix::SCRATCH_R11`] from [`CHECK_STUB_SAVED`] on; where it goes on stands in the stub, see [`check_resume`].
/// A multiple of 16, so that no displacement at its start lies in two cache lines.
pub const CHECK_STUB_BYTES: u64 = 48;

/// Offset in a check's stub of the displacement that a link patches, and of what it leads to while there is none.
pub const CHECK_STUB_LINK: (u64, u64) = (1, 5);

/// Offset in a check's stub from which on r11 has been put aside.
pub const CHECK_STUB_SAVED: u64 = 14;

/// The cache address behind a check, from its stub's code.
pub fn check_resume(stub: &[u8; CHECK_STUB_BYTES as usize]) -> u64 {
    // Behind the jump (5 bytes) and the store of r11 (9): mov dword or qword fs:[CONTINUE], imm32, whose last four bytes it
    // is. The second one has a prefix more.
    const REX_W: u8 = 0x48;
    let at = if stub[15] == REX_W { 23 } else { 22 };
    u64::from(u32::from_le_bytes([stub[at], stub[at + 1], stub[at + 2], stub[at + 3]]))
}

/// One step of a fragment's map: from `cache` bytes behind the fragment's start on, an interrupted thread is at
/// guest address `guest` and its registers are recovered by `fix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapEntry {
    /// Offset in the fragment's code, from its first byte (prefix included).
    pub cache: u32,
    /// Guest pc.
    pub guest: u64,
    /// What else to recover.
    pub fix: Fix,
}
