//! From guest pages to the fragments that depend on bytes of them.
//!
//! Lists through the fragments themselves: a fragment depends on at most two pages. Invariant: what is removed from the
//! cache is taken out of its lists first, except fragments that died otherwise, which the next walk drops.

use super::{Fragment, FragmentId, NONE};
use crate::space::PAGE;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Heads of the lists, by page number.
#[derive(Default)]
pub(super) struct Pages {
    heads: BTreeMap<u64, FragmentId>,
    /// Fragments that were made with a look at bytes of a page beyond their own.
    lookers: BTreeMap<u64, Vec<FragmentId>>,
}

/// First and last page that a fragment depends on.
fn pages_of(fragment: &Fragment) -> (u64, u64) {
    let (first, last) = (fragment.pc / PAGE, (fragment.end - 1).max(fragment.pc) / PAGE);
    debug_assert!(last - first <= 1, "longer than what is looked at for one fragment");
    (first, last)
}

/// Which of a fragment's two lists is that of `page`.
fn list(fragment: &Fragment, page: u64) -> usize {
    usize::from(pages_of(fragment).0 != page)
}

impl Pages {
    pub(super) fn add(&mut self, fragments: &mut [Fragment], id: FragmentId) {
        let fragment = &mut fragments[id as usize];
        let (first, last) = pages_of(fragment);
        for page in first..=last {
            let head = self.heads.entry(page).or_insert(NONE);
            fragment.next_in_page[list(fragment, page)] = core::mem::replace(head, id);
        }
    }

    /// Takes all living fragments that depend on bytes of `[start, end)` out of the lists of these pages.
    pub(super) fn take(&mut self, fragments: &mut [Fragment], start: u64, end: u64) -> Vec<FragmentId> {
        let mut taken = Vec::new();
        let mut without = Vec::new();
        for (&page, head) in self.heads.range_mut(start / PAGE..=(end - 1) / PAGE) {
            let mut kept = NONE;
            let mut at = *head;
            while at != NONE {
                let fragment = &mut fragments[at as usize];
                let which = list(fragment, page);
                let next = fragment.next_in_page[which];
                if fragment.alive && fragment.pc < end && fragment.end > start {
                    taken.push(at);
                } else if fragment.alive {
                    fragment.next_in_page[which] = kept;
                    kept = at;
                }
                at = next;
            }
            *head = kept;
            if kept == NONE {
                without.push(page);
            }
        }
        for (_, lookers) in self.lookers.range_mut(start / PAGE..=(end - 1) / PAGE) {
            taken.extend(core::mem::take(lookers).into_iter().filter(|id| fragments[*id as usize].alive));
        }
        for page in without {
            self.heads.remove(&page);
        }
        taken.sort_unstable();
        taken.dedup();
        taken
    }

    /// The fragment depends on bytes of `[start, end)`, too.
    pub(super) fn looked_at(&mut self, id: FragmentId, start: u64, end: u64) {
        for page in start / PAGE..=(end - 1) / PAGE {
            self.lookers.entry(page).or_default().push(id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.lookers.clear();
    }
}
