//! In which contexts functions were called: the trees that the engine tells, with places in modules.
//!
//! A tree is told when its thread ends, and perhaps before; what is told of a node adds up. They are written where a part ends, and
//! when all is over. Always holds: a caller comes before what it calls; a record that makes no sense
//! costs data, never the recorder. Not here: building the tree (`engine::calls`), what functions are called (`counts`).

use crate::decode::{Recording, Stream};
use crate::images::ImageId;
use ring::record::{CONTEXT_WORDS, Record};
use schema::Context;
use std::collections::BTreeMap;

/// What is known of all threads.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// Trees by process, thread and image of the process, with the part that they are of.
    trees: BTreeMap<(u32, u32, ImageId), (u32, Vec<Context>)>,
    /// Rows written, by process, thread and part.
    written: BTreeMap<(u32, u32, u32), u32>,
}

/// Return address of a call that was none.
const JUMP: u64 = 1;

impl Recording {
    /// Nodes of a thread's calling-context tree.
    pub(crate) fn contexts(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let (part, tree) = self.contexts.trees.entry((stream.process, stream.thread, image)).or_default();
        *part = stream.part;
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

    /// A part ends for the thread of a ring, whose tree is told for it. `zeroed`: it counts for nothing.
    pub(crate) fn end_contexts(&mut self, stream: &mut Stream, zeroed: bool) {
        let image = self.image(stream);
        let key = (stream.process, stream.thread, image);
        let Some((part, mut tree)) = self.contexts.trees.remove(&key) else { return };
        if !zeroed {
            self.write_tree(stream.process, stream.thread, part, &tree);
        }
        // The next part's are told for the same numbers.
        for node in &mut tree {
            (node.calls, node.cost) = (0, 0);
        }
        self.contexts.trees.insert(key, (part, tree));
    }

    /// Writes all trees.
    pub(crate) fn finish_contexts(&mut self) {
        for ((process, thread, _), (part, tree)) in std::mem::take(&mut self.contexts.trees) {
            self.write_tree(process, thread, part, &tree);
        }
    }

    fn write_tree(&mut self, process: u32, thread: u32, part: u32, tree: &[Context]) {
        let before = self.contexts.written.entry((process, thread, part)).or_default();
        let rows = renumbered(tree, *before);
        *before += rows.len() as u32;
        // What was called before it was collected has no counts that would name it.
        for row in &rows {
            for at in [(row.module, row.rva), (row.site_module, row.site_rva)] {
                self.counts.is_named(at, 1);
            }
        }
        self.trace.put(|writer| writer.contexts(process, thread, part, &rows));
    }
}

/// The tree without contexts where nothing was called or executed, as those of a parent before a fork. Its rows are numbered from
/// `before` + 1 on.
fn renumbered(tree: &[Context], before: u32) -> Vec<Context> {
    let mut used: Vec<bool> = tree.iter().map(|node| node.calls > 0 || node.cost > 0).collect();
    for (number, node) in tree.iter().enumerate().rev().filter(|(_, node)| node.parent > 0) {
        if used[number] {
            used[node.parent as usize - 1] = true;
        }
    }
    let mut next = before;
    let new: Vec<u32> = used
        .iter()
        .map(|used| {
            next += u32::from(*used);
            next
        })
        .collect();
    let renamed = |id: u32| id.checked_sub(1).map_or(0, |number| new[number as usize]);
    let rows = tree.iter().zip(&used).filter(|(_, used)| **used);
    rows.map(|(node, _)| Context { parent: renamed(node.parent), again: renamed(node.again), ..*node })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_is_left_out() {
        let node = |parent, calls, cost, again| Context { parent, calls, cost, again, ..Context::default() };
        let tree = [
            node(0, 0, 1, 0),
            node(1, 0, 0, 0),
            // Used below, and again from there.
            node(1, 0, 0, 0),
            node(3, 2, 5, 0),
            node(4, 7, 0, 3),
            node(3, 0, 0, 0),
        ];
        let expected = [node(0, 0, 1, 0), node(5, 0, 0, 0), node(6, 2, 5, 0), node(7, 7, 0, 6)];
        assert_eq!(renumbered(&tree, 4), expected);
    }
}
