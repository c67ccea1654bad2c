//! What Valgrind counts as accesses of data, by kind of instruction (documentation only).
//!
//! Sources: VEX's translation of amd64 (`guest_amd64_toIR.c`), the `Ist_` cases of `lk_main.c`, `callgrind/main.c` and
//! `cg_main.c`, and an experiment with each line under Lackey, Callgrind and Cachegrind 3.19 with `--dump-instr=yes`.
//! "Modify" is one access: `Dw` for Callgrind, `Dr` for Cachegrind ([`crate::Modify`]); it is a read directly followed
//! by a write of the same address and size by one instruction. Order is that of the simulation.
//!
//! | instruction | accesses |
//! |---|---|
//! | `mov`, arithmetic, `cmp`, `test`, SSE and AVX with a memory operand | one of the operand's size: read, write or modify |
//! | `cmov` with memory | read, also where the condition does not hold |
//! | `push`, `pushf`, `call` to a label or register; `enter n,0` | write 8 |
//! | `pop`, `popf`, `ret`, `leave` | read 8 |
//! | `push [m]`, `call [m]` | read 8 of the operand, write 8 of the stack |
//! | `pop [m]` | read 8 of the stack, write 8 of the operand |
//! | `jmp [m]` | read 8 |
//! | `lea`, `nop [m]`, `prefetch*`, `clflush`, `cpuid`, `rdtsc`, `syscall` | none |
//! | `lock` arithmetic, `lock inc`, `lock xadd`, `lock bts`, `xchg [m]` | read, then modify; and `Bc`, see below |
//! | `xadd`, `cmpxchg`, with `lock` or not; `cmpxchg8b`, `cmpxchg16b` | modify of 1 to 8, 8, 16 (but `lock xadd`: above) |
//! | `bt [m],r`; `bts`, `btr`, `btc [m],r` | read 1; modify 1: the byte that has the bit |
//! | `bt [m],imm`; `bts` and so on `[m],imm` | read, modify of the operand's size |
//! | `bt r,r` | write of the operand's size 288 bytes below the stack pointer, read 1 there |
//! | `bts`, `btr`, `btc r,r` | the same with modify 1, and a read of the operand's size |
//! | `movs`; `stos`; `lods`; `scas` | read source, write target; write; read; read |
//! | `cmps` | read target (rdi), read source (rsi) |
//! | `rep movs`, `rep stos`, `repe` and `repne` `cmps`, `scas` | those of each round; each round is one `Ir`, and one more finds rcx = 0 |
//! | `rep lods` | one round only: the prefix is overlooked |
//! | x87 load and store | read, write of 2, 4, 8 or 10 |
//! | `fnstenv`, `fldenv`; `fnsave`, `frstor` | write, read of 28; of 108 |
//! | `fxsave`, `fxrstor` | write, read: 160 of the beginning, 8 at 24, then 16 at 160, 176 and so on, 16 times |
//! | `xsave` | as `fxsave`, then 16 at 576, 592 and so on, 16 times (AVX), modify 1 at 512; registers that eax does not ask for: none |
//! | `xrstor` | read 8 at 512, 520 and 528, then as `xsave`, but for the last one |
//! | `movnt*`, `stmxcsr`, `pextr*`, `vextract*` to memory | write |
//! | `maskmovdqu`, `maskmovq` | modify of 16, 8: all of it, whatever the mask |
//! | `vmaskmov*`, `vpmaskmov*` | an access of each element whose mask bit is set |
//! | `vpgather*`, `vgather*` | a read of each element; one whose mask bit is not set is read at the stack pointer instead |
//! | `pcmp?str?` | read 16 |
//! | fused multiplication of vectors; `cvtps2pd`, `cvt[t]p?2pi`, `roundps`, `roundpd` (not `vround*`) | a read of each element |
//! | `vmovddup` of 32; `vperm2f128`, `vperm2i128` | read 8 at 0 and 16; read 16 twice |
//! | shift of a vector by `[m128]`; `punpckl*` of MMX | read 8 |
//!
//! `translate::references` is this table as code; its oracle holds each instruction form that Valgrind executes against Lackey.
//! Not executed by 3.19, and so not known: `cmps` without `repe`, `xlat`, `popf` of 16 bits.
//!
//! An access that is longer than the shortest cache line counts with its beginning only.
//!
//! Where Valgrind's numbers are not those of the instructions, and ours can differ:
//! - **Loads whose result is not used are dropped**, as `cmp [m],r` whose flags are overwritten in the same block. What
//!   is dropped depends on how far a block reaches: Callgrind's end at each branch, those of Cachegrind and Lackey do not.
//! - **Branches whose condition or target is known within a block are none**: `lea r8,[f]; call r8` is no `Bi`.
//! - **`Bc` is counted where no branch is**: at each `lock` instruction and `xchg [m]` of the table (never taken), at each
//!   round of a `rep` (taken while rounds go on), and twice for `repe`/`repne` (the second: taken while rounds go on). The
//!   first of these two is told as taken at the end by Callgrind, and the other way round by Cachegrind.
//! - **Accesses by element have no column of their own in Callgrind**: their costs land on other events of the block
//!   (`Ir` of `vmaskmovps` was 5). The totals are right.
//! - **The block that ends a program is not in Callgrind's file** unless it was executed before.
//! - `enter n,1` and instructions of AVX-512 end the program; they count here like others, with up to 64 bytes.
