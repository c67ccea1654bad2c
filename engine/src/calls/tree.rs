//! The calling-context tree of a thread: which function was called from where, in which context, how often, and how many
//! instructions were executed in it.
//!
//! What always holds:
//! - Every executed instruction counts for one node, that of the innermost function that is active.
//! - No function is its own ancestor: one that is called while it is active goes on at the node where it became so. The calls that
//!   lead there are counted by an entry of their own. So the tree is finite and no inclusive cost is above that of the program.
//! - A frame ends when the stack pointer is above the place of its return address, however it got there: by a return, by
//!   longjmp, by an exception. The frames of a signal's handler end with the handler.
//!
//! Not here: how the events are told (`translate::calls`), and what functions and places are called (the recorder).

use alloc::vec::Vec;
use core::ops::Range;
use translate::calls::{ENTER_WORDS, IS_ENTRY, LEAVE_WORDS};

/// A node, or calls that lead back to an active function's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Return address of the call; [`JUMP`], or 0 when it is not known.
    pub site: u64,
    /// The function's number.
    pub function: u32,
    /// The node where it goes on: its own number, or that of the ancestor of the same function.
    pub target: u32,
    /// How often it was called there.
    pub calls: u64,
    /// Instructions executed in the function itself.
    pub cost: u64,
    /// The caller's; a node's number is above it. Of the first node 0: what is executed outside of all known functions.
    pub parent: u32,
    /// What it called last; 0: nothing.
    last: u32,
    /// What its caller called next, after it, when it did so last; 0: nothing. Most functions call the same again in the same order.
    next: u32,
    /// The `next` of `last`: what it calls now, probably.
    guess: u32,
}

impl Node {
    fn new(parent: u32, site: u64, function: u32, target: u32) -> Node {
        Node { site, function, target, calls: 0, cost: 0, parent, last: 0, next: 0, guess: 0 }
    }
}

/// Place of a call that is none: the function was jumped to, and returns to its caller's caller.
pub const JUMP: u64 = 1;
/// Of the first node.
const NO_FUNCTION: u32 = u32::MAX;
/// Nodes of one thread at most: behind that, contexts are no longer told apart.
const MOST_NODES: usize = 4 << 20;

/// A function that is active.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where its return address lies.
    sp: u64,
    /// What lay there.
    site: u64,
    node: u32,
    function: u32,
}

impl Frame {
    /// Below all functions, of the thread or of a handler: nothing ends it.
    const BOTTOM: Frame = Frame { sp: u64::MAX, site: 0, node: 0, function: NO_FUNCTION };
}

/// A signal's handler that is active.
#[derive(Debug, Clone)]
struct Handler {
    /// Frames below it, and below the one that nothing ends.
    below: usize,
    /// The stack pointer at its entry.
    sp: u64,
    /// The alternate stack that it was switched to.
    stack: Option<Range<u64>>,
}

impl Handler {
    /// It has been left, when this is the stack pointer.
    fn is_left(&self, sp: u64) -> bool {
        match &self.stack {
            Some(stack) => !stack.contains(&sp),
            None => sp > self.sp,
        }
    }
}

/// One for each thread.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Numbers of nodes by parent, function and site; 0: none. Its length is a power of two.
    slots: Vec<u32>,
    /// The active functions. The first one, and the one below each handler, is no function.
    frames: Vec<Frame>,
    handlers: Vec<Handler>,
    /// Up to where instructions have been counted.
    clock: u64,
}

impl Tree {
    /// A thread that has executed nothing.
    pub fn new() -> Tree {
        let first = Node::new(0, 0, NO_FUNCTION, 0);
        Tree {
            nodes: alloc::vec![first],
            slots: alloc::vec![0; 1024],
            frames: alloc::vec![Frame::BOTTOM],
            handlers: Vec::new(),
            clock: 0,
        }
    }

    /// The nodes, by number: parents in front of children. The first one has no function.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of the innermost active function.
    pub fn current(&self) -> u32 {
        self.top().node
    }

