//! How often code was executed, by thread, and what that code is called.
//!
//! The engine tells runs of instructions with absolute addresses; here they become addresses in modules, and equal ones of a
//! thread are added up. A thread's are written when it ends, names when all is over. Always holds: nothing is counted twice, and a
//! count that makes no sense costs data, never the recorder. Not here: reading symbols (`symbols`).

use crate::decode::{Recording, Stream};
use crate::gather::Gathered;
use crate::images::{ImageId, Images};
use crate::mix::BuildMix;
use crate::modules::Binary;
use crate::symbols;
use ring::record::{EXECUTED_LENGTHS, EXECUTED_WORDS, Record};
use schema::{CodeLine, Executed};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// A mapping of a module.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    end: u64,
    bias: u64,
    /// The module that frames name.
    module: u32,
}

/// Where an instruction is: module and address in it.
pub(crate) type At = (u32, u64);

/// Runs of instructions as the engine tells them, by where they are and by their lengths: how often. Millions of
/// instructions have few runs, so they are taken apart when all is known.
type Runs = Gathered<(At, u64), i64>;

/// Instructions: how often, and their bytes.
type Instruction = (At, (i64, u8));

/// What has been executed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// By image and first address.
    mappings: HashMap<ImageId, BTreeMap<u64, Mapping>, BuildMix>,
    /// By process, thread and part: what was not yet written.
    threads: BTreeMap<(u32, u32, u32), Runs>,
    /// Instructions of all that were written, with their lengths, and what else has to be named.
    written: Gathered<At, u8>,
}

impl Counts {
    /// A module of an image has been mapped.
    pub(crate) fn map(&mut self, image: ImageId, start: u64, size: u64, bias: u64, module: u32) {
        let mapping = Mapping { end: start.saturating_add(size), bias, module };
        self.mappings.entry(image).or_default().insert(start, mapping);
    }

    /// What lies there is written, so that it needs a name: an instruction, or a byte of one.
    pub(crate) fn is_named(&mut self, at: At, length: u8) {
        self.written.add(at, length, longest);
    }

    /// Module and address in it of an address in an image.
    pub(crate) fn place(&self, images: &Images, image: ImageId, address: u64) -> (u32, u64) {
        let found = images.lineage(image).find_map(|image| {
            let (_, mapping) = self.mappings.get(&image)?.range(..=address).next_back()?;
            (address < mapping.end).then_some(mapping)
        });
        found.map_or((0, address), |mapping| (mapping.module, address.wrapping_sub(mapping.bias)))
    }
}

impl Recording {
    /// Runs of instructions that a thread has executed.
    pub(crate) fn executed(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let (counts, images) = (&mut self.counts, &self.images);
        let key = (stream.process, stream.thread, stream.part);
        let mut runs = counts.threads.remove(&key).unwrap_or_default();
        for piece in record.words.get(1..).unwrap_or_default().chunks_exact(EXECUTED_WORDS) {
            let &[pc, times, lengths] = piece else { break };
            let at = counts.place(images, image, pc);
            runs.add((at, lengths), times as i64, add);
        }
        counts.threads.insert(key, runs);
        true
    }

    /// What a thread has executed in a part, and what was not written yet, counts for nothing.
    pub(crate) fn drop_counts(&mut self, process: u32, thread: u32, part: u32) {
        self.counts.threads.remove(&(process, thread, part));
        self.drop_jumps(process, thread, part);
    }

    /// Writes what a thread has executed in a part, of which it has told all.
    pub(crate) fn write_counts(&mut self, process: u32, thread: u32, part: u32) {
        self.write_jumps(process, thread, part);
        let Some(runs) = self.counts.threads.remove(&(process, thread, part)) else { return };
        let mut instructions = instructions(&runs.into_sorted(add));
        instructions.retain(|(_, (times, _))| *times > 0);
        for &(at, (_, length)) in &instructions {
            self.counts.is_named(at, length);
        }
        let rows = rows(&instructions);
        self.trace.put(|writer| writer.executions(process, thread, part, &rows));
    }

