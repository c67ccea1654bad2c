//! Draining the rings: one thread that polls every ring in use and hands its records on.
//!
//! Always holds: each ring has one consumer; a slot is given back only when its writer has closed it or is dead and
//! everything it committed was taken; a producer that waits for room is woken after every pass. Not here: what
//! records mean (`decode`), when the recording is over (`finish`).

use crate::decode::{Recording, Stream};
use crate::images::ImageId;
use crate::memory::Memory;
use crate::sys;
use ring::record::{Kind, Record, Start};
use ring::shared::{self, RING_BYTES, RING_COUNT, SLOT_FREE, SLOT_OPEN};
use ring::{Consumer, Shared};
use schema::Severity;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often everything that waits is written, so that a reader sees it and little is lost with the recorder.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// How often silent rings are checked for writers that died.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Pauses between passes: at least, and at most while little happens. A ring that is half full ends a pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// A pass that found less than the first lets the next one wait longer; more than the second, not as long. A pass
/// costs some system calls, which should be few for each event.
const WORTH_A_PASS: (u64, u64) = (RING_BYTES as u64 / 8, RING_BYTES as u64 / 4);
/// How long processes that outlive the first one may still take to end by themselves.
const GRACE: Duration = Duration::from_millis(50);
/// How long a finished ring waits at most for a thread that has yet to describe its stacks.
const PATIENCE: Duration = Duration::from_secs(10);
/// A ring that used less of its data keeps its pages for the next thread.
const KEPT_BYTES: u64 = 64 << 10;

/// Reads all rings.
pub(crate) struct Drain {
    shared: Shared,
    /// The memory's file, to give pages back.
    fd: RawFd,
    active: BTreeMap<usize, Slot>,
    /// `Control::next_slot` at the last look.
    seen: u32,
    /// Where the records go.
    pub recording: Recording,
}

struct Slot {
    consumer: Consumer,
    stream: Stream,
    /// The writer was alive at the last check or has written since.
    last_sign: Instant,
    corrupt: bool,
}

impl Slot {
    /// Whether its writer may write more.
    fn is_open(&self) -> bool {
        self.consumer.ring().state.load(Ordering::Acquire) != shared::SLOT_TAKEN
    }
}

impl Drain {
    /// A reader of `shared`, whose file is `fd`.
    pub(crate) fn new(shared: Shared, fd: RawFd, recording: Recording) -> Drain {
        Drain { shared, fd, active: BTreeMap::new(), seen: 0, recording }
    }

    /// Drains until `over` is set, and then what is left. Returns the number of processes that still run.
    pub(crate) fn run(&mut self, over: &AtomicBool) -> usize {
        let wake = &self.shared.control().wake;
        let mut pause = PAUSES.0;
        let mut flushed = Instant::now();
        let mut checked = Instant::now();
        while !over.load(Ordering::Acquire) {
            let ticket = wake.load(Ordering::Acquire);
            let bytes = self.pass();
            if flushed.elapsed() >= FLUSH_EVERY {
                self.recording.flush();
                flushed = Instant::now();
            }
            if checked.elapsed() >= CHECK_EVERY {
                self.look_everywhere();
                self.end_dead(CHECK_EVERY);
                self.pass();
                self.recording.lose(|process| is_alive(process.pid, process.pid));
                checked = Instant::now();
            }
            if bytes < WORTH_A_PASS.0 {
                pause = (pause * 2).min(PAUSES.1);
            } else if bytes > WORTH_A_PASS.1 {
                pause = (pause / 2).max(PAUSES.0);
            }
            sys::futex_wait(wake, ticket, pause);
        }
        self.end()
    }

    /// The first process has ended: takes what is left, and lets go of processes that still run.
    fn end(&mut self) -> usize {
        let limit = Instant::now() + GRACE;
        loop {
            self.look_everywhere();
            self.end_dead(Duration::ZERO);
            while self.pass() > 0 {}
            if self.active.is_empty() || Instant::now() >= limit {
                break;
            }
            std::thread::sleep(PAUSES.0);
        }
        let writes = |slot: &&Slot| slot.is_open();
        let mut running: Vec<u32> =
            self.active.values().filter(writes).map(|slot| slot.stream.process).collect();
        running.sort_unstable();
        running.dedup();
        // From here on the engines drop their events; nobody waits for us again.
        self.shared.control().recorder_state.store(shared::RECORDER_GONE, Ordering::SeqCst);
        while self.pass() > 0 {}
        for (_, mut slot) in std::mem::take(&mut self.active) {
            wake_producer(&slot.consumer, true);
            self.recording.close(&mut slot.stream);
        }
        self.recording.flush();
        running.len()
    }

