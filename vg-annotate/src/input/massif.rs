//! Files of massif: who held the heap at its peak.
//!
//! The tree of one snapshot becomes stacks: that of the peak, or, where none is marked so, of the detailed snapshot with the most bytes. What
//! always holds: bytes are held by the first frame that is no allocator's and no standard library's, at its line, and the
//! frames before it are left out; all frames behind it have called for them. Bytes that the file does not break down are
//! those of the frame above. Not here: how memory changed in time, which is `vg-massif`'s.

use super::Read;
use super::lines::{Lines, Problem};
use crate::profile::contexts::ContextId;
use crate::profile::events::BYTES;
use crate::profile::{Event, Function, Place, Profile};
use report::stack::{Frame, Origin};
use std::io::BufRead;

/// Name of the function that bytes are of whose stacks massif left out.
const REST: &str = "(below massif's threshold)";

/// A line of a tree.
#[derive(Debug, Clone)]
struct Node {
    /// The one above it; none for the first line, which is no frame.
    parent: Option<usize>,
    bytes: u64,
    label: String,
    /// Lines below it that are still to come.
    missing: u64,
}

/// A detailed snapshot.
#[derive(Debug, Default)]
struct Snapshot {
    number: u64,
    time: String,
    is_peak: bool,
    nodes: Vec<Node>,
}

/// Reads a file.
pub(super) fn read(input: &mut dyn BufRead) -> Result<Read, Problem> {
    let mut lines = Lines::new(input);
    let mut profile = Profile::new(Vec::new());
    let (mut unit, mut current, mut best) = (String::new(), Snapshot::default(), None::<Snapshot>);
    let mut snapshots = 0u64;
    while lines.advance()? {
        let text = lines.text();
        if text.trim_start().starts_with('n') && snapshots > 0 {
            tree(&mut lines, &mut current.nodes)?;
            let better = best.as_ref().is_none_or(|best| {
                (current.is_peak, current.nodes[0].bytes) > (best.is_peak, best.nodes[0].bytes)
            });
            if better {
                best = Some(std::mem::take(&mut current));
            }
        } else if text.starts_with("desc:") || text.starts_with('#') || text.trim().is_empty() {
            continue;
        } else if let Some(command) = text.strip_prefix("cmd:") {
            profile.command = vec![command.trim().to_owned()];
        } else if let Some(name) = text.strip_prefix("time_unit:") {
            unit = name.trim().to_owned();
        } else if let Some((key, value)) = text.split_once('=') {
            match key {
                "snapshot" => {
                    let number = value.parse().map_err(|_| lines.wrong("is no number of a snapshot"))?;
                    current = Snapshot { number, ..Snapshot::default() };
                    snapshots += 1;
                }
                "time" => value.clone_into(&mut current.time),
                "heap_tree" => current.is_peak = value == "peak",
                "mem_heap_B" | "mem_heap_extra_B" | "mem_stacks_B" => {}
                _ => return Err(lines.wrong("is no line of a massif file")),
            }
        } else {
            return Err(lines.wrong("is no line of a massif file"));
        }
    }
    let Some(best) = best else {
        return Err(Problem::of_file(match snapshots {
            0 => "no snapshot; the file is cut short",
            _ => "no snapshot says who allocated; the file is cut short, or the heap was empty all the time",
        }));
    };
    let marked = if best.is_peak { "the peak" } else { "the largest that is broken down" };
    profile.events = vec![Event {
        name: BYTES.to_owned(),
        meaning: format!(
            "bytes of the heap in use at snapshot {}, {marked}, at {} {unit}",
            best.number, best.time
        ),
    }];
    fill(&mut profile, &best.nodes);
    Ok((profile, Vec::new()))
}

/// Reads the tree that begins with the current line.
fn tree(lines: &mut Lines<'_>, nodes: &mut Vec<Node>) -> Result<(), Problem> {
    nodes.clear();
    // The innermost node that lines are still missing of.
    let mut open: Option<usize> = None;
    loop {
        let text = lines.text();
        let mut node = node(text).ok_or_else(|| lines.wrong("is no line of a heap tree"))?;
        let depth = text.len() - text.trim_start_matches(' ').len();
        node.parent = open;
        if let Some(above) = open {
            nodes[above].missing -= 1;
        }
        let expected = open.map_or(0, |above| depth_of(nodes, above) + 1);
        if depth != expected {
            return Err(lines.wrong(&format!("is indented by {depth} instead of {expected}")));
        }
        nodes.push(node);
        open = Some(nodes.len() - 1);
        while let Some(at) = open.filter(|at| nodes[*at].missing == 0) {
            open = nodes[at].parent;
        }
        if open.is_none() {
            return Ok(());
        }
        if !lines.advance()? {
            return Err(lines.problem("ends in the middle of a heap tree"));
        }
    }
}

