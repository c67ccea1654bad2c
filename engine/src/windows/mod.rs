//! Collection windows: what of all that is executed is to be collected, and in which part of the recording.
//!
//! Emitted code counts all the time. Where the answer changes, the thread's counters are kept or thrown away and begin anew, and its
//! calls are followed up to there. That happens at a client request or at the entry and the leave of a function, so at the end of
//! a segment. Always holds: a thread collects while its process instruments and its own collection is on, as in Callgrind.

pub mod functions;
pub mod names;

use crate::accesses;
use crate::calls;
use crate::context::Thread;
use crate::counts;
use crate::state::Engine;
use crate::sys;
use crate::threads::stop::stop_world;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use functions::Active;
use names::Patterns;
use ring::record::{Kind, PartEnd, pair};
use ring::shared::{Control, FLAG_COLLECT_LATER, FLAG_INSTRUMENT_LATER};

/// A process's.
pub struct Windows {
    /// Its threads collect, where their own collection is on.
    instruments: AtomicBool,
    /// The part that it is in.
    part: AtomicU32,
    /// Functions that switch collection.
    pub patterns: Patterns,
}

impl Windows {
    /// Of a program that begins; by execve, if that is said.
    pub fn new(control: &Control, flags: u32, by_exec: bool) -> Windows {
        // What the process executed before may be in parts already.
        let goes_on = by_exec && control.next_part.load(Ordering::Relaxed) > 1;
        let part = if goes_on { control.next_part.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Windows {
            instruments: AtomicBool::new(flags & FLAG_INSTRUMENT_LATER == 0),
            part: AtomicU32::new(part),
            patterns: Patterns::read(&control.toggles),
        }
    }

    /// The part that the process is in.
    pub fn part(&self) -> u32 {
        self.part.load(Ordering::Relaxed)
    }

    /// A forked child has no parts yet.
    pub fn forget_parts(&self) {
        self.part.store(0, Ordering::Relaxed);
    }
}

/// A thread's.
pub struct Window {
    /// Its own collection is on.
    collects: bool,
    /// What its counters hold is to be collected.
    counts: bool,
    /// The functions that switch collection and are active, the innermost last.
    active: Vec<Active>,
    /// What was collected since it was told last, by counter; those beyond its end: nothing.
    pub kept: Vec<u64>,
}

impl Window {
    /// Of a thread that has executed nothing.
    pub fn begin(engine: &Engine) -> Option<Box<Window>> {
        counts::are_kept(engine).then(|| {
            let collects = engine.options.flags & FLAG_COLLECT_LATER == 0;
            let counts = collects && engine.windows.instruments.load(Ordering::Relaxed);
            Box::new(Window { collects, counts, active: Vec::new(), kept: Vec::new() })
        })
    }

    /// Of a child of vfork.
    pub fn of_child(&self) -> Box<Window> {
        Box::new(Window { active: self.active.clone(), kept: Vec::new(), ..*self })
    }

    /// Whether what is counted is to be collected.
    pub fn counts(&self) -> bool {
        self.counts
    }
}

/// Begins to collect, or no longer does, if that has changed. The thread is the calling one, or stopped.
fn settle(engine: &Engine, thread: &mut Thread) {
    let Some(window) = &mut thread.window else { return };
    let counts = window.collects && engine.windows.instruments.load(Ordering::Relaxed);
    if counts == window.counts {
        return;
    }
    window.counts = counts;
    counts::take(&engine.cache.lock(), thread, !counts);
    calls::collect(engine, thread, counts);
}

/// The thread's collection is switched.
pub fn toggle(engine: &Engine, thread: &mut Thread) {
    if let Some(window) = &mut thread.window {
        window.collects = !window.collects;
        settle(engine, thread);
    }
}

/// Whether the process's threads collect at all.
pub fn instrument(engine: &'static Engine, thread: &Thread, on: bool) {
    // A child of vfork shares what is its parent's, which is not stopped.
    if thread.foreign || engine.windows.instruments.load(Ordering::Relaxed) == on {
        return;
    }
    let world = stop_world(engine);
    engine.windows.instruments.store(on, Ordering::Relaxed);
    counts::each(engine, &world, |each| settle(engine, each));
}

/// A part of what the process executes ends here, and the next one begins.
pub fn end_part(engine: &'static Engine, thread: &Thread, how: PartEnd, name: &[u8]) {
    if thread.foreign {
        return;
    }
    let world = stop_world(engine);
    let begins = engine.shared.control().next_part.fetch_add(1, Ordering::Relaxed);
    let ends = engine.windows.part.swap(begins, Ordering::Relaxed);
    let fixed = [sys::tsc(), pair(ends, begins), how as u64];
    counts::each(engine, &world, |each| calls::work_through(engine, each));
    counts::each(engine, &world, |each| {
        match how {
            PartEnd::Dumped => {
                counts::tell(engine, each);
                accesses::tell(engine, each);
            }
            PartEnd::Zeroed => {
                counts::take(&engine.cache.lock(), each, false);
                if let Some(window) = &mut each.window {
                    window.kept.clear();
                }
                calls::forget(engine, each);
                accesses::tell_forgotten(engine, each);
            }
        }
        if let Some(writer) = &mut each.writer {
            writer.push_strings(Kind::Part, &fixed, &[name]);
        }
    });
}
