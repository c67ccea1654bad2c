//! Memory policies: masks of nodes.
//!
//! What always holds: a mask is as long as the kernel reads or writes it, in words of 8 bytes.

use crate::visit::Visit;

/// The kernel refuses more nodes than a page has bits.
const NODES_MAX: u64 = super::PAGE * 8;

/// Bytes of a mask: the kernel takes one node less than it is told.
fn mask(nodes: u64) -> u64 {
    if nodes > NODES_MAX { 0 } else { nodes.saturating_sub(1).div_ceil(64) * 8 }
}

pub(crate) fn mbind(visit: &mut Visit<'_>) {
    if visit.argument(3) != 0 {
        visit.read(visit.text(3), visit.argument(3), mask(visit.argument(4)));
    }
}

pub(crate) fn set_mempolicy(visit: &mut Visit<'_>) {
    if visit.argument(1) != 0 {
        visit.read(visit.text(1), visit.argument(1), mask(visit.argument(2)));
    }
}

pub(crate) fn get_mempolicy(visit: &mut Visit<'_>) {
    if visit.argument(0) != 0 {
        visit.write(visit.text(0), visit.argument(0), 4);
    }
    if visit.argument(1) != 0 {
        visit.write(visit.text(1), visit.argument(1), mask(visit.argument(2)));
    }
}

pub(crate) fn migrate_pages(visit: &mut Visit<'_>) {
    let size = mask(visit.argument(1));
    for index in [2, 3] {
        if visit.argument(index) != 0 {
            visit.read(visit.text(index), visit.argument(index), size);
        }
    }
}
