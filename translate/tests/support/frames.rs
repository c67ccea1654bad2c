//! What follows calls in a run: the memory that emitted code uses for it, and what the engine does when it is asked, in its simplest
//! form.

use super::puppet::Region;
use std::collections::HashMap;
use std::mem::offset_of;
use translate::frames::{self, FRAME_BYTES, FRAMES, Frame, JUMP, NODE_BYTES, NODES, Node};

/// Of one run; the memory's first address is the context's.
#[derive(Default)]
pub struct Followed {
    /// Places of nodes by parent's place, site and function.
    nodes: HashMap<(u32, u64, u32), u32>,
}

/// The innermost frame, and what its node has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Innermost {
    pub depth: u64,
    pub frame: Frame,
    pub counted: (u64, u64),
}

fn at(memory: &Region, distance: u32) -> u64 {
    memory.base + u64::from(distance)
}

fn word(memory: &Region, distance: u32) -> u32 {
    u32::from_le_bytes(memory.bytes(at(memory, distance), 4).try_into().unwrap())
}

pub fn frame(memory: &Region, depth: u64) -> Frame {
    let start = at(memory, FRAMES) + depth * u64::from(FRAME_BYTES);
    let ids = memory.u64(start + 8);
    Frame {
        sp: memory.u64(start),
        entry: ids as u32,
        target: (ids >> 32) as u32,
        clock: memory.u64(start + 16),
        site: memory.u64(start + 24),
    }
}

pub fn depth(memory: &Region) -> u64 {
    (memory.u64(at(memory, frames::TOP)) - at(memory, FRAMES)) / u64::from(FRAME_BYTES)
}

fn set_depth(memory: &mut Region, depth: u64) {
    let top = at(memory, FRAMES) + depth * u64::from(FRAME_BYTES);
    memory.set_u64(at(memory, frames::TOP), top);
}

/// Cost and calls of the node that counts a frame.
pub fn counted(memory: &Region, entry: u32) -> (u64, u64) {
    let field = |offset: usize| memory.u64(at(memory, NODES + entry + offset as u32));
    (field(offset_of!(Node, costs)), field(offset_of!(Node, calls)))
}

/// Parent's place and function of that node.
pub fn node(memory: &Region, entry: u32) -> (u32, u32) {
    let field = |offset: usize| word(memory, NODES + entry / NODE_BYTES * NODE_BYTES + offset as u32);
    (field(offset_of!(Node, parent)), field(offset_of!(Node, function)))
}

/// The innermost frame, without what emitted code has counted of it that it was about to leave (see `Fix::left`).
pub fn innermost(memory: &Region, left: Option<bool>, clock: u64) -> Innermost {
    let depth = depth(memory);
    let frame = frame(memory, depth);
    let (mut cost, mut calls) = counted(memory, frame.entry);
    if let Some(left) = left {
        cost -= clock - frame.clock;
        calls -= u64::from(left);
    }
    Innermost { depth, frame, counted: (cost, calls) }
}

impl Followed {
    /// A run begins.
    pub fn begin(&mut self, memory: &mut Region) {
        let bytes = (self.nodes.len() + 1) * NODE_BYTES as usize;
        memory.bytes_mut(at(memory, NODES), bytes).fill(0);
        memory.bytes_mut(at(memory, frames::TABLE), 4 * frames::TABLE_ENTRIES as usize).fill(0);
        self.nodes.clear();
        let function = at(memory, NODES + offset_of!(Node, function) as u32);
        memory.write(function, &u32::MAX.to_le_bytes());
        self.put(memory, 0, Frame { sp: u64::MAX, ..Frame::default() });
        let end = at(memory, FRAMES + 1000 * FRAME_BYTES);
        memory.set_u64(at(memory, frames::END), end);
        memory.set_u64(at(memory, frames::SIDE), 0);
    }

