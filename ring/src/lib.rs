//! The shared memory between the engine (in each guest process) and the recorder.
//!
//! One memfd holds a control block and a fixed number of ring slots. Every guest thread claims a slot and
//! writes records into it; the recorder is the only reader. Nothing in it is a pointer, so it can be mapped
//! anywhere, and a guest that is killed at any moment leaves only committed records behind.
//!
//! Not here: how a record becomes part of a trace (`vg-record`), when it is written (`engine`).
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod record;
pub mod shared;
pub mod toggles;

pub use record::{Kind, MAX_RECORD_WORDS, Record, header};
pub use shared::{Consumer, Control, Producer, RingHeader, Shared};
