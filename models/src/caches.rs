//! The three caches together: what serves a fetch, a read or a write, and which events that is.
//!
//! Rules of Callgrind (`sim.c`) and Cachegrind (`cg_sim.c`), which agree but for [`Modify`]:
//! - Virtual addresses. An access that misses the first level goes to the last level, with all of its lines.
//! - An access of two lines is one access; it misses if either line does, and both become the most recent.
//! - Writes allocate, and are otherwise like reads; no level is told when another replaces a line.
//! - An access is at most as long as the shortest line ([`Caches::access_max`]): of a longer one the beginning counts.
//! - Write-back: the first level writes through to the last one, also when it hits, without an event for that.
//! - Prefetching: misses of the first level are followed, with write-back all writes, before the last level is asked.
//!
//! Deviations, where Callgrind's code does not do what its comments say: with write-back, it takes addresses 4 GiB apart
//! for the same, finds low addresses (below the size of a way of the last level) present at the beginning, overlooks the
//! second line in a cache of one set, and with prefetching mixes two forms of tags.

use crate::detect::Shapes;
use crate::events::{Event, Events, Sink};
use crate::first::FirstLevel;
use crate::last::{LastLevel, Use};
use crate::prefetch::Prefetcher;
use crate::repeat::{Changes, Repeat};
use crate::segment::{Access, Segment, SegmentBuilder};
use core::fmt;

/// Bytes of the widest register that Valgrind knows (AVX): no line may be shorter.
pub const REGISTER_MAX: u32 = 32;

/// What a read and a write of the same operand by one instruction are counted as, together: one access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Modify {
    /// `Dw`, as in Callgrind.
    #[default]
    Write,
    /// `Dr`, as in Cachegrind.
    Read,
}

/// How the caches are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What a modification is counted as.
    pub modify: Modify,
    /// Whether the last level writes back: `--simulate-wb`, events `ILdmr`, `DLdmr` and `DLdmw`.
    pub write_back: bool,
    /// Whether streams are prefetched into the last level: `--simulate-hwpref`.
    pub prefetch: bool,
}

/// A cache has lines shorter than [`REGISTER_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooShort;

impl fmt::Display for LineTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lines of a cache must have at least {REGISTER_MAX} bytes, as the widest register has")
    }
}

impl core::error::Error for LineTooShort {}

/// Who served an access, the later the more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    First,
    Last,
    Memory,
    /// And the last level had to write a dirty line back.
    MemoryDirty,
}

/// The misses of an access of some kind.
const fn misses(served: Served, first: Event, last: Event, dirty: Event) -> Events {
    match served {
        Served::First => Events::NONE,
        Served::Last => Events::of(&[first]),
        Served::Memory => Events::of(&[first, last]),
        Served::MemoryDirty => Events::of(&[first, last, dirty]),
    }
}

fn of_fetch(served: Served) -> Events {
    misses(served, Event::I1mr, Event::ILmr, Event::ILdmr)
}

fn of_data(served: Served, written: bool) -> Events {
    if written {
        misses(served, Event::D1mw, Event::DLmw, Event::DLdmw)
    } else {
        misses(served, Event::D1mr, Event::DLmr, Event::DLdmr)
    }
}

/// I1, D1 and LL with their state. Allocates when it is made, at most 8 bytes for each line, and never later.
#[derive(Debug, Clone)]
pub struct Caches {
    i1: FirstLevel,
    d1: FirstLevel,
    ll: LastLevel,
    access_max: u32,
    modify: Modify,
    write_back: bool,
    prefetcher: Option<Prefetcher>,
}

impl Caches {
    /// Empty caches.
    ///
    /// # Errors
    ///
    /// If a register does not fit into a line.
    pub fn new(shapes: &Shapes, options: Options) -> Result<Caches, LineTooShort> {
        Ok(Caches {
            i1: FirstLevel::new(shapes.i1),
            d1: FirstLevel::new(shapes.d1),
            ll: LastLevel::new(shapes.ll),
            access_max: access_max(shapes)?,
            modify: options.modify,
            write_back: options.write_back,
            prefetcher: options.prefetch.then(Prefetcher::default),
        })
    }

    /// Forgets what the caches hold.
    pub fn clear(&mut self) {
        self.i1.clear();
        self.d1.clear();
        self.ll.clear();
        if let Some(prefetcher) = &mut self.prefetcher {
            *prefetcher = Prefetcher::default();
        }
    }

    /// Bytes of the longest access that counts in full.
    pub fn access_max(&self) -> u32 {
        self.access_max
    }

