//! Translation of guest code into fragments for the code cache.
//!
//! Pure: bytes and a configuration in, bytes and maps out. No system call, no global state, no `unsafe`. Guest
//! instructions are copied; only what must change (branches, RIP-relative and segment-relative operands, system
//! calls) is rewritten. What the emitted code expects at run time is written down in [`layout`] and [`stubs`].
//!
//! Not here: when to translate, where fragments live, linking (`engine`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod layout;

mod access;
pub mod accesses;
mod address;
mod branch;
pub mod calls;
mod check;
mod cold;
mod constant;
mod count;
mod decode;
mod define;
mod emit;
mod flags;
mod fragment;
pub mod frames;
mod guard;
mod known;
mod mode;
pub mod models;
mod operand;
mod precise;
pub mod references;
mod registers;
mod request;
mod segment;
mod shadow;
mod stack;
mod stubs;
mod tables;

pub use access::{Access, is_beyond};
pub use address::Address;
pub use check::{Check, What};
pub use count::{Counted, Jump};
pub use decode::{Block, Limits, Pointer, Scratch, Special};
pub use flags::{Incoming, incoming_flags};
pub use fragment::{
    Calls, Config, Entry, Exit, First, Fragment, Prefix, Refusal, Replaced, StubAddresses, Translator,
    emit_adjustment, emit_prefix, emit_replaced,
};
pub use mode::{Mode, Start};
pub use registers::{Set, Uses};
pub use shadow::{Faulted, MOST_UNDEFINED, Missed, faulted};
pub use stack::{Growth, stack_growth};
pub use stubs::{StubTable, Vectors, emit_stubs};
pub use tables::Tables;