    /// Begins to count anew, where the thread stands.
    pub fn forget(&mut self) {
        for node in &mut self.nodes {
            (node.calls, node.cost) = (0, 0);
        }
    }

    /// What has been executed up to now is the innermost function's.
    pub fn spend(&mut self, clock: u64) {
        let at = self.top().node;
        self.nodes[at as usize].cost += clock.wrapping_sub(self.clock);
        self.clock = clock;
    }

    /// Works through a log.
    pub fn follow(&mut self, mut events: &[u64]) {
        while let [head, second, ..] = *events {
            let known = if self.handlers.is_empty() { self.follow_plain(events) } else { 0 };
            events = &events[known..];
            if known > 0 {
                continue;
            }
            if let [_, clock, site, sp, ..] = *events
                && head & IS_ENTRY != 0
            {
                self.enter(!head as u32, clock, sp, site);
                events = &events[ENTER_WORDS..];
            } else if head & IS_ENTRY == 0 {
                self.leave(head, second);
                events = &events[LEAVE_WORDS..];
            } else {
                return;
            }
        }
    }

    /// Works through a log up to an event that is none of these: a call, with a stack pointer below that of the innermost function;
    /// a return. The words that it was. No handler is active. Nearly all events are such, so this is where the time goes: the
    /// innermost function is kept in registers.
    fn follow_plain(&mut self, events: &[u64]) -> usize {
        let Frame { mut sp, node: mut at, .. } = *self.top();
        let mut clock = self.clock;
        let mut done = 0;
        while let [head, time, ..] = events[done..] {
            if head & IS_ENTRY == 0 {
                self.nodes[at as usize].cost += time.wrapping_sub(clock);
                clock = time;
                while sp <= head {
                    self.frames.pop();
                    Frame { sp, node: at, .. } = *self.top();
                }
                done += LEAVE_WORDS;
                continue;
            }
            let [_, _, site, place, ref next @ ..] = events[done..] else { break };
            if place >= sp || site <= JUMP {
                break;
            }
            let function = !head as u32;
            self.nodes[at as usize].cost += time.wrapping_sub(clock);
            clock = time;
            let node = self.called(at, site, function);
            done += ENTER_WORDS;
            if let [end, time, ..] = *next
                && end == place
            {
                // Half of all calls: the next event is the function's return.
                self.nodes[node as usize].cost += time.wrapping_sub(clock);
                clock = time;
                done += LEAVE_WORDS;
                continue;
            }
            self.frames.push(Frame { sp: place, site, node, function });
            (sp, at) = (place, node);
        }
        self.clock = clock;
        done
    }

    fn enter(&mut self, function: u32, clock: u64, sp: u64, site: u64) {
        self.spend(clock);
        self.leave_handlers(sp);
        if self.top().sp <= sp {
            self.pop(|frame| frame.sp < sp);
            if self.top().sp == sp && self.is_jump(function, sp, site) {
                return;
            }
        }
        self.push(if site <= JUMP { 0 } else { site }, Frame { sp, site, node: 0, function });
    }

    /// A function is entered with the stack pointer of the innermost one. True when that was a jump from it; otherwise it has been
    /// left by other than a return, and its caller has called again.
    fn is_jump(&mut self, function: u32, sp: u64, site: u64) -> bool {
        if self.top().site != site {
            self.pop(|frame| frame.sp == sp);
            return false;
        }
        let jumped = self.frames.iter().rev().take_while(|frame| frame.sp == sp);
        match jumped.clone().position(|frame| frame.function == function) {
            // Back to one that is still there.
            Some(above) => self.frames.truncate(self.frames.len() - above),
            None => self.push(JUMP, Frame { sp, site, node: 0, function }),
        }
        true
    }

    fn push(&mut self, site: u64, frame: Frame) {
        let node = self.called(self.top().node, site, frame.function);
        self.frames.push(Frame { node, ..frame });
    }

    fn leave(&mut self, sp: u64, clock: u64) {
        self.spend(clock);
        self.leave_handlers(sp);
        self.pop(|frame| frame.sp <= sp);
    }

