//! Collapsed stacks: `main;parse;read 1234`, one line for each stack, of one event; of a comparison two numbers, before and after.
//!
//! What always holds: numbers are whole, and lines are sorted. Read by flamegraph.pl, inferno, speedscope and others.

use super::stacks::Tree;
use std::io::{self, Write};

/// Writes all stacks of a tree.
pub(super) fn write(out: &mut dyn Write, tree: &Tree, is_change: bool) -> io::Result<()> {
    // Without recursion: stacks may be deep.
    let mut work: Vec<(String, usize)> = vec![(String::new(), 0)];
    while let Some((path, id)) = work.pop() {
        let node = &tree.nodes[id];
        if node.own != [0, 0] {
            let [old, new] = node.own;
            if is_change { writeln!(out, "{path} {old} {new}")? } else { writeln!(out, "{path} {new}")? }
        }
        for (name, child) in node.children.iter().rev() {
            let path = if path.is_empty() { name.clone() } else { format!("{path};{name}") };
            work.push((path, *child));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stack_is_a_line() {
        let mut tree = Tree::default();
        let main = tree.child(0, "main".to_owned());
        tree.nodes[main].own = [1, 2];
        let f = tree.child(main, "f".to_owned());
        tree.nodes[f].own = [0, 5];
        tree.child(main, "e".to_owned());
        let text = |is_change| {
            let mut out = Vec::new();
            write(&mut out, &tree, is_change).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(false), "main 2\nmain;f 5\n");
        assert_eq!(text(true), "main 1 2\nmain;f 0 5\n");
    }
}
