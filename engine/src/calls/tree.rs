//! The calling-context tree of a thread: which function was called from where, in which context, how often, and how many
//! instructions were executed in it.
//!
//! Emitted code does what is plain (`translate::frames`), in the same memory; what it does not is done here. What always holds:
//! - Every executed instruction counts for one node, that of the innermost function that is active.
//! - No function is its own ancestor: one that is called while it is active goes on at the node where it became so. The calls that
//!   lead there are counted by an entry of their own. So the tree is finite and no inclusive cost is above that of the program.
//! - A frame ends when the stack pointer is above the place of its return address, however it got there: by a return, by
//!   longjmp, by an exception. The frames of a signal's handler end with the handler.
//! - A node's cost is what was executed between its entries and its leaves. What it cost by itself follows: that of all nodes that
//!   go on there, less that of all that were called there.
//!
//! Not here: what functions and places are called (the recorder).

use super::memory::{LARGE, Memory};
use alloc::vec::Vec;
use core::ops::Range;
use translate::calls::{ENTER_WORDS, IS_ENTRY, LEAVE_WORDS};
use translate::frames::{self, Frame, JUMP, MOST_FRAMES, MOST_NODES, NODE_BYTES, Node, OTHER_SIDE};

/// A node as it is told, or calls that lead back to an active function's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
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
}

/// Of the first node, and of the nodes of handlers' interruptions.
const NO_FUNCTION: u32 = u32::MAX;

/// A signal's handler that is active.
#[derive(Debug, Clone)]
struct Handler {
    /// The innermost frame below it, and below the one that nothing ends.
    below: u32,
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
    memory: Memory,
    /// How many nodes there are.
    count: u32,
    /// Numbers of nodes by parent, function and site, above 32 bits of what these are spread to, which tell most of them apart without a look
    /// at the nodes; 0: none. Its length is a power of two.
    slots: Vec<u64>,
    handlers: Vec<Handler>,
}

impl Tree {
    /// A thread that has executed nothing, whose memory holds no table of another one's nodes.
    pub fn new(mut memory: Memory) -> Tree {
        *memory.node(0) = Node { function: NO_FUNCTION, ..Node::default() };
        // The outermost frame is no function, and nothing ends it.
        *memory.frame(0) = Frame { sp: u64::MAX, ..Frame::default() };
        memory.set_top(0);
        memory.set_side(0);
        let mut tree = Tree { memory, count: 1, slots: alloc::vec![0; 1024], handlers: Vec::new() };
        tree.guard();
        tree
    }

    /// How many nodes there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// What is spent is the innermost active function's, also where emitted code was interrupted before it could say so.
    pub fn settle(&mut self) {
        self.memory.settle();
    }

    /// The node of the innermost active function.
    pub fn current(&mut self) -> u32 {
        self.top().target / NODE_BYTES
    }

    /// The nodes, by number, with what was collected up to now, when the thread has executed so many instructions: parents come in front of
    /// children. The first one has no function.
    pub fn contexts(&mut self, clock: u64) -> Vec<Context> {
        let mut contexts: Vec<Context> = (0..self.count)
            .map(|number| {
                let node = self.memory.node(number);
                Context {
                    site: node.site,
                    function: node.function,
                    target: node.target / NODE_BYTES,
                    calls: node.calls[0],
                    cost: 0,
                    parent: node.parent / NODE_BYTES,
                }
            })
            .collect();
        let mut costs: Vec<u64> = (0..self.count).map(|number| self.memory.node(number).costs[0]).collect();
        for depth in 0..=self.memory.top() {
            let frame = *self.memory.frame(depth);
            if frame.entry.is_multiple_of(NODE_BYTES) {
                let number = (frame.entry / NODE_BYTES) as usize;
                costs[number] = costs[number].wrapping_add(clock.wrapping_sub(frame.clock));
                contexts[number].calls = contexts[number].calls.wrapping_add(1);
            }
        }
        for (number, cost) in costs.into_iter().enumerate() {
            let Context { target, parent, function, .. } = contexts[number];
            let of = |add: &mut u64, cost: u64| *add = add.wrapping_add(cost);
            of(&mut contexts[target as usize].cost, cost);
            if number > 0 {
                of(&mut contexts[parent as usize].cost, cost.wrapping_neg());
            }
            if function == NO_FUNCTION {
                contexts[number].calls = 0;
            }
        }
        contexts
    }

    /// Begins to count anew, where the thread stands.
    pub fn forget(&mut self, clock: u64) {
        for number in 0..self.count {
            let node = self.memory.node(number);
            (node.costs, node.calls) = ([0; 2], [0; 2]);
        }
        self.each_active(|node, frame, side| {
            frame.clock = clock;
            node.calls[side] = node.calls[side].wrapping_sub(1);
        });
    }