    /// A signal's handler is entered, at `sp`, on another stack if one is given.
    pub fn handle(&mut self, function: u32, clock: u64, sp: u64, site: u64, stack: Option<Range<u64>>) {
        self.spend(clock);
        self.handlers.push(Handler { below: self.frames.len(), sp, stack });
        self.frames.push(Frame::BOTTOM);
        self.push(0, Frame { sp, site, node: 0, function });
    }

    /// A handler has returned.
    pub fn handled(&mut self, clock: u64) {
        self.spend(clock);
        if let Some(handler) = self.handlers.pop() {
            self.frames.truncate(handler.below);
        }
    }

    #[inline]
    fn top(&self) -> &Frame {
        self.frames.last().unwrap_or(&Frame::BOTTOM)
    }

    fn leave_handlers(&mut self, sp: u64) {
        while let Some(handler) = self.handlers.last()
            && handler.is_left(sp)
        {
            self.frames.truncate(handler.below);
            self.handlers.pop();
        }
    }

    /// Ends the innermost frames of which that is true.
    fn pop(&mut self, is_over: impl Fn(&Frame) -> bool) {
        while is_over(self.top()) {
            self.frames.pop();
        }
    }

    /// Counts a call; the node where the function goes on.
    #[inline]
    fn called(&mut self, parent: u32, site: u64, function: u32) -> u32 {
        let guess = self.nodes[parent as usize].guess;
        let known = &self.nodes[guess as usize];
        let is_it = (known.site, known.function, known.parent) == (site, function, parent);
        let number = if is_it { guess } else { self.look_up(parent, site, function) };
        let node = &mut self.nodes[number as usize];
        node.calls += 1;
        let (target, next) = (node.target, node.next);
        let caller = &mut self.nodes[parent as usize];
        (caller.last, caller.guess) = (number, next);
        target
    }

    /// The number of a node, which is made if it is not there.
    #[inline(never)]
    fn look_up(&mut self, parent: u32, site: u64, function: u32) -> u32 {
        let mut key = (parent, site, function);
        let mut slot = self.slot(key);
        if self.slots[slot] == 0 && self.nodes.len() >= MOST_NODES {
            // There are not many of these: one for each function.
            key = (0, 0, function);
            slot = self.slot(key);
        }
        if self.slots[slot] == 0 {
            slot = self.add(key, slot);
        }
        let number = self.slots[slot];
        let last = self.nodes[parent as usize].last;
        self.nodes[last as usize].next = number;
        number
    }

    /// The slot that holds the number of a node, or where it belongs.
    #[inline]
    fn slot(&self, (parent, site, function): (u32, u64, u32)) -> usize {
        const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
        let mask = self.slots.len() - 1;
        let context = (u64::from(function) << 32 | u64::from(parent)).wrapping_mul(SPREAD[0]);
        let hash = (site ^ context ^ context >> 32).wrapping_mul(SPREAD[1]);
        let mut slot = (hash >> 32) as usize & mask;
        loop {
            let number = self.slots[slot];
            let node = &self.nodes[number as usize];
            if number == 0 || (node.parent, node.site, node.function) == (parent, site, function) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn add(&mut self, (parent, site, function): (u32, u64, u32), mut slot: usize) -> usize {
        let number = self.nodes.len() as u32;
        let mut ancestor = parent;
        while ancestor != 0 && self.nodes[ancestor as usize].function != function {
            ancestor = self.nodes[ancestor as usize].parent;
        }
        let target = if ancestor == 0 { number } else { ancestor };
        self.nodes.push(Node {
            parent,
            function,
            site,
            calls: 0,
            cost: 0,
            target,
            last: 0,
            next: 0,
            guess: 0,
        });
        if 2 * self.nodes.len() > self.slots.len() {
            self.slots = alloc::vec![0; 4 * self.slots.len()];
            for number in 1..self.nodes.len() {
                let node = &self.nodes[number];
                let slot = self.slot((node.parent, node.site, node.function));
                self.slots[slot] = number as u32;
            }
            slot = self.slot((parent, site, function));
        }
        self.slots[slot] = number;
        slot
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

#[cfg(test)]
mod tests;
