//! The trace of a recording: its Cap'n Proto schema, the writer and the reader.
//!
//! `trace.capnp` is the format's definition. [`model`] holds the same as plain Rust values, which
//! [`write::TraceWriter`] takes and [`read::TraceReader`] gives; [`read::Trace`] is a whole trace in memory with its
//! tables resolved.
//! What always holds: reading never panics and never allocates more than a message can justify, whatever the input;
//! whatever prefix of a trace was written can be read. Not here: what the events mean (the readers), how they are
//! recorded (the ring and the engine).

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod codec;
mod column;
mod decode;
mod events;
pub mod model;
pub mod read;
mod rows;
mod trace;
pub mod write;

/// The generated code of `trace.capnp`, for tools that want the raw messages.
#[allow(
    unsafe_code,
    missing_docs,
    unused_lifetimes,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks
)] // Generated.
pub mod raw {
    capnp::generated_code!(pub mod trace_capnp);
}

pub use model::*;
