//! Stack unwinding of the guest by DWARF call frame information (CFI), and the tree of interned stacks.
//!
//! Invariant: nothing here touches memory, the kernel or a global. Stacks and code are read through
//! [`Memory`], unwind tables are byte slices, and no input, however corrupt, makes a function panic or loop
//! without end. After an [`Unwinder`] is created, walking allocates nothing. Not here: finding the modules
//! (the engine tells [`Modules`]), names and lines (the recorder), event records.
//!
//! What the user of this crate does:
//! 1. [`Modules::add`] when an ELF file is mapped, [`Modules::remove`] before it is unmapped. [`Modules`] is
//!    a plain structure: guard it with a readers-writer lock, or swap whole copies (`Clone` is cheap: it
//!    shares the tables).
//! 2. One [`Unwinder`] for each thread. [`Unwinder::stack`] gives the interned id of a stack,
//!    [`Unwinder::walk`] its frames.
//! 3. One [`StackTree`] for each process; it is shared by the threads without locks.
//!
//! Addresses: an *avma* is an actual address in the guest, an *svma* the address that the ELF file states
//! (avma less the load bias).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod cfi;
mod fallback;
mod frame;
mod history;
mod memory;
mod modules;
mod rule;
mod tree;
mod unwinder;

pub use fallback::follows_call;
pub use frame::{End, Frame, FrameBuf};
pub use memory::{EncodingOrder, Memory, Regs, Start};
pub use modules::{AddError, Module, ModuleInfo, Modules, Section};
pub use tree::{Interned, NewNode, StackTree, WORDS_PER_NODE};
pub use unwinder::{Base, Counters, Holding, MAX_DEPTH, Unwinder};