    /// Begins the prepared form of a run of instructions, which suits caches of the same shapes and options.
    pub fn segment(&self) -> SegmentBuilder {
        SegmentBuilder::new(self.i1.line_bits(), self.access_max, self.modify)
    }

    /// The events of one execution of an instruction of `length` bytes, without its accesses of data.
    pub fn fetch(&mut self, pc: u64, length: u32) -> Events {
        Events::of(&[Event::Ir]) | of_fetch(self.fetched(pc, self.span(length)))
    }

    /// The events of a read.
    pub fn read(&mut self, address: u64, size: u32) -> Events {
        Events::of(&[Event::Dr]) | of_data(self.accessed(address, self.span(size), false), false)
    }

    /// The events of a write.
    pub fn write(&mut self, address: u64, size: u32) -> Events {
        Events::of(&[Event::Dw]) | of_data(self.accessed(address, self.span(size), true), true)
    }

    /// The events of a read and a write of the same bytes by one instruction.
    pub fn modify(&mut self, address: u64, size: u32) -> Events {
        match self.modify {
            Modify::Write => self.write(address, size),
            Modify::Read => self.read(address, size),
        }
    }

    /// Simulates one execution of a segment and tells `sink` the misses; `Ir`, `Dr` and `Dw` follow from how often it was
    /// executed: [`Segment::add_executions`].
    ///
    /// `addresses` are those of the segment's accesses, in their order. Where there are fewer, the segment is simulated
    /// to the end of the instruction whose access is the first one without an address, without that access.
    #[inline]
    pub fn run<S: Sink + ?Sized>(&mut self, segment: &Segment, addresses: &[u64], sink: &mut S) {
        let count = segment.accesses.len().min(addresses.len());
        let (accesses, addresses) = (&segment.accesses[..count], &addresses[..count]);
        if count == segment.accesses.len() && self.has_lines(segment.first_line, segment.lines) {
            self.run_accesses(accesses, addresses, sink);
        } else {
            self.run_with_fetches(segment, accesses, addresses, sink);
        }
    }

    /// Simulates one execution of a segment as long as everything is where it was last: what most executions come to, without a look
    /// at the segment. `lines` are its [`Segment::lines`], `accesses` addresses and [`Segment::spans`] of its accesses in their
    /// order. `Ok` if that was all, and there is no event; else what is left is [`Caches::run_rest`]'s.
    ///
    /// # Errors
    /// How many accesses were simulated; `None` if it was not even fetched.
    #[inline(always)]
    pub fn run_hits(
        &mut self,
        (first, count): (u64, u32),
        mut accesses: impl Iterator<Item = (u64, u8)>,
    ) -> Result<(), Option<usize>> {
        if self.write_back || !self.has_lines(first, count) {
            return Err(None);
        }
        let mut hits = self.d1.hits();
        let missing = accesses.position(|(address, span)| !hits.access(address, span));
        let end = hits.end();
        self.d1.resume(end);
        missing.map_or(Ok(()), |missing| Err(Some(missing)))
    }

    /// What [`Caches::run_hits`] has left: `from` is its error, `addresses` are all of the segment's.
    pub fn run_rest<S: Sink + ?Sized>(
        &mut self,
        segment: &Segment,
        from: Option<usize>,
        addresses: &[u64],
        sink: &mut S,
    ) {
        match from {
            None => self.run(segment, addresses, sink),
            Some(from) => {
                let count = segment.accesses.len().min(addresses.len());
                let from = from.min(count);
                self.run_accesses(&segment.accesses[from..count], &addresses[from..count], sink);
            }
        }
    }

    /// Simulates a repeated string instruction, which is number `instruction` of its segment, and tells `sink` the misses; it is
    /// fetched as part of a segment, where it has no accesses.
    pub fn repeat<S: Sink + ?Sized>(&mut self, repeat: Repeat<'_>, instruction: usize, sink: &mut S) {
        repeat.accesses(self.changes(), |operand, address| {
            let served = self.accessed(address, self.span(operand.size), operand.written);
            if served != Served::First {
                sink.add(instruction, of_data(served, operand.written));
            }
        });
    }

    /// Which rounds of a repeated string instruction make a difference.
    pub fn changes(&self) -> Changes {
        // Written back, the last level is told of each write.
        if self.write_back { Changes::Each } else { Changes::Moves { ways: self.d1.ways() } }
    }

