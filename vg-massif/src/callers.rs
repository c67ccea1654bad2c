//! Which functions of a stack are told: from the one that asked an allocator to main.
//!
//! Rules: functions that allocate for their callers are left out, at the top alone: malloc and its relatives, C++'s
//! operator new, the entry points of Rust's allocator, and those of `--alloc-fn`. What calls main is left out. What
//! is left is cut to so many code addresses; a function that was inlined shares that of its caller. A stack that is not
//! known is one frame without a name.

use crate::functions::Pattern;
use report::stack::{Frame, Origin};
use report::symbols::Symbols;
use std::collections::HashMap;
use std::rc::Rc;

/// Code addresses that are looked at beyond `depth`, so that something is left behind allocation functions.
const OVERESTIMATE: usize = 50;

/// The stacks of a trace, as they are told.
pub struct Callers<'t> {
    symbols: &'t Symbols,
    alloc_fn: &'t [Pattern],
    ignore_fn: &'t [Pattern],
    depth: usize,
    known: HashMap<u32, Rc<[Frame<'t>]>>,
}

impl<'t> Callers<'t> {
    /// With at most `depth` code addresses each.
    pub fn new(
        symbols: &'t Symbols,
        alloc_fn: &'t [Pattern],
        ignore_fn: &'t [Pattern],
        depth: u16,
    ) -> Callers<'t> {
        Callers { symbols, alloc_fn, ignore_fn, depth: usize::from(depth), known: HashMap::new() }
    }

    /// The functions of a stack, innermost first; at least one.
    pub fn of(&mut self, stack: u32) -> Rc<[Frame<'t>]> {
        if let Some(known) = self.known.get(&stack) {
            return Rc::clone(known);
        }
        let mut frames = self.symbols.frames(stack, self.depth + OVERESTIMATE);
        let allocates = |frame: &Frame<'_>| {
            frame.origin() == Origin::Allocator || self.alloc_fn.iter().any(|name| name.is(frame.function))
        };
        let first =
            frames.iter().position(|frame| !allocates(frame)).unwrap_or(frames.len().saturating_sub(1));
        frames.drain(..first);
        if let Some(main) = frames.iter().rposition(|frame| frame.function == "main") {
            frames.truncate(main + 1);
        }
        // The last function at an address is the one that was not inlined.
        let ends = frames.iter().enumerate().filter(|(_, frame)| !frame.inlined);
        if let Some((last, _)) = { ends }.nth(self.depth - 1) {
            frames.truncate(last + 1);
        }
        if frames.is_empty() {
            frames.push(Frame::default());
        }
        let frames: Rc<[Frame<'t>]> = frames.into();
        self.known.insert(stack, Rc::clone(&frames));
        frames
    }

    /// Whether allocations of a stack do not count: `--ignore-fn` names the function that allocated.
    pub fn is_ignored(&mut self, stack: u32) -> bool {
        if self.ignore_fn.is_empty() {
            return false;
        }
        let frames = self.of(stack);
        self.ignore_fn.iter().any(|name| name.is(frames[0].function))
    }
}

#[cfg(test)]
mod tests;
