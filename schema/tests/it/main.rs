//! Tests of the trace format through the public interface of the crate.

mod code;
mod damage;
mod growth;
mod hostile;
mod random;
mod round_trip;
mod sample;
mod size;
mod tool;
mod whole;
mod writer;
