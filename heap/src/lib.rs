//! The guest's heap while it is recorded, and the scan that finds what still points where.
//!
//! The engine replaces the guest's `malloc` family by [`Heap::allocate`] and [`Heap::free`]. Blocks lie in one
//! arena of guest memory; everything that is known about them lies in side memory that the guest has no address
//! of, so a guest that writes out of bounds cannot damage it.
//!
//! What always holds:
//! - Every block has a red zone in front of it and one behind it, and byte `size` belongs to the latter: two
//!   blocks never touch (unless red zones are switched off).
//! - A slot is free, live or quarantined, and only an atomic step leads from live to quarantined: of two threads
//!   that free one block, one is told that it was freed already.
//! - Slot metadata stays mapped for as long as the heap lives. A lookup takes no lock, may race with everything,
//!   and checks afterwards that what it read belongs together.
//! - The crate never reads or writes arena memory itself; clearing goes through [`Pages::zero`].
//!
//! Memory comes through [`Pages`] only: no libc, no thread-local storage, no global allocator.
//!
//! Not here: which guest functions allocate, copying for `realloc`, stacks and events (`engine`); classification
//! of leaks (`vg-leaks`).
#![no_std]
#![deny(unsafe_code)]

mod block;
mod cache;
mod central;
mod chunk;
mod class;
mod client;
mod counters;
mod fork;
mod freeing;
mod live;
mod lock;
mod pages;
mod quarantine;
mod query;
mod runs;
pub mod scan;
mod slots;
mod space;
mod table;

pub use block::{Block, FreeOutcome, Freed, InvalidFree, Relation, Request, State};
pub use cache::ThreadCache;
pub use client::{ClientBlock, arrange};
pub use counters::Counters;
pub use fork::Frozen;
pub use live::{LiveBlock, LiveBlocks, Snapshot, Target};
pub use pages::Pages;
pub use space::{Arena, Error, Heap, Options};
