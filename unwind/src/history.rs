//! The last stacks of a thread, so that the next one need only be walked to the first frame that it shares.
//!
//! A thread allocates in turn at a few places, so one stack is kept for each of some *lanes*, chosen by the innermost
//! return address and sp. A new stack is first compared as a whole with its lane's; when that differs, with the most
//! recent stack, frame by frame. What they share is then copied to the new stack's lane, unless it is long: then the
//! new stack takes the place of the most recent one.
//!
//! Why reuse is exact. A frame's [`State`] is its pc (with the exact flag), sp and bp. Its rule is a function
//! of the pc (within one generation of modules). A frame is *plain* when its rule says where the caller's pc,
//! sp and bp come from by sp, bp and the words at a few addresses computed from them ([`Check`]: address and
//! value). So: the same state and the same values at those addresses give the same rule, the same addresses
//! and the same caller's state; and by induction, when that holds for every frame from this one outward, the
//! same outer stack, up to its end. Registers other than sp and bp play no part because no plain rule reads
//! them. Neither does bp where no rule reads it from there outward before one restores it (`bp_matters`), nor
//! the word that it is restored from where it does not matter outside: most code uses bp as a general register.
//! We keep the outer run of plain frames of the last walk; a frame of the new walk whose state equals a
//! kept one is where we compare all words of the kept frames from there outward (independent loads, about a
//! nanosecond each) and stop walking when none differs. When one differs, the walk goes on, and the frames
//! outside the changed one remain candidates. Frames that are evaluated in full, guessed, or interrupted by a
//! signal are not plain, and what is inside of them is not kept.
//!
//! Two ends need care. A stack cut off by the limit has the same outer frames only when the cut falls at the
//! same frame. A stack that was lost depends on what could not be read, and is not kept.

use crate::frame::{End, Frame};
use crate::memory::Memory;
use crate::modules::Modules;
use crate::tree::{NewNode, StackTree};
use crate::unwinder::{BpUse, MAX_DEPTH, State, Visitor};
use alloc::{boxed::Box, vec, vec::Vec};
use core::ops::Range;

/// A word that a frame's rule reads, and its value.
#[derive(Debug, Clone, Copy, Default)]
struct Check {
    address: u64,
    value: u64,
}

/// A frame of the walk under way.
#[derive(Debug, Clone, Copy, Default)]
struct Fresh {
    state: State,
    slot: Option<u16>,
    opaque: bool,
    bp: BpUse,
    /// Its checks start here in `fresh_checks`, and end where those of the frame outside of it start.
    checks_start: u32,
}

/// A plain frame of the last walk.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    state: State,
    /// Its node in the stack tree.
    id: u32,
    /// The frames from this one outward depend on its bp.
    bp_matters: bool,
    /// Its checks end here in the lane's, and start where those of the frame *outside* of it end.
    checks_end: u32,
    /// End of the highest word that it or a frame outside of it reads.
    top: u64,
}

impl Kept {
    /// Whether the frames from here outward are those of a frame with this state, as far as registers tell.
    #[inline]
    fn is_met_by(&self, state: State) -> bool {
        self.state.key == state.key
            && self.state.sp == state.sp
            && (!self.bp_matters || self.state.bp == state.bp)
    }
}

/// Number of lanes.
const LANES: usize = 32;
/// Frames that are copied from one lane to another at most. Copying more costs as much as it saves.
const COPIED: usize = 16;

/// A stack that may be met again.
#[derive(Debug, Default)]
struct Lane {
    /// Outermost first, sp falls.
    kept: Vec<Kept>,
    checks: Vec<Check>,
    /// The stack was cut off by the limit.
    truncated: bool,
}

#[derive(Debug, Default)]
struct Lanes {
    all: [Lane; LANES],
    /// The lane of the last stack.
    recent: usize,
    /// The lane where the stack of the walk under way goes.
    new: usize,
    /// The lane whose frames it may meet.
    source: usize,
}

impl Lanes {
    fn source(&self) -> &Lane {
        &self.all[self.source % LANES]
    }

    /// The walk's lane with nothing but the source's `shared` outermost frames. It is the most recent one from now on.
    fn take_shared(&mut self, shared: usize) -> Option<&mut Lane> {
        if shared > COPIED {
            self.new = self.source;
        }
        self.recent = self.new;
        if self.source == self.new {
            let lane = self.all.get_mut(self.new)?;
            lane.kept.truncate(shared);
            let checks_end = lane.kept.last().map_or(0, |kept| kept.checks_end);
            lane.checks.truncate(checks_end as usize);
            return Some(lane);
        }
        let [lane, source] = self.all.get_disjoint_mut([self.new, self.source]).ok()?;
        let kept = source.kept.get(..shared).unwrap_or(&[]);
        let checks_end = kept.last().map_or(0, |kept| kept.checks_end);
        let checks = source.checks.get(..checks_end as usize).unwrap_or(&[]);
        lane.kept.clear();
        lane.kept.extend_from_slice(kept);
        lane.checks.clear();
        lane.checks.extend_from_slice(checks);
        lane.truncated = source.truncated;
        Some(lane)
    }
}