    /// Takes what every ring holds now. Returns the number of bytes.
    pub(crate) fn pass(&mut self) -> u64 {
        self.recording.totals.passes += 1;
        self.recording.clock.adjust(sys::clock_pair());
        let new = self.discover();
        let mut bytes = 0;
        let mut finished = Vec::new();
        for (&index, slot) in &mut self.active {
            // Before draining: what the ring holds then is all that it will ever hold.
            let closed = slot.consumer.take_closed();
            bytes += drain_slot(slot, &mut self.recording);
            if closed {
                finished.push(index);
            }
        }
        bytes += self.welcome(new);
        self.recording.settle();
        // What a ring has put off may be what another one waits for.
        while self.retry() {}
        let waits = |slot: &Slot| !slot.stream.is_settled();
        let any_waits = finished.iter().any(|index| self.active.get(index).is_some_and(waits));
        let late = if any_waits { self.look_everywhere() } else { 0 };
        for index in finished {
            let Some(slot) = self.active.get(&index) else { continue };
            // The thread that describes what this ring waits for may have been kept from it for long.
            let may_come = || late != 0 || self.may_be_described(slot);
            if !waits(slot) || !may_come() || slot.last_sign.elapsed() >= PATIENCE {
                self.release(index);
            }
        }
        bytes + late
    }

    /// Tries once more what rings have put off. Whether any of that was taken.
    fn retry(&mut self) -> bool {
        let mut any = false;
        for slot in self.active.values_mut().filter(|slot| !slot.stream.is_settled()) {
            any |= self.recording.retry(&mut slot.stream, false);
        }
        any
    }

    /// Whether another thread could still describe the stacks of this ring.
    fn may_be_described(&self, waiting: &Slot) -> bool {
        let Some(image) = waiting.stream.image() else { return false };
        let describes = |other: ImageId| self.recording.images.descends(image, other);
        let writes = |slot: &&Slot| slot.is_open() && !slot.corrupt;
        self.active.values().filter(writes).any(|slot| slot.stream.image().is_none_or(describes))
    }

    /// Rings that threads have claimed since the last look.
    fn discover(&mut self) -> Vec<usize> {
        let next = self.shared.control().next_slot.load(Ordering::Acquire);
        let claims = next.wrapping_sub(self.seen).min(RING_COUNT as u32);
        let first = next.wrapping_sub(claims);
        self.seen = next;
        let mut list = Vec::new();
        for claim in 0..claims {
            let start = first.wrapping_add(claim) as usize;
            // A slot that was in use then made the claim take the next one.
            let index = (start..start + RING_COUNT)
                .map(|slot| slot % RING_COUNT)
                .find(|slot| !self.active.contains_key(slot) && !list.contains(slot));
            match index {
                Some(index) if self.shared.ring(index).state.load(Ordering::Acquire) != SLOT_FREE => {
                    list.push(index);
                }
                // Claimed and not opened yet: look again.
                _ => self.seen = self.seen.min(first.wrapping_add(claim)),
            }
        }
        list
    }

    /// Finds rings that `discover` missed because their slot was not the first choice. Returns the bytes taken.
    fn look_everywhere(&mut self) -> u64 {
        let next = self.shared.control().next_slot.load(Ordering::Acquire);
        let used = if next as usize >= RING_COUNT { RING_COUNT } else { next as usize };
        let new = (0..used)
            .filter(|index| !self.active.contains_key(index))
            .filter(|&index| self.shared.ring(index).state.load(Ordering::Acquire) != SLOT_FREE)
            .collect();
        self.seen = next;
        self.welcome(new)
    }