    fn put(&self, memory: &mut Region, depth: u64, frame: Frame) {
        let start = at(memory, FRAMES) + depth * u64::from(FRAME_BYTES);
        let ids = u64::from(frame.entry) | u64::from(frame.target) << 32;
        for (word, value) in (0..).zip([frame.sp, ids, frame.clock, frame.site]) {
            memory.set_u64(start + 8 * word, value);
        }
        set_depth(memory, depth);
    }

    /// Emitted code has asked about `what`.
    pub fn asked(&mut self, memory: &mut Region, what: u32, (sp, site): (u64, u64), clock: u64) {
        match what {
            frames::RETURNS => self.pop(memory, clock, |frame| frame.sp <= sp),
            frames::LEAVES => self.pop(memory, clock, |frame| frame.sp <= sp.wrapping_sub(8)),
            function => self.enter(memory, function, (sp, site), clock),
        }
    }

    fn enter(&mut self, memory: &mut Region, function: u32, (sp, site): (u64, u64), clock: u64) {
        self.pop(memory, clock, |frame| frame.sp < sp);
        let top = frame(memory, depth(memory));
        let mut key = site;
        if top.sp == sp && top.site == site {
            let mut from = depth(memory);
            while frame(memory, from).sp == sp {
                if node(memory, frame(memory, from).entry).1 == function {
                    while depth(memory) > from {
                        self.pop_one(memory, clock);
                    }
                    return;
                }
                from -= 1;
            }
            key = JUMP;
        } else {
            self.pop(memory, clock, |frame| frame.sp == sp);
        }
        let parent = frame(memory, depth(memory)).target;
        let next = NODE_BYTES * (self.nodes.len() as u32 + 1);
        let place = *self.nodes.entry((parent, key, function)).or_insert(next);
        let field = |offset: usize| NODES + place + offset as u32;
        memory.set_u64(at(memory, field(offset_of!(Node, site))), key);
        let ids = u64::from(parent) | u64::from(function) << 32;
        memory.set_u64(at(memory, field(offset_of!(Node, parent))), ids);
        // Every context is one of its own here, so no two go on at one node.
        memory.write(at(memory, field(offset_of!(Node, target))), &place.to_le_bytes());
        let entry = at(memory, frames::TABLE + 4 * frames::table_entry(parent, key, function));
        memory.write(entry, &place.to_le_bytes());
        let depth = depth(memory) + 1;
        self.put(memory, depth, Frame { sp, entry: place, target: place, clock, site });
    }

    fn pop(&self, memory: &mut Region, clock: u64, is_over: impl Fn(&Frame) -> bool) {
        while depth(memory) > 0 && is_over(&frame(memory, depth(memory))) {
            self.pop_one(memory, clock);
        }
    }

    fn pop_one(&self, memory: &mut Region, clock: u64) {
        let depth = depth(memory);
        let Frame { entry, clock: begun, .. } = frame(memory, depth);
        let (cost, calls) = counted(memory, entry);
        let field = |offset: usize| NODES + entry + offset as u32;
        memory.set_u64(at(memory, field(offset_of!(Node, costs))), cost + clock - begun);
        memory.set_u64(at(memory, field(offset_of!(Node, calls))), calls + 1);
        set_depth(memory, depth - 1);
    }
}

/// What the innermost frame has become by one step of the processor, at this clock and stack pointer, where `site` lies.
pub fn step(
    memory: &Region,
    (before, now): (&Innermost, &Innermost),
    clock: u64,
    (sp, site): (u64, Option<u64>),
) -> Result<(), String> {
    let expected = match now.depth.wrapping_sub(before.depth) as i64 {
        0 => now == before,
        1 => {
            let parent = node(memory, now.frame.entry).0;
            let Frame { sp: place, site: from, clock: begun, .. } = now.frame;
            (place, Some(from), begun, parent) == (sp, site, clock, before.frame.target)
        }
        -1 => {
            let (cost, calls) = before.counted;
            counted(memory, before.frame.entry) == (cost + clock - before.frame.clock, calls + 1)
        }
        _ => false,
    };
    if expected {
        return Ok(());
    }
    Err(format!("innermost frame {before:x?}\nbecame {now:x?}\nat clock {clock}, stack pointer {sp:#x}"))
}