    /// Writes what is left of all threads, and what the code is called that they have executed.
    pub(crate) fn finish_counts(&mut self) {
        let left: Vec<_> = self.counts.threads.keys().copied().collect();
        left.into_iter().for_each(|(process, thread, part)| self.write_counts(process, thread, part));
        self.finish_jumps();
        let written = std::mem::take(&mut self.counts.written).into_sorted(longest);
        if self.trace.has_failed() {
            return;
        }
        let executed = |binary: &Arc<Binary>| {
            let first = written.partition_point(|((module, _), _)| *module < binary.module);
            let end = written.partition_point(|((module, _), _)| *module <= binary.module);
            let instructions = written.get(first..end).filter(|executed| !executed.is_empty())?;
            let addresses: Vec<u64> = instructions.iter().map(|((_, rva), _)| *rva).collect();
            Some((binary.clone(), instructions, addresses))
        };
        let binaries: Vec<_> = self.modules.binaries().iter().filter_map(executed).collect();
        let work: Vec<_> =
            (binaries.iter()).map(|(binary, _, addresses)| (binary.as_ref(), addresses.as_slice())).collect();
        let answers = symbols::code(&work);
        for ((binary, instructions, _), named) in binaries.iter().zip(answers) {
            let ids = self.trace.places(&named.places);
            let place = |number: &u32| (*number as usize).checked_sub(1).and_then(|at| ids.get(at)).copied();
            let lines = lines(instructions, named.of.iter().map(|number| place(number).unwrap_or(0)));
            self.trace.put(|writer| writer.code_lines(binary.module, &lines));
        }
    }
}

/// An instruction of which no more than an address may be known.
fn longest(known: &mut u8, other: u8) {
    *known = (*known).max(other);
}

/// What instructions of a module are called, given by their lengths and their places: a line where that changes, and
/// behind each piece of code.
fn lines(instructions: &[(At, u8)], places: impl Iterator<Item = u32>) -> Vec<CodeLine> {
    let mut lines: Vec<CodeLine> = Vec::new();
    let mut add = |rva, place| {
        if lines.last().map_or(0, |line| line.place) != place {
            lines.push(CodeLine { rva, place });
        }
    };
    let mut end = 0;
    for (&((_, rva), length), place) in instructions.iter().zip(places) {
        if end < rva {
            add(end, 0);
        }
        add(rva, place);
        end = end.max(rva.saturating_add(length.into()));
    }
    add(end, 0);
    lines
}

/// Adds counts, of which those that take something back are negative.
fn add(sum: &mut i64, times: i64) {
    *sum = sum.wrapping_add(times);
}

/// The instructions of runs, which are sorted: each once, by module and address.
fn instructions(runs: &[((At, u64), i64)]) -> Vec<Instruction> {
    let mut done: Vec<Instruction> = Vec::new();
    // Those of the runs so far that a later run may have too, by address: it begins no earlier than the last one.
    let mut open: VecDeque<Instruction> = VecDeque::new();
    for &(((module, start), lengths), times) in runs {
        let before = open.partition_point(|(at, _)| *at < (module, start));
        done.extend(open.drain(..before));
        let mut place = 0;
        for (rva, length) in (Executed { module, rva: start, times: 0, lengths }).instructions() {
            if rva < start {
                // No code goes on at address 0.
                break;
            }
            while open.get(place).is_some_and(|(at, _)| *at < (module, rva)) {
                place += 1;
            }
            match open.get_mut(place) {
                Some((at, (sum, _))) if *at == (module, rva) => add(sum, times),
                _ => open.insert(place, ((module, rva), (times, length))),
            }
        }
    }
    done.extend(open);
    done
}