/// A list with room for `N` items, a power of two, allocated once.
#[derive(Debug)]
struct List<T, const N: usize> {
    items: Box<[T]>,
    len: usize,
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    const MASK: usize = {
        assert!(N.is_power_of_two());
        N - 1
    };

    fn new() -> Self {
        List { items: vec![T::default(); N].into_boxed_slice(), len: 0 }
    }

    /// Appends an item. There is room: a walk has at most `MAX_DEPTH` frames. (The mask never matters; it
    /// costs less than a check with a panic behind it.)
    #[inline]
    fn push(&mut self, item: T) {
        if let Some(room) = self.items.get_mut(self.len & Self::MASK) {
            *room = item;
            self.len += 1;
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }

    #[inline]
    fn last_mut(&mut self) -> Option<&mut T> {
        self.items.get_mut(self.len.wrapping_sub(1))
    }
}

/// Room for the checks of a stack: a plain frame has at most three.
const CHECKS: usize = 4 * MAX_DEPTH;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct History {
    lanes: Lanes,
    /// Innermost first.
    fresh: List<Fresh, MAX_DEPTH>,
    fresh_checks: List<Check, CHECKS>,
    limit: usize,
    /// The first of the source's frames up to this number may still be met by the walk under way.
    candidates: usize,
    /// The number of the source's frames that the new stack shares.
    shared: usize,
}

impl History {
    pub(crate) fn new() -> History {
        History {
            lanes: Lanes::default(),
            fresh: List::new(),
            fresh_checks: List::new(),
            limit: 0,
            candidates: 0,
            shared: 0,
        }
    }

    /// Forgets the last stacks.
    pub(crate) fn forget(&mut self) {
        for lane in &mut self.lanes.all {
            lane.kept.clear();
            lane.checks.clear();
        }
        self.candidates = 0;
    }

