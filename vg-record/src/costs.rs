//! What instructions have cost besides being executed: accesses and misses, as the engine tells them, with places in modules.
//!
//! Always holds: what is told of an instruction more than once adds up; a record that makes no sense costs data, never the recorder.
//! Not here: working the costs out (`engine::accesses`), what the code is called (`counts`).

use crate::decode::{Recording, Stream};
use crate::gather::Gathered;
use ring::record::{EVENTS, Record};
use schema::Cost;
use std::collections::BTreeMap;

/// An event at an instruction: module, address in it, number of the event.
type At = (u32, u64, u8);

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    /// By process and part.
    told: BTreeMap<(u32, u32), Gathered<At, u64>>,
    /// The events that are counted, as bits that stand for [`EVENTS`].
    pub counted: u32,
}

pub(crate) fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// What a record tells: of what, which event by number, how often.
pub(crate) fn each(record: Record<'_>, mut take: impl FnMut(u64, u8, u64)) {
    let mut rest = record.words.get(1..).unwrap_or_default();
    while let [of, set, behind @ ..] = rest {
        rest = behind;
        for event in (0..EVENTS.len() as u8).filter(|event| set >> event & 1 != 0) {
            let Some((times, behind)) = rest.split_first() else { break };
            take(*of, event, *times);
            rest = behind;
        }
    }
}

impl Recording {
    /// What instructions of a process have cost.
    pub(crate) fn costs(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let mut costs = self.costs.told.remove(&(stream.process, stream.part)).unwrap_or_default();
        each(record, |pc, event, times| {
            let (module, rva) = self.counts.place(&self.images, image, pc);
            costs.add((module, rva, event), times, add);
        });
        self.costs.told.insert((stream.process, stream.part), costs);
        true
    }

    /// What was told of a part counts for nothing.
    pub(crate) fn drop_costs(&mut self, process: u32, part: u32) {
        self.costs.told.remove(&(process, part));
    }

    /// Writes all costs.
    pub(crate) fn finish_costs(&mut self) {
        for ((process, part), costs) in std::mem::take(&mut self.costs.told) {
            let ids = EVENTS.map(|name| self.trace.string(name));
            let sorted = costs.into_sorted(add);
            let row = |((module, rva, event), times): (At, u64)| Cost {
                module,
                rva,
                event: ids[usize::from(event)],
                times,
            };
            // All that were counted are known by these, also those that never occurred.
            let counted = (0..EVENTS.len() as u8).filter(|event| self.costs.counted >> event & 1 != 0);
            let counted = counted.map(|event| row(((0, 0, event), 0)));
            let rows: Vec<Cost> = counted.chain(sorted.into_iter().map(row)).collect();
            self.trace.put(|writer| writer.costs(process, part, &rows));
        }
    }
}