/// Runs of neighbouring instructions with the same count. They are sorted by module and address.
fn rows(sorted: &[Instruction]) -> Vec<Executed> {
    let mut rows: Vec<Executed> = Vec::new();
    // Address behind the last row, and its instructions.
    let (mut end, mut in_row) = (0, 0);
    for &((module, rva), (times, length)) in sorted {
        let times = times as u64;
        match rows.last_mut() {
            Some(row)
                if row.module == module && row.times == times && end == rva && in_row < EXECUTED_LENGTHS =>
            {
                row.lengths |= u64::from(length) << (4 * in_row);
                in_row += 1;
            }
            _ => {
                rows.push(Executed { module, rva, times, lengths: length.into() });
                in_row = 1;
            }
        }
        end = rva.wrapping_add(length.into());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_the_same_count_share_a_row() {
        let sorted = [
            ((1, 10), (5, 2)),
            ((1, 12), (5, 3)),
            ((1, 15), (6, 1)),
            ((1, 17), (6, 15)),
            ((2, 32), (6, 4)),
            ((2, 36), (6, 1)),
        ];
        let row = |module, rva, times, lengths| Executed { module, rva, times, lengths };
        let expected = [row(1, 10, 5, 0x32), row(1, 15, 6, 1), row(1, 17, 6, 15), row(2, 32, 6, 0x14)];
        assert_eq!(rows(&sorted), expected);
        let many: Vec<_> = (0..40).map(|i| ((1, i), (1, 1))).collect();
        let lengths: Vec<u32> = rows(&many).iter().map(|row| row.lengths.count_ones()).collect();
        assert_eq!(lengths, [16, 16, 8]);
    }

    #[test]
    fn runs_that_overlap_are_taken_apart() {
        // Numbers that look random (xorshift).
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % bound
        };
        for _ in 0..200 {
            let mut runs = Runs::default();
            let mut expected: BTreeMap<At, i64> = BTreeMap::new();
            for _ in 0..below(60) {
                let (module, rva) = (below(3) as u32, below(100));
                let lengths = (0..=below(16)).fold(0, |all, _| all << 4 | (1 + below(15)));
                let times = below(100) as i64 - 20;
                runs.add(((module, rva), lengths), times, add);
                for (rva, _) in (Executed { module, rva, times: 0, lengths }).instructions() {
                    *expected.entry((module, rva)).or_default() += times;
                }
            }
            let found = instructions(&runs.into_sorted(add));
            let found: Vec<(At, i64)> = found.into_iter().map(|(at, (times, _))| (at, times)).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_run_ends_where_addresses_do() {
        let runs = [(((1, u64::MAX - 1), 0x111), 3), (((2, 0), 0), 1), (((2, 0), 0x1), 1)];
        let expected = [((1, u64::MAX - 1), (3, 1)), ((1, u64::MAX), (3, 1)), ((2, 0), (1, 1))];
        assert_eq!(instructions(&runs), expected);
    }

    #[test]
    fn lines_hold_up_to_the_end_of_the_code() {
        let instructions =
            [(8, 2), (10, 2), (12, 4), (20, 1), (21, 1)].map(|(rva, length)| ((1, rva), length));
        let lines = lines(&instructions, [5, 5, 6, 0, 6].into_iter());
        let pairs: Vec<_> = lines.iter().map(|line| (line.rva, line.place)).collect();
        assert_eq!(pairs, [(8, 5), (12, 6), (16, 0), (21, 6), (22, 0)]);
    }

    #[test]
    fn an_address_is_in_the_module_that_is_mapped_there_also_before_a_fork() {
        let mut stacks = crate::stacks::Stacks::default();
        let (mut images, mut counts) = (Images::default(), Counts::default());
        let first = crate::images::First { node: 1, module: 1 };
        let parent = images.begin(1, None, first, &mut stacks);
        let child = images.begin(2, Some(parent), first, &mut stacks);
        counts.map(parent, 0x1000, 0x1000, 0x800, 7);
        counts.map(child, 0x3000, 0x1000, 0x3000, 8);
        assert_eq!(counts.place(&images, child, 0x1810), (7, 0x1010));
        assert_eq!(counts.place(&images, child, 0x3fff), (8, 0xfff));
        assert_eq!(counts.place(&images, parent, 0x3fff), (0, 0x3fff));
        assert_eq!(counts.place(&images, child, 0x2000), (0, 0x2000));
    }
}
