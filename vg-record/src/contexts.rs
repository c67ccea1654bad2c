//! In which contexts functions were called: the trees that the engine tells, with places in modules.
//!
//! A tree is told when its thread ends, and perhaps before; what is told of a node adds up. They are written when all is
//! over. Always holds: a caller comes before what it calls; a record that makes no sense
//! costs data, never the recorder. Not here: building the tree (`engine::calls`), what functions are called (`counts`).

use crate::costs;
use crate::decode::{Recording, Stream};
use crate::gather::Gathered;
use crate::images::ImageId;
use ring::record::{CONTEXT_WORDS, EVENTS, Record};
use schema::{Context, ContextCost};
use std::collections::BTreeMap;

/// Of a process, a thread, and an image of the process.
type Of = (u32, u32, ImageId);

/// The trees.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    trees: BTreeMap<Of, Vec<Context>>,
    /// What was spent in their nodes besides instructions, by node and event.
    spent: BTreeMap<Of, Gathered<(u64, u8), u64>>,
}

/// Return address of a call that was none.
const JUMP: u64 = 1;

impl Recording {
    /// Nodes of a thread's calling-context tree.
    pub(crate) fn contexts(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let tree = self.contexts.trees.entry((stream.process, stream.thread, image)).or_default();
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

    /// What was spent in nodes of a thread's tree.
    pub(crate) fn context_costs(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let spent = self.contexts.spent.entry((stream.process, stream.thread, image)).or_default();
        costs::each(record, |node, event, times| spent.add((node, event), times, costs::add));
        true
    }

    /// Writes all trees, and what was spent in them.
    pub(crate) fn finish_contexts(&mut self) {
        let Contexts { trees, mut spent } = std::mem::take(&mut self.contexts);
        let mut written: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for (of, tree) in trees {
            let (process, thread, _) = of;
            let before = written.entry((process, thread)).or_default();
            let new = renumbered(&tree, *before);
            let rows = rows(&tree, &new);
            *before += rows.len() as u32;
            self.trace.put(|writer| writer.contexts(process, thread, &rows));
            let Some(spent) = spent.remove(&of) else { continue };
            let ids = EVENTS.map(|name| self.trace.string(name));
            let named = |((node, event), times): ((u64, u8), u64)| {
                let context = new.get(usize::try_from(node).ok()?).copied().flatten()?;
                Some(ContextCost { context, event: ids[usize::from(event)], times })
            };
            let rows: Vec<ContextCost> =
                spent.into_sorted(costs::add).into_iter().filter_map(named).collect();
            self.trace.put(|writer| writer.context_costs(process, thread, &rows));
        }
    }
}

/// The numbers of the tree's rows, from `before` + 1 on, without contexts where nothing was called or executed, as those of a
/// parent before a fork.
fn renumbered(tree: &[Context], before: u32) -> Vec<Option<u32>> {
    let mut used: Vec<bool> = tree.iter().map(|node| node.calls > 0 || node.cost > 0).collect();
    for (number, node) in tree.iter().enumerate().rev().filter(|(_, node)| node.parent > 0) {
        if used[number] {
            used[node.parent as usize - 1] = true;
        }
    }
    let mut next = before;
    let number = |used: bool| {
        next += u32::from(used);
        used.then_some(next)
    };
    used.into_iter().map(number).collect()
}

/// The rows of the tree that have a number, which name each other by it.
fn rows(tree: &[Context], new: &[Option<u32>]) -> Vec<Context> {
    let renamed = |id: u32| id.checked_sub(1).and_then(|number| new[number as usize]).unwrap_or(0);
    let rows = tree.iter().zip(new).filter(|(_, number)| number.is_some());
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
        assert_eq!(rows(&tree, &renumbered(&tree, 4)), expected);
    }
}
