//! Logs made small, as a trace keeps them, and back.
//!
//! A thread's records are told by two lists of numbers: which run each is of, in the order of what was expected there, and the words of
//! the records less what was expected of them. Programs repeat themselves, so nearly all numbers are 0, and what compresses bytes
//! does the rest. What is expected follows from what the same thread did before, so the logs of a thread are packed by one packer and
//! unpacked by one unpacker, in their order. `trace.capnp` describes the numbers.
//!
//! What always holds: what a packer has made gives the same words back; numbers that make no sense end a log, and nothing panics. A
//! number takes no more memory than its own run's words. Not here: how the numbers are stored (`schema`).

use alloc::vec::Vec;
use translate::accesses::{Head, goes_on, partly, whole};

/// Heads: a whole record of the run that is expected, and of the other one.
const EXPECTED: u64 = 0;
const OTHER: u64 = 1;
/// The thread goes on elsewhere.
const GOES_ON: u64 = 2;
/// A record of a part of a run.
const PARTLY: u64 = 3;
/// And from here on of a run by its number.
const FIRST: u64 = 4;

/// A thread's log, packed: see the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// One for each record.
    pub heads: Vec<u64>,
    /// Of all records.
    pub words: Vec<u64>,
}

/// No run.
const NONE: u32 = u32::MAX;

/// What is known of a run in one thread.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The runs behind it: the last one, and the one before that.
    next: [u32; 2],
    /// Where its words begin in [`Expected::words`]; [`NONE`] as long as it has none.
    words: u32,
}

/// What is expected of a word.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    last: u64,
    /// How the last record's differed from the one before it.
    difference: u64,
    step: u64,
}

/// What is expected of a thread.
#[derive(Debug, Clone)]
struct Expected {
    runs: Vec<Known>,
    words: Vec<Word>,
    /// The run of the last record.
    at: u32,
}

impl Default for Expected {
    fn default() -> Expected {
        Expected { runs: Vec::new(), words: Vec::new(), at: NONE }
    }
}

impl Expected {
    /// What was behind the last record's run; [`NONE`] where nothing was.
    fn next(&self) -> [u32; 2] {
        self.runs.get(self.at as usize).map_or([NONE; 2], |known| known.next)
    }

    /// A record of this run, which has so many words, comes next: where its words begin.
    fn record(&mut self, run: u32, words: u16) -> usize {
        let number = run as usize;
        if self.runs.len() <= number {
            self.runs.resize(number + 1, Known { next: [NONE; 2], words: NONE });
        }
        if let Some(known) = self.runs.get_mut(self.at as usize)
            && known.next[0] != run
        {
            known.next = [run, known.next[0]];
        }
        self.at = run;
        let known = &mut self.runs[number];
        if known.words == NONE {
            known.words = self.words.len() as u32;
            self.words.resize(self.words.len() + usize::from(words.saturating_sub(1)), Word::default());
        }
        known.words as usize
    }
}

impl Word {
    fn expected(&self) -> u64 {
        self.last.wrapping_add(self.step)
    }

    fn is(&mut self, value: u64) {
        let difference = value.wrapping_sub(self.last);
        if difference == self.difference {
            self.step = difference;
        }
        (self.last, self.difference) = (value, difference);
    }
}

const fn folded(difference: u64) -> u64 {
    difference << 1 ^ (difference as i64 >> 63) as u64
}