    /// Starts a walk of at most `limit` frames. `place` tells stacks apart that are unlikely to be the same.
    pub(crate) fn begin(&mut self, limit: usize, place: u64) {
        self.fresh.clear();
        self.fresh_checks.clear();
        self.limit = limit;
        self.lanes.new = (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % LANES;
        self.use_source(self.lanes.new);
        self.shared = 0;
    }

    /// Number of frames of the new stack that were walked.
    pub(crate) fn walked(&self) -> usize {
        self.fresh.len
    }

    /// Number of frames of the new stack that were not walked.
    pub(crate) fn shared(&self) -> usize {
        self.shared
    }

    /// Interns the stack that was walked, outermost frame first, and keeps it. Gives its id: when the tree is
    /// full, that of the part that is in it.
    pub(crate) fn finish(
        &mut self,
        end: End,
        modules: &Modules,
        tree: &StackTree,
        spare: &mut u32,
        mut emit: impl FnMut(NewNode),
    ) -> u32 {
        let Some(lane) = self.lanes.take_shared(self.shared) else { return 0 };
        let mut keeping = self.shared > 0 || end != End::Lost;
        if self.shared == 0 {
            lane.truncated = end == End::Limit;
        }
        let outer = lane.kept.last();
        let (mut parent, mut top, mut bp_matters) =
            outer.map_or((0, 0, false), |outer| (outer.id, outer.top, outer.bp_matters));
        let mut place = Place { slot: None, module: 0, bias: 0 };
        let mut end = self.fresh_checks.len;
        for &Fresh { state, slot, opaque, bp, checks_start } in self.fresh.as_slice().iter().rev() {
            if slot != place.slot {
                place = Place::new(modules, slot);
            }
            let (module, address) = (place.module, state.frame_in(place).node_address());
            let Some(node) = tree.intern(parent, module, address, spare) else { break };
            if node.is_new {
                emit(NewNode { id: node.id, parent, module, address });
            }
            parent = node.id;
            let mut checks = self.fresh_checks.items.get(checks_start as usize..end).unwrap_or(&[]);
            end = checks_start as usize;
            if bp.restores && !bp_matters {
                checks = checks.split_last().map_or(&[], |(_, others)| others);
            }
            bp_matters = bp.reads || bp_matters && !bp.restores;
            // The bounds of the stack may start at the sp of a later walk: a word below its frame cannot be
            // kept.
            keeping &= !opaque && checks.iter().all(|check| check.address >= state.sp);
            if keeping {
                for &check in checks {
                    top = top.max(check.address + 8);
                    lane.checks.push(check);
                }
                let checks_end = lane.checks.len() as u32;
                lane.kept.push(Kept { state, id: parent, bp_matters, checks_end, top });
            }
        }
        parent
    }

    fn use_source(&mut self, lane: usize) {
        self.lanes.source = lane;
        self.candidates = self.lanes.source().kept.len();
    }

    /// Compares the words that the source's first `count` frames depend on, innermost first. On a difference, gives
    /// the number of frames outside of the one that it belongs to.
    fn verify(&self, count: usize, memory: &impl Memory) -> Result<(), usize> {
        let lane = self.lanes.source();
        let kept = &lane.kept[..count];
        let checks_end = kept.last().map_or(0, |kept| kept.checks_end);
        let checks = &lane.checks[..checks_end as usize];
        let differs = |check: &Check| memory.word(check.address) != Some(check.value);
        match checks.iter().rposition(differs) {
            None => Ok(()),
            Some(at) => Err(kept.partition_point(|kept| kept.checks_end as usize <= at)),
        }
    }

    /// Whether the walk, which has come to `state`, meets a frame of the source and all outside of it is the same.
    #[inline]
    fn meets(&mut self, state: State, stack: &Range<u64>, memory: &impl Memory) -> bool {
        let lane = self.lanes.source();
        loop {
            let Some(kept) = self.candidates.checked_sub(1).and_then(|at| lane.kept.get(at)) else {
                return false;
            };
            if kept.state.sp >= state.sp {
                if !kept.is_met_by(state) || state.sp < stack.start || kept.top > stack.end {
                    return false;
                }
                break;
            }
            self.candidates -= 1;
        }
        let total = self.fresh.len + self.candidates;
        if total > self.limit || lane.truncated && total != self.limit {
            return false;
        }
        match self.verify(self.candidates, memory) {
            Ok(()) => {
                self.shared = self.candidates;
                true
            }
            Err(outside) => {
                self.candidates = outside;
                false
            }
        }
    }
}

impl Visitor for History {
    #[inline]
    fn is_known(&mut self, state: State, stack: &Range<u64>, memory: &impl Memory) -> bool {
        if self.meets(state, stack, memory) {
            return true;
        }
        if self.fresh.len > 0 || self.lanes.source == self.lanes.recent {
            return false;
        }
        // The stack is not its lane's as a whole: the most recent one shares more of it.
        self.use_source(self.lanes.recent);
        self.meets(state, stack, memory)
    }

    #[inline]
    fn frame(&mut self, state: State, slot: Option<u16>, _: &Modules) {
        let checks_start = self.fresh_checks.len as u32;
        self.fresh.push(Fresh { state, slot, opaque: false, bp: BpUse::default(), checks_start });
    }

    #[inline]
    fn depends_on(&mut self, address: u64, value: u64) {
        self.fresh_checks.push(Check { address, value });
    }

    #[inline]
    fn bp(&mut self, bp: BpUse) {
        if let Some(frame) = self.fresh.last_mut() {
            frame.bp = bp;
        }
    }

    fn opaque(&mut self) {
        if let Some(frame) = self.fresh.last_mut() {
            frame.opaque = true;
        }
    }

    fn restart(&mut self) {
        self.fresh.clear();
        self.fresh_checks.clear();
        self.shared = 0;
        // The full walk knows more registers than a state holds.
        self.candidates = 0;
    }
}

/// A module as frames name it.
#[derive(Debug, Clone, Copy)]
struct Place {
    slot: Option<u16>,
    module: u32,
    bias: u64,
}

impl Place {
    #[inline]
    fn new(modules: &Modules, slot: Option<u16>) -> Place {
        let info = slot.and_then(|slot| modules.slot(slot)).map(|loaded| &loaded.info);
        let (module, bias) = info.map_or((0, 0), |info| (info.id, info.bias));
        Place { slot, module, bias }
    }
}

impl State {
    /// This frame as it is shown.
    #[inline(always)]
    pub(crate) fn frame(&self, modules: &Modules, slot: Option<u16>) -> Frame {
        self.frame_in(Place::new(modules, slot))
    }

    #[inline(always)]
    fn frame_in(&self, Place { module, bias, .. }: Place) -> Frame {
        let address = self.pc();
        let svma = address.wrapping_sub(bias);
        Frame { address, module, svma, exact: self.is_exact(), guessed: self.is_guessed() }
    }
}
