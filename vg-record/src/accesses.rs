//! The whole stream of data accesses: what the engines tell of it becomes messages of the trace.
//!
//! What always holds: the messages of a process are in the order in which its models saw what they tell, whichever threads' rings that came
//! through; a record waits in its ring for those before it. Where something is lost, the trace says so, and tells no more of that
//! process, of which nothing could be simulated any more. Not here: how small logs become (`simulation::packed`), what they mean
//! (`translate::accesses`).

use crate::decode::{Recording, Stream};
use crate::images::ImageId;
use ring::record::{AccessMark as Mark, Kind, Record, access_log, halves};
use schema::{AccessLog, AccessMark, AccessRun, Bytes, CodeBase, MarkKind, Modelled, Severity};
use simulation::packed::{Packed, Packer};
use std::collections::HashMap;

/// More records, or words of them, than a message of the trace holds.
const TOO_MANY: usize = 65536;

/// A run: address, and words of its records.
type Run = (u64, u16);

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    /// By those that have models of their own.
    images: HashMap<ImageId, Told>,
    /// What children begin with that have not been told of, by their numbers; none: what they begin with is lost.
    forks: HashMap<u32, Option<Vec<Run>>>,
    /// Number of the last series of logs.
    series: u32,
}

/// What was told of one process.
#[derive(Debug)]
struct Told {
    of: Modelled,
    /// Number of the next record.
    next: u64,
    /// By number; none as long as it is not known what it begins with.
    runs: Option<Vec<Run>>,
    is_lost: bool,
    /// Rings that have told something and may tell more.
    rings: u32,
    /// The process has ended.
    is_over: bool,
}

impl Told {
    fn of(of: Modelled, runs: Option<Vec<Run>>) -> Told {
        Told { of, next: 0, runs, is_lost: false, rings: 0, is_over: false }
    }
}

/// What a thread tells in its turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    packer: Packer,
    /// Number of the series of its logs; 0 as long as the ring has told nothing.
    series: u32,
    /// Words of the log that are half a record.
    left: Vec<u64>,
    /// Of the turn so far.
    packed: Packed,
}

impl Turn {
    /// Packs the words of a record of the log; none if they make no sense.
    fn take(&mut self, runs: &[Run], record: Record<'_>) -> Option<()> {
        let words = |run: u32| runs.get(run as usize).map(|(_, words)| *words);
        self.left.extend_from_slice(record.words.get(5..)?);
        let done = self.packer.pack(&self.left, words, &mut self.packed)?;
        self.left.drain(..done);
        Some(())
    }

    /// What is told of the turn, whose last record this is; none if that is no whole one.
    fn end(&mut self, of: Modelled, thread: u32, record: Record<'_>) -> Option<AccessLog> {
        let Packed { heads, words } = std::mem::take(&mut self.packed);
        if !self.left.is_empty() || heads.len() > TOO_MANY || words.len() > TOO_MANY {
            return None;
        }
        let counts = record.word(2) & access_log::COUNTS != 0;
        let (fs, gs) = (record.word(3), record.word(4));
        Some(AccessLog { of, thread, series: self.series, counts, fs, gs, heads, words })
    }

    /// The next turn has the memory of one that was told.
    fn reuse(&mut self, told: AccessLog) {
        let AccessLog { mut heads, mut words, .. } = told;
        heads.clear();
        words.clear();
        self.packed = Packed { heads, words };
    }
}

/// Adds the runs that a record tells of to those that are known: the first one's number, and what is told of them; none if they
/// make no sense.
fn take_runs(runs: &mut Vec<Run>, record: Record<'_>) -> Option<(u32, Vec<AccessRun>)> {
    let first = u32::try_from(runs.len()).ok()?;
    let mut fresh = Vec::new();
    let mut rest = record.words.get(2..)?;
    while let [start, sizes, behind @ ..] = rest {
        let (words, bytes) = halves(*sizes);
        let words = u16::try_from(words).ok()?;
        let bytes = bytes as usize;
        let (code, behind) = behind.split_at_checked(bytes.div_ceil(8))?;
        let code = code.iter().flat_map(|word| word.to_le_bytes()).take(bytes).collect();
        fresh.push(AccessRun { start: *start, words, code: Bytes(code) });
        runs.push((*start, words));
        rest = behind;
    }
    Some((first, fresh))
}

/// A mark that says nothing but what its kind does.
fn plain_mark(of: Modelled) -> AccessMark {
    AccessMark { of, kind: MarkKind::Forgotten, part: 0, child: 0, places: Vec::new() }
}

impl Accesses {
    /// A process with models of its own begins; `forked`: with a copy of another's.
    pub(crate) fn begin(&mut self, image: ImageId, of: Modelled, forked: bool) {
        self.images.insert(image, Told::of(of, (!forked).then(Vec::new)));
    }

    /// A process has ended that executed this: what rings still hold of it comes, and no more.
    pub(crate) fn is_over(&mut self, image: ImageId, process: u32) {
        if let Some(told) = self.images.get_mut(&image) {
            // A child of vfork has no models of its own.
            told.is_over |= told.of.process == process;
        }
    }
}