const fn unfolded(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// Packs the logs of one thread.
#[derive(Debug, Clone, Default)]
pub struct Packer(Expected);

impl Packer {
    /// Packs whole records of a log, of which `words` says the length by the run, and appends them. Returns how many words of the log
    /// that was: what is left over is no whole record, and none if something makes no sense.
    pub fn pack(
        &mut self,
        log: &[u64],
        words: impl Fn(u32) -> Option<u16>,
        out: &mut Packed,
    ) -> Option<usize> {
        let mut rest = log;
        while let Some((&head, behind)) = rest.split_first() {
            let (run, bytes) = match Head::of(head) {
                Head::Whole(run) => (run, None),
                Head::Partly(run, bytes) => (run, Some(bytes)),
                Head::GoesOn(pc) => {
                    out.heads.push(GOES_ON);
                    out.words.push(pc);
                    rest = behind;
                    continue;
                }
                Head::Call => return None,
            };
            let length = words(run).filter(|words| *words > 0)?;
            let Some((record, behind)) = behind.split_at_checked(usize::from(length - 1)) else { break };
            rest = behind;
            match bytes {
                None => {
                    let next = self.0.next();
                    let head = next.iter().position(|next| *next == run);
                    out.heads.push(head.map_or(FIRST + u64::from(run), |head| head as u64));
                }
                Some(bytes) => {
                    out.heads.push(PARTLY);
                    out.words.extend([u64::from(run), bytes.into()]);
                }
            }
            let from = self.0.record(run, length);
            let known = self.0.words.get_mut(from..).unwrap_or_default();
            out.words.extend(known.iter_mut().zip(record).map(|(word, &value)| {
                let number = folded(value.wrapping_sub(word.expected()));
                word.is(value);
                number
            }));
        }
        Some(log.len() - rest.len())
    }
}

/// Unpacks the logs of one thread.
#[derive(Debug, Clone, Default)]
pub struct Unpacker(Expected);

impl Unpacker {
    /// Appends the words of a log; `words` says the length of a record by its run. False when the numbers make no sense.
    #[must_use]
    pub fn unpack(
        &mut self,
        heads: &[u64],
        numbers: &[u64],
        words: impl Fn(u32) -> Option<u16>,
        log: &mut Vec<u64>,
    ) -> bool {
        let mut numbers = numbers.iter().copied();
        heads.iter().all(|&head| self.record(head, &mut numbers, &words, log).is_some()) && numbers.len() == 0
    }

    fn record(
        &mut self,
        head: u64,
        numbers: &mut impl Iterator<Item = u64>,
        words: &impl Fn(u32) -> Option<u16>,
        log: &mut Vec<u64>,
    ) -> Option<()> {
        let run = match head {
            EXPECTED | OTHER => self.0.next()[head as usize],
            GOES_ON => {
                log.push(goes_on(numbers.next()?));
                return Some(());
            }
            PARTLY => u32::try_from(numbers.next()?).ok()?,
            number => u32::try_from(number - FIRST).ok()?,
        };
        let length = words(run).filter(|words| *words > 0)?;
        let first = match head {
            PARTLY => partly(run, u16::try_from(numbers.next()?).ok()?),
            _ => whole(run),
        };
        log.push(first);
        let from = self.0.record(run, length);
        for word in self.0.words.get_mut(from..)?.iter_mut().take(usize::from(length - 1)) {
            let value = word.expected().wrapping_add(unfolded(numbers.next()?));
            word.is(value);
            log.push(value);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run 0 has 3 words, run 1 has 1, run 2 has 2; there are no others.
    fn words(run: u32) -> Option<u16> {
        [3, 1, 2].get(run as usize).copied()
    }

    fn packed(packer: &mut Packer, log: &[u64]) -> Packed {
        let mut out = Packed::default();
        assert_eq!(packer.pack(log, words, &mut out), Some(log.len()));
        out
    }

    #[test]
    fn a_loop_becomes_zeros_and_comes_back() {
        let turn = |i: u64| [whole(0), 0x1000 + 8 * i, 0x7fff_0000, whole(1), whole(2), 77];
        let logs: [Vec<u64>; 2] = [(0..10).flat_map(turn).collect(), (10..20).flat_map(turn).collect()];
        let mut packer = Packer::default();
        let all = logs.each_ref().map(|log| packed(&mut packer, log));
        assert!(all[1].heads.iter().chain(&all[1].words).all(|number| *number == 0), "{all:?}");
        assert_eq!(all[1].words.len(), 30);
        let mut unpacker = Unpacker::default();
        for (log, packed) in logs.iter().zip(&all) {
            let mut back = Vec::new();
            assert!(unpacker.unpack(&packed.heads, &packed.words, words, &mut back));
            assert_eq!(back, *log);
        }
    }

    #[test]
    fn all_kinds_of_records_come_back() {
        let log = [
            goes_on(0x40_1000),
            partly(0, 5),
            1,
            u64::MAX,
            whole(1),
            whole(2),
            1 << 63,
            whole(2),
            0,
            whole(1),
            whole(2),
            1 << 62,
            whole(2),
            5,
            goes_on((1 << 62) - 1),
            partly(1, u16::MAX),
        ];
        let found = packed(&mut Packer::default(), &log);
        assert_eq!(
            found.heads,
            [GOES_ON, PARTLY, FIRST + 1, FIRST + 2, FIRST + 2, FIRST + 1, EXPECTED, OTHER, GOES_ON, PARTLY]
        );
        let mut back = Vec::new();
        assert!(Unpacker::default().unpack(&found.heads, &found.words, words, &mut back));
        assert_eq!(back, log);
    }

    #[test]
    fn half_a_record_is_left_over_and_nonsense_is_none() {
        let mut out = Packed::default();
        assert_eq!(Packer::default().pack(&[whole(1), whole(0), 7], words, &mut out), Some(1));
        for log in [[whole(9), 1, 1], [1, 2, 3]] {
            assert_eq!(Packer::default().pack(&log, words, &mut out), None);
        }
        let unpacks = |heads: &[u64], numbers: &[u64]| {
            Unpacker::default().unpack(heads, numbers, words, &mut Vec::new())
        };
        assert!(unpacks(&[FIRST, GOES_ON], &[1, 2, 3]));
        for head in [EXPECTED, OTHER, GOES_ON, PARTLY, FIRST, FIRST + 9, u64::MAX] {
            assert!(!unpacks(&[head], &[]), "{head}");
        }
        assert!(!unpacks(&[PARTLY], &[1, 1 << 16]) && !unpacks(&[FIRST + 1], &[0]));
    }
}