    /// Whether a row of lines is in I1, and where they are guessed to be; not if there are none. They are used in their
    /// order until one is not: the same uses directly afterwards make no difference.
    #[inline(always)]
    fn has_lines(&mut self, first: u64, count: u32) -> bool {
        let mut hits = self.i1.hits();
        let all = (0..u64::from(count)).all(|further| hits.line(first.wrapping_add(further)));
        let end = hits.end();
        self.i1.resume(end);
        all && count > 0
    }

    /// A segment whose fetches miss I1: each comes in between the accesses where it belongs.
    #[inline(never)]
    fn run_with_fetches<S: Sink + ?Sized>(
        &mut self,
        segment: &Segment,
        accesses: &[Access],
        addresses: &[u64],
        sink: &mut S,
    ) {
        let mut done = 0;
        for fetch in &segment.fetches {
            let before = fetch.accesses_before as usize;
            if before > accesses.len() {
                break;
            }
            self.run_accesses(&accesses[done..before], &addresses[done..before], sink);
            done = before;
            let served = self.fetched(fetch.pc, fetch.span);
            if served != Served::First {
                sink.add(fetch.instruction as usize, of_fetch(served));
            }
        }
        self.run_accesses(&accesses[done..], &addresses[done..], sink);
    }

    #[inline(always)]
    fn run_accesses<S: Sink + ?Sized>(&mut self, accesses: &[Access], addresses: &[u64], sink: &mut S) {
        if self.write_back {
            return self.run_written_back(accesses, addresses, sink);
        }
        let mut both = accesses.iter().zip(addresses);
        loop {
            let mut hits = self.d1.hits();
            let missing = both.find(|(access, address)| !hits.access(**address, access.span));
            let end = hits.end();
            self.d1.resume(end);
            let Some((access, address)) = missing else { return };
            self.run_access(access, *address, sink);
        }
    }

    /// A write-back cache has to know of all writes.
    #[inline(never)]
    fn run_written_back<S: Sink + ?Sized>(&mut self, accesses: &[Access], addresses: &[u64], sink: &mut S) {
        for (access, address) in accesses.iter().zip(addresses) {
            self.run_access(access, *address, sink);
        }
    }

    #[inline(never)]
    fn run_access<S: Sink + ?Sized>(&mut self, access: &Access, address: u64, sink: &mut S) {
        let served = self.accessed(address, access.span, access.written);
        if served != Served::First {
            sink.add(access.instruction as usize, of_data(served, access.written));
        }
    }

    /// What becomes of an access that has missed a first level, which is somebody else's: whether the last level misses, too. Not with
    /// write-back. `span`: see [`Segment::spans`].
    pub fn misses_last(&mut self, address: u64, span: u8) -> bool {
        self.last_level(address, span, false) != Served::Last
    }

    /// How far the last byte that counts lies behind the first one.
    fn span(&self, size: u32) -> u8 {
        span(size, self.access_max)
    }

    #[inline(always)]
    fn fetched(&mut self, pc: u64, span: u8) -> Served {
        if self.i1.uses(pc, span) { Served::First } else { self.last_level(pc, span, false) }
    }

    #[inline]
    fn accessed(&mut self, address: u64, span: u8, written: bool) -> Served {
        let first = self.d1.uses(address, span);
        let through = self.write_back && written;
        if first && !through {
            return Served::First;
        }
        let last = self.last_level(address, span, through);
        if first { Served::First } else { last }
    }

    /// A miss of the first level; `written` only for a write-back cache, without which no line is to be dirty.
    #[inline(never)]
    fn last_level(&mut self, address: u64, span: u8, written: bool) -> Served {
        if let Some(prefetcher) = &mut self.prefetcher
            && let Some(line) = prefetcher.follow(address, self.ll.line_bits())
        {
            self.ll.uses_line(line, false);
        }
        match self.ll.uses(address, span, written) {
            Use::Hit => Served::Last,
            Use::Miss => Served::Memory,
            Use::MissDirty => Served::MemoryDirty,
        }
    }
}

/// Bytes of the longest access that counts in full: the shortest line.
pub(crate) fn access_max(shapes: &Shapes) -> Result<u32, LineTooShort> {
    let shortest = shapes.i1.line().min(shapes.d1.line()).min(shapes.ll.line());
    if shortest < REGISTER_MAX { Err(LineTooShort) } else { Ok(shortest) }
}

/// How far the last byte of an access that counts lies behind its first one.
pub(crate) fn span(size: u32, access_max: u32) -> u8 {
    u8::try_from(size.clamp(1, access_max) - 1).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