    /// Collects from here on, or no longer does.
    pub fn collect(&mut self, clock: u64, on: bool) {
        let side = if on { 0 } else { OTHER_SIDE };
        if side == self.memory.side() {
            return;
        }
        self.memory.set_side(side);
        self.each_active(|node, frame, before| {
            count(node, before, frame, clock);
            node.calls[1 - before] = node.calls[1 - before].wrapping_sub(1);
            frame.clock = clock;
            frame.entry = frame.entry / NODE_BYTES * NODE_BYTES + side;
        });
    }

    /// The node and the side of each active function, from the outermost on, with its frame.
    fn each_active(&mut self, mut what: impl FnMut(&mut Node, &mut Frame, usize)) {
        for depth in 0..=self.memory.top() {
            let mut frame = *self.memory.frame(depth);
            let (number, side) = entry_of(&frame);
            what(self.memory.node(number), &mut frame, side);
            *self.memory.frame(depth) = frame;
        }
    }

    /// Takes back what emitted code has counted of the innermost function, which it was about to leave: its cost, and perhaps that it was left.
    pub fn take_back(&mut self, clock: u64, left: bool) {
        let frame = *self.top();
        let (number, side) = entry_of(&frame);
        let node = self.memory.node(number);
        node.costs[side] = node.costs[side].wrapping_sub(clock.wrapping_sub(frame.clock));
        node.calls[side] = node.calls[side].wrapping_sub(u64::from(left));
    }

