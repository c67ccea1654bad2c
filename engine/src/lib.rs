//! The engine: runs a guest program from a code cache inside its own process and tells the recorder about it.
//!
//! Modules in reading order: `boot` loads the guest, `dispatch` is what a thread does between two stays in the code
//! cache, `syscalls`, `signals` and `threads` are what the kernel side needs, `requests` answers the guest's own questions, `heap_calls`, `stacks` and `leak` are what
//! is recorded. `cache` and `code` own translated code, `space` the addresses, `guest_mem` the way to guest memory.
//!
//! Runs without libc, std, TLS: see `engine/image`. Tests run hosted.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod dispatch;

pub mod process_end;
pub mod requests;
pub mod signals;
pub mod syscalls;
pub mod threads;

pub mod accesses;
pub mod address;
pub mod allocators;
pub mod calls;
pub mod client_blocks;
pub mod client_memory;
pub mod clock;
pub mod counts;
pub mod descriptors;
pub mod errors;
pub mod faults;
pub mod heap_calls;
pub mod heap_errors;
pub mod heap_forms;
pub mod leak;
pub mod modules;
pub mod own_code;
pub mod pagemap;
pub mod precise;
mod range_map;
pub mod ranges;
pub mod shadow;
pub mod shadow_range;
pub mod stacks;
pub mod strings;
pub mod symbols;

pub mod cache;
pub mod code;
pub mod initial_stack;
pub mod limits;
pub mod loader;
pub mod proc_maps;
pub mod vdso;

pub mod context;
pub mod guest_mem;
pub mod space;
pub mod state;

pub mod fatal;
pub mod lock;
pub mod own_heap;
pub mod sys;
pub mod trace;
