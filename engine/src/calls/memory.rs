//! What emitted code and the engine share of a thread's calls: its frames, its nodes, and the table that leads to them.
//!
//! # Safety
//! `unsafe` here reads and writes the memory behind a thread's context, at the distances that [`translate::frames`] gives: all of it
//! is mapped (`threads::create`), zero is valid for all of its types, and only the thread itself uses it, in emitted code or here, or whoever
//! has stopped it. Places are taken modulo what there is, so that none lies outside.
#![allow(unsafe_code, reason = "memory that emitted code changes")]

use crate::space::HUGE_PAGE;
use crate::sys;
use translate::frames::{
    self, FRAME_BYTES, FRAMES, Frame, MOST_FRAMES, MOST_NODES, NODE_BYTES, NODES, Node, OTHER_SPENT, TABLE,
    TABLE_ENTRIES,
};

/// From so many nodes on a tree is large: it is walked all over, and small pages would cost as much as the rest. A thread that does less
/// is to cost no more memory than it uses.
pub(super) const LARGE: u32 = 4096;

/// A thread's.
#[derive(Debug)]
pub struct Memory {
    /// Address of the thread's context.
    context: u64,
    #[cfg(test)]
    _own: alloc::vec::Vec<u64>,
}

impl Memory {
    /// Of a thread whose context is at this address.
    pub fn of(context: u64) -> Memory {
        Memory {
            context,
            #[cfg(test)]
            _own: alloc::vec::Vec::new(),
        }
    }

    /// Of no thread.
    #[cfg(test)]
    pub fn own() -> Memory {
        use translate::layout::CALLS;
        let own = alloc::vec![0u64; (frames::BEHIND - CALLS) as usize / 8 + 16];
        let start = (own.as_ptr() as u64).next_multiple_of(align_of::<Node>() as u64);
        Memory { context: start - u64::from(CALLS), _own: own }
    }

    fn at<T>(&self, distance: u32) -> *mut T {
        (self.context + u64::from(distance)) as *mut T
    }

    /// A node, by its number.
    #[inline]
    pub fn node(&mut self, number: u32) -> &mut Node {
        let node = self.at(NODES + NODE_BYTES * (number % MOST_NODES));
        // SAFETY: see the head of this file.
        unsafe { &mut *node }
    }

    /// A frame, by its distance from the outermost.
    #[inline]
    pub fn frame(&mut self, depth: u32) -> &mut Frame {
        let frame = self.at(FRAMES + FRAME_BYTES * (depth % MOST_FRAMES));
        // SAFETY: see the head of this file.
        unsafe { &mut *frame }
    }

    /// The entry of the table where a node belongs.
    #[inline]
    pub fn entry(&mut self, (parent, site, function): (u32, u64, u32)) -> &mut u32 {
        let entry = frames::table_entry(NODE_BYTES * parent, site, function) % TABLE_ENTRIES;
        let entry = self.at(TABLE + 4 * entry);
        // SAFETY: see the head of this file.
        unsafe { &mut *entry }
    }

    /// Which frame is the innermost.
    #[inline]
    pub fn top(&self) -> u32 {
        // SAFETY: see the head of this file.
        let top = unsafe { *self.at::<u64>(frames::TOP) };
        ((top - self.context - u64::from(FRAMES)) / u64::from(FRAME_BYTES)) as u32
    }

    /// Makes a frame the innermost.
    #[inline]
    pub fn set_top(&mut self, depth: u32) {
        let top = self.at::<Frame>(FRAMES + FRAME_BYTES * (depth % MOST_FRAMES)) as u64;
        // SAFETY: see the head of this file.
        unsafe { *self.at(frames::TOP) = top };
        self.settle();
    }

    /// What is spent from here on is the innermost frame's.
    pub fn settle(&mut self) {
        let top = self.top();
        let side = if self.side() == 0 { 0 } else { OTHER_SPENT };
        let current = self.frame(top).target + side;
        // SAFETY: see the head of this file.
        unsafe {
            *self.at(frames::SPENT_SIDE) = u64::from(side);
            *self.at(frames::CURRENT) = u64::from(current);
        }
    }

    /// Up to which depth emitted code pushes frames.
    pub fn set_end(&mut self, depth: u32) {
        let end = if depth == 0 { 0 } else { self.at::<Frame>(FRAMES + FRAME_BYTES * depth) as u64 };
        // SAFETY: see the head of this file.
        unsafe { *self.at(frames::END) = end };
    }

    /// On which side what begins is counted.
    pub fn side(&self) -> u32 {
        // SAFETY: see the head of this file.
        unsafe { *self.at::<u64>(frames::SIDE) as u32 }
    }

    /// The same from here on.
    pub fn set_side(&mut self, side: u32) {
        // SAFETY: see the head of this file.
        unsafe { *self.at(frames::SIDE) = u64::from(side) };
        self.settle();
    }

    /// For a tree that has become [`LARGE`].
    pub fn use_huge_pages(&mut self) {
        let at = |distance: u32| self.context + u64::from(distance);
        // In front of the table are the highest frames, which hardly anybody reaches.
        let start = at(TABLE) / HUGE_PAGE * HUGE_PAGE;
        let used = at(NODES + NODE_BYTES * LARGE).next_multiple_of(HUGE_PAGE);
        sys::prefer_huge_pages(start, at(frames::BEHIND) / HUGE_PAGE * HUGE_PAGE - start);
        sys::collapse_to_huge_pages(start, used - start);
    }

    /// No entry of the table leads to a node.
    pub fn clear_table(&mut self) {
        // SAFETY: see the head of this file.
        unsafe { core::ptr::write_bytes(self.at::<u32>(TABLE), 0, TABLE_ENTRIES as usize) };
    }
}