impl Recording {
    /// Takes a record of the stream, or says false when it must wait for others.
    pub(crate) fn access(
        &mut self,
        stream: &mut Stream,
        kind: Kind,
        record: Record<'_>,
        force: bool,
    ) -> bool {
        let image = self.image(stream);
        let all = &mut self.accesses;
        let told = all
            .images
            .entry(image)
            .or_insert_with(|| Told::of(Modelled { process: stream.process, program: 0 }, Some(Vec::new())));
        if stream.accesses.series == 0 {
            all.series += 1;
            stream.accesses.series = all.series;
            told.rings += 1;
        }
        let begins = if told.runs.is_none() { all.forks.remove(&told.of.process) } else { None };
        let is_orphan = begins == Some(None);
        told.runs = told.runs.take().or(begins.flatten());
        let is_next = told.runs.is_some() && told.next == record.word(1);
        if !told.is_lost && !is_orphan && !is_next && !force {
            return false;
        }
        told.next = told.next.wrapping_add(1);
        let taken = !told.is_lost && is_next && self.take_access(image, stream, kind, record).is_some();
        if !taken {
            self.lose_accesses(image, stream);
            if kind == Kind::AccessMark && record.word(2) == Mark::Forks as u64 {
                self.accesses.forks.insert(record.word(3) as u32, None);
            }
        }
        true
    }

    /// Takes the next record of the stream; none if it makes no sense.
    fn take_access(
        &mut self,
        image: ImageId,
        stream: &mut Stream,
        kind: Kind,
        record: Record<'_>,
    ) -> Option<()> {
        let told = self.accesses.images.get_mut(&image)?;
        let (of, runs) = (told.of, told.runs.as_mut()?);
        match kind {
            Kind::AccessRuns => {
                let (first, fresh) = take_runs(runs, record)?;
                self.trace.put(|writer| writer.access_runs(of, first, &fresh));
            }
            Kind::AccessLog => {
                let turn = &mut stream.accesses;
                turn.take(runs, record)?;
                if record.word(2) & access_log::ENDS == 0 {
                    return Some(());
                }
                let log = turn.end(of, stream.thread, record)?;
                self.trace.put(|writer| writer.access_log(&log));
                turn.reuse(log);
            }
            _ => {
                let mark = plain_mark(of);
                let mark = match record.word(2) {
                    what if what == Mark::Told as u64 => {
                        let mut starts: Vec<u64> = runs.iter().map(|(start, _)| *start).collect();
                        starts.sort_unstable();
                        let places = self.bases(image, &starts);
                        AccessMark { kind: MarkKind::Belongs, part: stream.part, places, ..mark }
                    }
                    what if what == Mark::Forgotten as u64 => mark,
                    what if what == Mark::Forks as u64 => {
                        let child = record.word(3) as u32;
                        let runs = Some(runs.clone());
                        self.accesses.forks.insert(child, runs);
                        AccessMark { kind: MarkKind::Forked, child, ..mark }
                    }
                    _ => return None,
                };
                self.mark(&mark);
            }
        }
        Some(())
    }

    /// A ring gives no more records.
    pub(crate) fn close_accesses(&mut self, stream: &mut Stream) {
        let Some(image) = stream.image().filter(|_| stream.accesses.series != 0) else { return };
        let Some(told) = self.accesses.images.get_mut(&image) else { return };
        told.rings = told.rings.saturating_sub(1);
        let executes_another = || {
            let process = self.processes.get(&told.of.process);
            process.is_some_and(|process| process.images.last() != Some(&image))
        };
        if told.rings == 0 && (told.is_over || executes_another()) {
            let (of, is_lost) = (told.of, told.is_lost);
            self.accesses.images.remove(&image);
            if !is_lost {
                self.mark(&AccessMark { kind: MarkKind::Ended, ..plain_mark(of) });
            }
        }
    }

    fn mark(&mut self, mark: &AccessMark) {
        self.trace.put(|writer| writer.access_mark(mark));
    }

    /// Where the code at these addresses, which rise, lies: an entry where that changes.
    fn bases(&self, image: ImageId, addresses: &[u64]) -> Vec<CodeBase> {
        let mut bases: Vec<CodeBase> = Vec::new();
        for &from in addresses {
            let (module, rva) = self.counts.place(&self.images, image, from);
            let bias = from.wrapping_sub(rva);
            if bases.last().is_none_or(|last| (last.module, last.bias) != (module, bias)) {
                bases.push(CodeBase { from, module, bias });
            }
        }
        bases
    }

    /// What comes behind is of no use: says so, once.
    fn lose_accesses(&mut self, image: ImageId, stream: &Stream) {
        let Some(told) = self.accesses.images.get_mut(&image).filter(|told| !told.is_lost) else { return };
        told.is_lost = true;
        let of = told.of;
        self.mark(&AccessMark { kind: MarkKind::Lost, ..plain_mark(of) });
        let text = format!("data accesses of process {} are lost", self.describe(stream.process));
        let time = self.now();
        self.trace.remark(Severity::Warning, 0, of.process, time, &text);
    }
}

#[cfg(test)]
mod tests;