    /// Takes the first records of new rings: first those that begin a process, parents before children, because the
    /// other rings need to know the process's image.
    fn welcome(&mut self, new: Vec<usize>) -> u64 {
        let mut first: Vec<(bool, u64, usize, Slot, Vec<u64>)> = Vec::new();
        let mut bytes = 0;
        for index in new {
            let mut consumer = Consumer::new(self.shared, index);
            let process = consumer.ring().process.load(Ordering::Relaxed);
            let mut words = Vec::new();
            let result = consumer.drain(|record| words.extend_from_slice(record.words));
            wake_producer(&consumer, false);
            let stream = Stream::new(process);
            let mut slot = Slot { consumer, stream, last_sign: Instant::now(), corrupt: false };
            match result {
                Ok(taken) => {
                    bytes += taken;
                    self.recording.totals.ring_bytes += taken;
                }
                Err(_) => give_up(&mut slot, &mut self.recording),
            }
            self.recording.totals.rings += 1;
            let begins = words
                .first()
                .is_some_and(|&word| ring::record::kind_number(word) == Kind::ProcessStart as u16);
            let tsc = words.get(1).copied().unwrap_or(0);
            first.push((!begins, tsc, index, slot, words));
        }
        first.sort_by_key(|(other, tsc, index, ..)| (*other, *tsc, *index));
        for (other, _, index, mut slot, words) in first {
            if !other && words.get(4).is_some_and(|&how| how == Start::Exec as u64) {
                self.abandon(slot.stream.process);
            }
            let mut rest = &words[..];
            while let Some(&word) = rest.first() {
                let length = ring::record::length(word).clamp(1, rest.len());
                self.recording.take(&mut slot.stream, Record { words: &rest[..length] });
                rest = &rest[length..];
            }
            let process = self.recording.processes.entry(slot.stream.process).or_default();
            process.rings += 1;
            if slot.stream.image().is_some_and(|image| process.images.last() != Some(&image)) {
                // Found only now, and the process has executed another program since.
                slot.consumer.take_abandoned();
            }
            self.active.insert(index, slot);
        }
        bytes
    }

    /// A process has executed another program: the threads that wrote its rings so far are gone.
    fn abandon(&mut self, process: u32) {
        for slot in self.active.values_mut().filter(|slot| slot.stream.process == process) {
            slot.consumer.take_abandoned();
        }
    }

    /// Finishes the rings of writers that died without closing them and were silent for `silence`; the next pass takes
    /// what they hold.
    fn end_dead(&mut self, silence: Duration) {
        for slot in self.active.values_mut().filter(|slot| slot.last_sign.elapsed() >= silence) {
            let ring = slot.consumer.ring();
            if ring.state.load(Ordering::Acquire) != SLOT_OPEN {
                continue;
            }
            let (pid, tid) = (ring.pid.load(Ordering::Relaxed), ring.thread.load(Ordering::Relaxed));
            if is_alive(pid, tid) {
                slot.last_sign = Instant::now();
            } else {
                // So what it has committed is final.
                slot.consumer.take_abandoned();
            }
        }
    }

    /// Gives a slot back: its writer has ended and everything was taken.
    fn release(&mut self, index: usize) {
        let Some(mut slot) = self.active.remove(&index) else { return };
        self.recording.close(&mut slot.stream);
        if slot.consumer.ring().head.load(Ordering::Relaxed) > KEPT_BYTES {
            Memory::release(self.fd, index);
        }
        slot.consumer.free();
        self.recording.ring_ended(slot.stream.process);
    }
}

fn drain_slot(slot: &mut Slot, recording: &mut Recording) -> u64 {
    if slot.corrupt {
        let ring = slot.consumer.ring();
        // Thrown away unread, so that its writer does not wait for room for ever.
        ring.tail.store(ring.head.load(Ordering::Acquire), Ordering::Release);
        wake_producer(&slot.consumer, false);
        return 0;
    }
    let stream = &mut slot.stream;
    let result = slot.consumer.drain_runs(|words| recording.take_some(stream, words));
    wake_producer(&slot.consumer, false);
    match result {
        Ok(0) => 0,
        Ok(bytes) => {
            slot.last_sign = Instant::now();
            recording.totals.ring_bytes += bytes;
            bytes
        }
        Err(_) => {
            give_up(slot, recording);
            0
        }
    }
}

fn give_up(slot: &mut Slot, recording: &mut Recording) {
    slot.corrupt = true;
    recording.totals.corrupt_rings += 1;
    let process = recording.describe(slot.stream.process);
    let text = format!(
        "the recording of a thread of process {process} stops here: \
         its ring was overwritten (does the program write to wild addresses?)"
    );
    recording.trace.remark(Severity::Warning, 0, slot.stream.process, 0, &text);
}

fn wake_producer(consumer: &Consumer, always: bool) {
    let waiting = &consumer.ring().waiting;
    if waiting.swap(0, Ordering::AcqRel) != 0 || always {
        sys::futex_wake(waiting);
    }
}

/// Whether the thread still runs. A zombie does not: nobody may ever collect it.
fn is_alive(pid: u32, tid: u32) -> bool {
    let Ok(stat) = std::fs::read(format!("/proc/{pid}/task/{tid}/stat")) else { return false };
    // The name in parentheses may hold anything: the state follows the last one.
    let state = stat.iter().rposition(|&byte| byte == b')').and_then(|at| stat.get(at + 2));
    !matches!(state, None | Some(b'Z' | b'X' | b'x'))
}

#[cfg(test)]
mod tests;