fn depth_of(nodes: &[Node], at: usize) -> usize {
    std::iter::successors(nodes[at].parent, |at| nodes[*at].parent).count()
}

/// `n2: 3000 0x109151: main (a.c:5)`.
fn node(text: &str) -> Option<Node> {
    let (children, rest) = text.trim_start().strip_prefix('n')?.split_once(':')?;
    let rest = rest.trim_start();
    let (bytes, label) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Node {
        parent: None,
        bytes: bytes.parse().ok()?,
        label: label.to_owned(),
        missing: children.parse().ok()?,
    })
}

/// What a line of a tree names; `None`: no frame, but several places that massif left out.
fn frame(label: &str) -> Option<Frame<'_>> {
    let (address, rest) = label.split_once(": ")?;
    let address = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
    let mut frame = Frame { address, function: rest, file: "", line: 0, module: "", inlined: false };
    let inside = rest.strip_suffix(')').unwrap_or(rest);
    let with_line = || {
        let (name, place) = inside.rsplit_once(" (")?;
        let (file, line) = place.rsplit_once(':')?;
        Some((name, file, line.parse().ok()?))
    };
    if let Some((name, module)) = inside.split_once(" (in ") {
        (frame.function, frame.module) = (name, module);
    } else if let Some((name, file, line)) = with_line() {
        (frame.function, frame.file, frame.line) = (name, file, line);
    }
    if frame.function == "???" {
        frame.function = "";
    }
    Some(frame)
}

/// Whether a frame only passes on what the one behind it asked for.
fn passes_on(frame: &Frame<'_>) -> bool {
    if is_standard_header(frame.file) {
        return true;
    }
    // massif names most files without their folder: then the function's name has to tell.
    let file = if frame.file.contains('/') { frame.file } else { "" };
    matches!(Frame { file, ..*frame }.origin(), Origin::Allocator | Origin::Standard)
}

/// Whether a file without its folder is one of the standard library's that hold containers: inlined functions have no
/// more of a name than `push_back`.
fn is_standard_header(file: &str) -> bool {
    const HEADERS: &[&str] = &[
        "new_allocator.h",
        "alloc_traits.h",
        "allocator.h",
        "allocated_ptr.h",
        "basic_string.h",
        "hashtable.h",
        "hashtable_policy.h",
        "unordered_map.h",
        "unordered_set.h",
        "shared_ptr.h",
        "shared_ptr_base.h",
        "std_function.h",
        "raw_vec.rs",
        "alloc.rs",
        "boxed.rs",
    ];
    HEADERS.contains(&file) || file.ends_with(".tcc") || file.starts_with("stl_") && file.ends_with(".h")
}

fn fill(profile: &mut Profile, nodes: &[Node]) {
    let mut rest: Vec<u64> = nodes.iter().map(|node| node.bytes).collect();
    for node in nodes {
        // Places below the threshold are the rest of the frame above them.
        if let Some(parent) = node.parent.filter(|_| frame(&node.label).is_some()) {
            rest[parent] = rest[parent].saturating_sub(node.bytes);
        }
    }
    let nowhere = Place { file: profile.file_id(""), line: 0 };
    for (at, node) in nodes.iter().enumerate() {
        let is_place = frame(&node.label).is_some() || node.parent.is_none();
        if !is_place || rest[at] == 0 {
            continue;
        }
        // Outermost first: what is nearest to the tree's root called the allocator.
        let path = std::iter::successors(Some(at), |at| nodes[*at].parent);
        let mut stack: Vec<Frame<'_>> = path.filter_map(|at| frame(&nodes[at].label)).collect();
        let inner = stack.iter().rposition(|frame| !passes_on(frame)).map_or(stack.len(), |at| at + 1);
        stack.truncate(inner.max(1));
        if stack.is_empty() {
            let id = profile.function_id(Function { name: REST.to_owned(), ..Function::default() });
            let context = profile.contexts.call(None, nowhere, id, 0);
            profile.contexts.add(context, &[rest[at]]);
            profile.add_line(id, nowhere, &[rest[at]]);
            continue;
        }
        let (mut context, mut site): (Option<ContextId>, Place) = (None, nowhere);
        let mut function = None;
        for frame in &stack {
            let id = profile.function_id(Function {
                name: frame.function.to_owned(),
                file: frame.file.to_owned(),
                module: frame.module.to_owned(),
            });
            context = Some(profile.contexts.call(context, site, id, 0));
            site = Place { file: profile.file_id(frame.file), line: frame.line };
            function = Some(id);
        }
        if let (Some(context), Some(function)) = (context, function) {
            profile.contexts.add(context, &[rest[at]]);
            profile.add_line(function, site, &[rest[at]]);
        }
    }
    profile.derive_calls();
}

#[cfg(test)]
mod tests;
