//! In which contexts functions were called: the trees that the engine tells, with places in modules.
//!
//! A tree is told when its thread ends, and perhaps before; what is told of a node adds up. They are written when all is over, when it
//! is known which code is a linkage table's. Always holds: a caller comes before what it calls; a record that makes no sense
//! costs data, never the recorder. Not here: building the tree (`engine::calls`), what functions are called (`counts`).

use crate::decode::{Recording, Stream};
use crate::images::ImageId;
use ring::record::{CONTEXT_WORDS, Record};
use schema::Context;
use std::collections::BTreeMap;

/// Trees by process, thread and image of the process.
#[derive(Debug, Default)]
pub(crate) struct Contexts(BTreeMap<(u32, u32, ImageId), Vec<Context>>);

/// Return address of a call that was none.
const JUMP: u64 = 1;

impl Recording {
    /// Nodes of a thread's calling-context tree.
    pub(crate) fn contexts(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let tree = self.contexts.0.entry((stream.process, stream.thread, image)).or_default();
        for piece in record.words.get(1..).unwrap_or_default().chunks_exact(CONTEXT_WORDS) {
            let &[ids, target, function, site, calls, cost] = piece else { break };
            let (number, parent) = (ids as u32, (ids >> 32) as u32);
            if let Some(known) = tree.get_mut(number as usize) {
                known.calls = known.calls.saturating_add(calls);
                known.cost = known.cost.saturating_add(cost);
                continue;
            }
            let sound = number as usize == tree.len()
                && (parent < number || number == 0)
                && target <= u64::from(number);
            if !sound {
                break;
            }
            let place = |address| match address {
                0 => (0, 0),
                _ => self.counts.place(&self.images, image, address),
            };
            let (module, rva) = place(function);
            let (site_module, site_rva) = place(if site == JUMP { 0 } else { site.saturating_sub(1) });
            tree.push(Context {
                parent: if number == 0 { 0 } else { parent + 1 },
                module,
                rva,
                site_module,
                site_rva,
                calls,
                cost,
                again: if target == u64::from(number) { 0 } else { target as u32 + 1 },
            });
        }
        true
    }

    /// Writes all trees. `is_linkage`: the code there is a linkage table's, by module and address.
    pub(crate) fn finish_contexts(&mut self, is_linkage: impl Fn(u32, u64) -> bool) {
        let trees = std::mem::take(&mut self.contexts.0);
        let mut written: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for ((process, thread, _), tree) in trees {
            let before = written.entry((process, thread)).or_default();
            let rows = renumbered(&tree, *before, &is_linkage);
            *before += rows.len() as u32;
            self.trace.put(|writer| writer.contexts(process, thread, &rows));
        }
    }
}

/// The tree without its linkage tables, whose cost is that of who called through them, and without contexts that no instruction
/// was executed in. Its rows are numbered from `before` + 1 on.
fn renumbered(tree: &[Context], before: u32, is_linkage: impl Fn(u32, u64) -> bool) -> Vec<Context> {
    let is_table = |node: &Context| node.again == 0 && is_linkage(node.module, node.rva);
    // Whether anything happened there or below.
    let mut used: Vec<bool> = tree.iter().map(|node| node.calls > 0 || node.cost > 0).collect();
    for (number, node) in tree.iter().enumerate().rev() {
        if used[number] && node.parent > 0 {
            used[node.parent as usize - 1] = true;
        }
        if used[number] && node.again > 0 {
            used[node.again as usize - 1] = true;
        }
    }
    let mut rows: Vec<Context> = Vec::new();
    // By row of the tree: its new number, or that of who called through the table that it is.
    let mut new = vec![0u32; tree.len()];
    for (number, node) in tree.iter().enumerate() {
        if !used[number] {
            continue;
        }
        let parent = node.parent.checked_sub(1).map(|parent| parent as usize);
        let caller = parent.map_or(0, |parent| new[parent]);
        if is_table(node)
            && let Some(row) = (caller - before.min(caller)).checked_sub(1)
        {
            rows[row as usize].cost = rows[row as usize].cost.saturating_add(node.cost);
            new[number] = caller;
            continue;
        }
        if node.again > 0 && is_linkage(node.module, node.rva) {
            continue;
        }
        let mut row = Context { parent: caller, ..*node };
        if let Some(through) = parent.map(|parent| &tree[parent]).filter(|parent| is_table(parent))
            && (row.site_module, row.site_rva) == (0, 0)
        {
            (row.site_module, row.site_rva) = (through.site_module, through.site_rva);
        }
        if node.again > 0 {
            row.again = new[node.again as usize - 1];
        }
        rows.push(row);
        new[number] = before + rows.len() as u32;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parent: u32, rva: u64, site_rva: u64, calls: u64, cost: u64) -> Context {
        Context {
            parent,
            module: 1,
            rva,
            site_module: u32::from(site_rva > 0),
            site_rva,
            calls,
            cost,
            again: 0,
        }
    }

    #[test]
    fn linkage_tables_are_their_callers() {
        const TABLE: u64 = 50;
        let tree = [
            node(0, 0, 0, 0, 1),
            node(1, 10, 5, 1, 100),
            node(2, TABLE, 11, 7, 14),
            // Reached through the table, as a jump.
            node(3, 20, 0, 7, 70),
            Context { again: 2, ..node(4, 10, 21, 3, 0) },
            // Nothing happened there since it was told last.
            node(2, 30, 12, 0, 0),
        ];
        let rows = renumbered(&tree, 4, |_, rva| rva == TABLE);
        let expected = [
            node(0, 0, 0, 0, 1),
            node(5, 10, 5, 1, 114),
            node(6, 20, 11, 7, 70),
            Context { again: 6, ..node(7, 10, 21, 3, 0) },
        ];
        assert_eq!(rows, expected);
    }
}
