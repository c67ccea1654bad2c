//! From guest pc to fragment: an open-addressing table.

use super::FragmentId;
use alloc::vec::Vec;

const EMPTY: u64 = u64::MAX;
const REMOVED: u64 = u64::MAX - 1;

/// The table.
pub(super) struct PcTable {
    slots: Vec<(u64, FragmentId)>,
    /// Slots that are not EMPTY.
    used: usize,
}

fn hash(pc: u64) -> usize {
    (pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

impl PcTable {
    pub(super) fn new() -> PcTable {
        PcTable { slots: alloc::vec![(EMPTY, 0); 4096], used: 0 }
    }

    pub(super) fn get(&self, pc: u64) -> Option<FragmentId> {
        let mask = self.slots.len() - 1;
        let mut at = hash(pc) & mask;
        loop {
            match self.slots[at] {
                (EMPTY, _) => return None,
                (found, id) if found == pc => return Some(id),
                _ => at = (at + 1) & mask,
            }
        }
    }

    pub(super) fn insert(&mut self, pc: u64, id: FragmentId) {
        self.remove(pc);
        if self.used * 2 >= self.slots.len() {
            let old = core::mem::take(&mut self.slots);
            self.slots = alloc::vec![(EMPTY, 0); old.len() * 2];
            self.used = 0;
            for (pc, id) in old {
                if pc != EMPTY && pc != REMOVED {
                    self.place(pc, id);
                }
            }
        }
        self.place(pc, id);
    }

    fn place(&mut self, pc: u64, id: FragmentId) {
        let mask = self.slots.len() - 1;
        let mut at = hash(pc) & mask;
        while self.slots[at].0 != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = (pc, id);
        self.used += 1;
    }

    pub(super) fn remove(&mut self, pc: u64) {
        let mask = self.slots.len() - 1;
        let mut at = hash(pc) & mask;
        while self.slots[at].0 != EMPTY {
            if self.slots[at].0 == pc {
                self.slots[at].0 = REMOVED;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_growth_and_removal() {
        let mut table = PcTable::new();
        for i in 0..20_000u64 {
            table.insert(i * 7, i as u32);
            if i % 3 == 0 {
                table.remove(i * 7);
            }
        }
        for i in 0..20_000u64 {
            assert_eq!(table.get(i * 7), (i % 3 != 0).then_some(i as u32));
        }
        table.insert(7, 99);
        assert_eq!(table.get(7), Some(99));
    }
}
