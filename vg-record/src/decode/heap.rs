//! Heap events and the stack nodes that they refer to: nearly all records of a recording.
//!
//! Always holds: what a whole run of records gives is what they give one by one. The only place that knows the words
//! of these records.

use super::{Recording, Stream};
use crate::images::RawNode;
use ring::record::{Kind, Record, halves, kind_number, split_first};
use schema::{Family, HeapEvent, Op};

const ALLOC: u16 = Kind::Alloc as u16;
const REALLOC: u16 = Kind::Realloc as u16;
const NODE: u16 = Kind::Node as u16;

// Kinds of records and of events stand in the same order.
const _: () = assert!(Kind::Free as u16 - ALLOC == Op::Free.number() as u16);
const _: () = assert!(REALLOC - ALLOC == Op::Realloc.number() as u16 && Op::Alloc.number() == 0);

/// What a record says, before its numbers are those of the recording.
struct Raw {
    tsc: u64,
    stack: u32,
    /// Without time, thread and stack.
    event: HeapEvent,
}

impl Raw {
    /// `None` when the record is too short or of another kind.
    #[inline(always)]
    fn of(record: Record<'_>) -> Option<Raw> {
        // One check of the length for all words.
        let &[header, tsc, address, size, who, instructions] = record.words.first_chunk()?;
        let (stack, bits) = halves(who);
        // Counted instead of compared: allocations and frees come in no order, and a branch that is guessed wrong costs half
        // as much as all else here.
        let number = kind_number(header).wrapping_sub(ALLOC);
        let (Ok(number), true) = (u8::try_from(number), number <= REALLOC - ALLOC) else { return None };
        let op = Op::from_number(number);
        let old_address = if op == Op::Realloc { record.word(6) } else { 0 };
        // Of a free, size and alignment are of no meaning: the columns hold those of allocations and reallocs only.
        let event = HeapEvent {
            op,
            family: Family::from_number(bits as u8),
            align_log2: (bits >> 8) as u8,
            thread: 0,
            stack: 0,
            time: 0,
            instructions,
            address,
            size,
            old_address,
        };
        Some(Raw { tsc, stack, event })
    }
}

impl Recording {
    /// Takes heap events and nodes up to a record that is something else, makes no sense or has to wait, and gives back
    /// the words from there on. Nothing of the stream waits.
    pub(super) fn take_heap<'a>(&mut self, stream: &mut Stream, words: &'a [u64]) -> &'a [u64] {
        // Which program its thread runs is told by the first record of a ring.
        let Some(image) = stream.image else { return words };
        let Recording { trace, images, totals, clock, .. } = self;
        let clock = clock.clone();
        let (thread, mut time, mut rest) = (stream.thread, stream.time, words);
        let before = trace.events().0;
        trace.extend(stream.process, |stacks| {
            loop {
                let (record, behind) = split_first(rest)?;
                if kind_number(record.words[0]) == NODE {
                    rest = behind;
                    totals.records += 1;
                    if !images.add_node(image, raw_node(record), stacks) {
                        totals.unknown_records += 1;
                    }
                    continue;
                }
                let Raw { tsc, stack, event } = Raw::of(record)?;
                let stack = images.node(image, stack)?;
                rest = behind;
                time = clock.ns(tsc).max(time);
                return Some(HeapEvent { thread, stack, time, ..event });
            }
        });
        totals.records += trace.events().0 - before;
        stream.time = time;
        rest
    }

    /// Takes an allocation, free or realloc, or says false when it must wait for its stack.
    pub(super) fn heap_event(&mut self, stream: &mut Stream, record: Record<'_>, force: bool) -> bool {
        let Some(Raw { tsc, stack, event }) = Raw::of(record) else {
            self.totals.unknown_records += 1;
            return true;
        };
        let Some(stack) = self.stack(stream, stack, force) else {
            return false;
        };
        let time = self.time(stream, tsc);
        let event = HeapEvent { thread: stream.thread, stack, time, ..event };
        self.trace.event(stream.process, event);
        true
    }

    /// Takes a stack node.
    pub(super) fn node(&mut self, stream: &mut Stream, record: Record<'_>) {
        let image = self.image(stream);
        if !self.images.add_node(image, raw_node(record), &mut self.trace.stacks) {
            self.totals.unknown_records += 1;
        }
    }
}

fn raw_node(record: Record<'_>) -> RawNode {
    const EXACT: u64 = 1 << 63;
    const GUESSED: u64 = 1 << 62;
    let (id, parent) = halves(record.word(1));
    let address = record.word(3);
    RawNode {
        id,
        parent,
        module: record.word(2) as u32,
        rva: address & !(EXACT | GUESSED),
        exact: address & EXACT != 0,
        guessed: address & GUESSED != 0,
    }
}
