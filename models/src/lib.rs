//! Models of caches and of branch predictors: those of Callgrind and Cachegrind, event for event.
//!
//! Pure: addresses in, events out; no system call, no floating point, no `unsafe`, and no allocation but when a model or
//! a segment is made. Programs are fed in the order in which they ran, either access by access:
//!
//! ```
//! use models::{Caches, Event, Options, Shapes};
//! let mut caches = Caches::new(&Shapes::FALLBACK, Options::default())?;
//! assert!(caches.fetch(0x401000, 4).contains(Event::ILmr));
//! assert!(caches.read(0x7ffc_0000_1000, 8).contains(Event::DLmr));
//! assert!(!caches.write(0x7ffc_0000_1008, 8).contains(Event::D1mw));
//! # Ok::<(), models::LineTooShort>(())
//! ```
//!
//! or in batches, with each run of instructions prepared once as a [`Segment`], and for each of its executions the
//! addresses of its accesses:
//!
//! ```
//! use models::{Branches, Caches, Counts, Event, Options, Shapes};
//! let mut caches = Caches::new(&Shapes::FALLBACK, Options::default())?;
//! let mut branches = Branches::new();
//! let mut builder = caches.segment();
//! builder.instruction(0x401000, 3); // mov rax, [rdi]
//! builder.read(8);
//! builder.instruction(0x401003, 4); // add [rsi], eax
//! builder.modify(4);
//! builder.instruction(0x401007, 2); // jne
//! builder.conditional();
//! let segment = builder.finish();
//! let mut costs = vec![Counts::default(); segment.instructions()];
//! // Executed twice; the branch was taken once.
//! for (addresses, next) in [([0x5000, 0x6000], 0x401000), ([0x5008, 0x6000], 0x401009)] {
//!     caches.run(&segment, &addresses, costs.as_mut_slice());
//!     branches.run(&segment, next, costs.as_mut_slice());
//! }
//! segment.add_executions(2, &mut costs);
//! assert_eq!((costs[0][Event::Dr], costs[0][Event::D1mr]), (2, 1));
//! assert_eq!((costs[1][Event::Dw], costs[1][Event::D1mw]), (2, 1));
//! assert_eq!((costs[2][Event::Bc], costs[2][Event::Bcm]), (2, 1));
//! # Ok::<(), models::LineTooShort>(())
//! ```
//!
//! What always holds: both ways give the same events (`src/caches/tests.rs`), which are those of Valgrind for the same
//! addresses (`tests/oracle`). What an instruction accesses is the caller's to say; [`accesses`] has what Valgrind says.
//!
//! Not here: threads, which instruction or function events are charged to.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accesses;
mod branches;
mod caches;
mod detect;
mod events;
mod first;
mod geometry;
mod last;
mod lent;
mod prefetch;
mod repeat;
mod segment;
mod uses;

pub use branches::Branches;
pub use caches::{Caches, LineTooShort, Modify, Options, REGISTER_MAX};
pub use detect::{DetectError, Shapes};
pub use events::{Counts, Event, Events, Sink};
pub use geometry::{Geometry, GeometryError, LINE_MIN};
pub use lent::Lent;
pub use repeat::{Changes, LEARNT, Operand, Repeat};
pub use segment::{Segment, SegmentBuilder};
pub use uses::{LineUses, Loss};
