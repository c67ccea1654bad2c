//! The events of the models, sets of them, and how often each occurred.
//!
//! What always holds: names and order are Callgrind's.

use core::ops::{AddAssign, BitOr, Index, IndexMut};

macro_rules! events {
    ($($event:ident $text:literal,)*) => {
        /// What can be counted at an instruction.
        ///
        /// All but the last four occur at most once for each fetch or access.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Event {
            $(#[doc = $text] $event,)*
        }

        impl Event {
            /// All of them, in the order in which Callgrind writes them.
            pub const ALL: &[Event] = &[$(Event::$event,)*];

            /// The name in files and options.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Event::$event => stringify!($event),)*
                }
            }
        }
    };
}

events! {
    Ir "Instruction executed; each round of a `rep`, and its last look at the count, are one.",
    Dr "Data read.",
    Dw "Data written.",
    I1mr "Miss of the first-level instruction cache.",
    D1mr "Read that misses the first-level data cache.",
    D1mw "Write that misses the first-level data cache.",
    ILmr "Instruction that misses the last level.",
    DLmr "Read that misses the last level.",
    DLmw "Write that misses the last level.",
    ILdmr "Instruction whose miss of the last level replaces a dirty line (write-back).",
    DLdmr "Read whose miss of the last level replaces a dirty line (write-back).",
    DLdmw "Write whose miss of the last level replaces a dirty line (write-back).",
    Bc "Conditional branch executed.",
    Bcm "Conditional branch mispredicted.",
    Bi "Indirect branch executed.",
    Bim "Indirect branch mispredicted.",
    AcCost1 "Misses of the first level for each access, in thousandths (`--cacheuse`).",
    SpLoss1 "Bytes of lines of the first level that were not used (`--cacheuse`).",
    AcCost2 "Misses of the last level for each access, in thousandths (`--cacheuse`).",
    SpLoss2 "Bytes of lines of the last level that were not used (`--cacheuse`).",
}

/// A set of events, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events(u32);

impl Events {
    /// No event.
    pub const NONE: Events = Events(0);

    /// The set of these events.
    pub const fn of(events: &[Event]) -> Events {
        let mut bits = 0;
        let mut at = 0;
        while at < events.len() {
            bits |= 1 << events[at] as u8;
            at += 1;
        }
        Events(bits)
    }

    /// Whether `event` is one of them.
    pub const fn contains(self, event: Event) -> bool {
        self.0 >> event as u8 & 1 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of them that are not in `other`.
    pub const fn without(self, other: Events) -> Events {
        Events(self.0 & !other.0)
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

/// How often each event occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; Event::ALL.len()]);

impl Index<Event> for Counts {
    type Output = u64;

    fn index(&self, event: Event) -> &u64 {
        &self.0[event as usize]
    }
}

impl IndexMut<Event> for Counts {
    fn index_mut(&mut self, event: Event) -> &mut u64 {
        &mut self.0[event as usize]
    }
}

/// Counts each event of the set once.
impl AddAssign<Events> for Counts {
    fn add_assign(&mut self, events: Events) {
        let mut bits = events.0;
        while bits != 0 {
            self.0[bits.trailing_zeros() as usize] += 1;
            bits &= bits - 1;
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

/// Where the events of a batch go that cannot be derived from how often its segments were executed.
pub trait Sink {
    /// `events` occurred at instruction number `instruction` of the segment that is being simulated.
    fn add(&mut self, instruction: usize, events: Events);
}

/// The events of all instructions together.
impl Sink for Counts {
    fn add(&mut self, _: usize, events: Events) {
        *self += events;
    }
}

/// The events of each instruction; one behind the end of the slice is left out.
impl Sink for [Counts] {
    fn add(&mut self, instruction: usize, events: Events) {
        if let Some(counts) = self.get_mut(instruction) {
            *counts += events;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_of_a_set_counts_once() {
        let mut counts = Counts::default();
        let set = Events::of(&[Event::Dr, Event::D1mr]) | Events::of(&[Event::Dr, Event::Bim]);
        counts += set;
        counts += set.without(Events::of(&[Event::Dr]));
        assert_eq!((counts[Event::Dr], counts[Event::D1mr], counts[Event::Bim]), (1, 2, 2));
        assert!(set.contains(Event::Bim) && !set.contains(Event::Bi) && Events::NONE.is_empty());
        let others = Event::ALL.iter().filter(|event| counts[**event] == 0).count();
        assert_eq!(others, Event::ALL.len() - 3);
    }

    #[test]
    fn names_are_those_of_callgrind() {
        let names: alloc::vec::Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
        let callgrind = "Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw ILdmr DLdmr DLdmw Bc Bcm Bi Bim AcCost1 SpLoss1 AcCost2 SpLoss2";
        assert_eq!(names.join(" "), callgrind);
    }

    #[test]
    fn an_instruction_behind_the_slice_is_left_out() {
        let mut counts = [Counts::default(); 2];
        counts[..].add(1, Events::of(&[Event::Ir]));
        counts[..].add(2, Events::of(&[Event::Ir]));
        assert_eq!(counts.map(|counts| counts[Event::Ir]), [0, 1]);
    }
}