    /// Works through the events of a log.
    pub fn follow(&mut self, mut events: &[u64]) {
        while let [head, second, ..] = *events {
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

    /// A function has been entered, with this stack pointer, where `site` lies.
    pub fn enter(&mut self, function: u32, clock: u64, sp: u64, site: u64) {
        self.leave_handlers(sp, clock);
        if self.top().sp <= sp {
            self.pop(clock, |frame| frame.sp < sp);
            if self.top().sp == sp && self.is_jump(function, clock, sp, site) {
                return;
            }
        }
        self.push(
            if site <= JUMP { 0 } else { site },
            function,
            Frame { sp, site, clock, ..Frame::default() },
        );
    }

    /// A function is entered with the stack pointer of the innermost one. True when that was a jump from it; otherwise it has been
    /// left by other than a return, and its caller has called again.
    fn is_jump(&mut self, function: u32, clock: u64, sp: u64, site: u64) -> bool {
        if self.top().site != site {
            self.pop(clock, |frame| frame.sp == sp);
            return false;
        }
        let mut depth = self.memory.top();
        while self.memory.frame(depth).sp == sp {
            let (number, _) = entry_of(self.memory.frame(depth));
            if self.memory.node(number).function == function {
                // Back to one that is still there.
                self.truncate(depth, clock);
                return true;
            }
            depth -= 1;
        }
        self.push(JUMP, function, Frame { sp, site, clock, ..Frame::default() });
        true
    }

    /// The stack has been left up to this place.
    pub fn leave(&mut self, sp: u64, clock: u64) {
        self.leave_handlers(sp, clock);
        self.pop(clock, |frame| frame.sp <= sp);
    }

    /// A signal's handler is entered, at `sp`, on another stack if one is given.
    pub fn handle(&mut self, function: u32, clock: u64, sp: u64, site: u64, stack: Option<Range<u64>>) {
        let below = self.memory.top();
        if below + 4 > MOST_FRAMES {
            return;
        }
        self.handlers.push(Handler { below, sp, stack });
        // What it costs is not the interrupted function's.
        let interrupted = Frame { sp: u64::MAX, clock, ..Frame::default() };
        self.push(0, NO_FUNCTION, interrupted);
        self.push(0, function, Frame { sp, site, clock, ..Frame::default() });
        self.guard();
    }

    /// A handler has returned.
    pub fn handled(&mut self, clock: u64) {
        if let Some(handler) = self.handlers.pop() {
            self.truncate(handler.below, clock);
            self.guard();
        }
    }

    fn leave_handlers(&mut self, sp: u64, clock: u64) {
        while let Some(handler) = self.handlers.last()
            && handler.is_left(sp)
        {
            self.handled(clock);
        }
    }

    /// Emitted code asks at each entry while a handler is active, and where there is no room.
    fn guard(&mut self) {
        self.memory.set_end(if self.handlers.is_empty() { MOST_FRAMES - 2 } else { 0 });
    }

    fn top(&mut self) -> &mut Frame {
        let top = self.memory.top();
        self.memory.frame(top)
    }

    /// Ends the frames above one.
    fn truncate(&mut self, depth: u32, clock: u64) {
        while self.memory.top() > depth {
            self.pop_one(clock);
        }
    }

    /// Ends the innermost frames of which that is true.
    fn pop(&mut self, clock: u64, is_over: impl Fn(&Frame) -> bool) {
        while self.memory.top() > 0 && is_over(self.top()) {
            self.pop_one(clock);
        }
    }

    fn pop_one(&mut self, clock: u64) {
        let frame = *self.top();
        let (number, side) = entry_of(&frame);
        count(self.memory.node(number), side, &frame, clock);
        let top = self.memory.top();
        self.memory.set_top(top - 1);
    }

    /// A function begins whose frame that is, but for its nodes. Where there is no room for more of them, what it costs is its caller's.
    fn push(&mut self, site: u64, function: u32, frame: Frame) {
        let parent = self.current();
        let top = self.memory.top();
        if top + 2 > MOST_FRAMES {
            return;
        }
        let Some(number) = self.look_up(parent, site, function) else { return };
        let (target, side) = (self.memory.node(number).target, self.memory.side());
        *self.memory.frame(top + 1) = Frame { entry: NODE_BYTES * number + side, target, ..frame };
        self.memory.set_top(top + 1);
    }

    /// The number of a node, which is made if it is not there.
    fn look_up(&mut self, parent: u32, site: u64, function: u32) -> Option<u32> {
        let key = (parent, site, function);
        let (mut slot, tag) = self.slot(key);
        if self.slots[slot] == 0 {
            if self.count == MOST_NODES {
                return None;
            }
            slot = self.add(key, slot, tag);
        }
        let number = (self.slots[slot] >> 32) as u32;
        let goes_on_elsewhere = self.memory.node(number).target != NODE_BYTES * number;
        if function != NO_FUNCTION && !(site == JUMP && goes_on_elsewhere) {
            *self.memory.entry((parent, site, function)) = NODE_BYTES * number;
            self.memory.node(parent).children[frames::child(site, function)] = NODE_BYTES * number;
        }
        Some(number)
    }

    /// The slot that holds the number of a node, or where it belongs, and what it is marked with.
    fn slot(&mut self, (parent, site, function): (u32, u64, u32)) -> (usize, u32) {
        const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
        let mask = self.slots.len() - 1;
        let context = (u64::from(function) << 32 | u64::from(parent)).wrapping_mul(SPREAD[0]);
        let hash = (site ^ context ^ context >> 32).wrapping_mul(SPREAD[1]);
        let (mut slot, tag) = ((hash >> 32) as usize & mask, hash as u32);
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                return (slot, tag);
            }
            if entry as u32 == tag {
                let node = self.memory.node((entry >> 32) as u32);
                if (node.parent / NODE_BYTES, node.site, node.function) == (parent, site, function) {
                    return (slot, tag);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn add(&mut self, (parent, site, function): (u32, u64, u32), mut slot: usize, tag: u32) -> usize {
        let number = self.count;
        let mut ancestor = parent;
        while ancestor != 0 && self.memory.node(ancestor).function != function {
            ancestor = self.memory.node(ancestor).parent / NODE_BYTES;
        }
        let target = if ancestor == 0 && function != NO_FUNCTION { number } else { ancestor };
        let (parent, target) = (NODE_BYTES * parent, NODE_BYTES * target);
        *self.memory.node(number) = Node { site, parent, function, target, ..Node::default() };
        self.count += 1;
        if self.count == LARGE {
            self.memory.use_huge_pages();
        }
        if 2 * self.count as usize > self.slots.len() {
            self.slots = alloc::vec![0; 4 * self.slots.len()];
            for number in 1..self.count {
                let Node { parent, site, function, .. } = *self.memory.node(number);
                let (slot, tag) = self.slot((parent / NODE_BYTES, site, function));
                self.slots[slot] = u64::from(number) << 32 | u64::from(tag);
            }
            slot = self.slot((parent, site, function)).0;
        }
        self.slots[slot] = u64::from(number) << 32 | u64::from(tag);
        slot
    }
}

/// The number of the node that counts a frame, and the side of what it counts.
fn entry_of(frame: &Frame) -> (u32, usize) {
    (frame.entry / NODE_BYTES, side_of(frame.entry % NODE_BYTES))
}

fn side_of(side: u32) -> usize {
    usize::from(side != 0)
}

/// A frame ends, or is no longer counted on that side.
fn count(node: &mut Node, side: usize, frame: &Frame, clock: u64) {
    node.costs[side] = node.costs[side].wrapping_add(clock.wrapping_sub(frame.clock));
    node.calls[side] = node.calls[side].wrapping_add(1);
}

#[cfg(test)]
mod tests;
