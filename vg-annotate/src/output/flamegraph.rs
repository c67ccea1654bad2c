//! Flame graphs as one SVG file: a frame is as wide as what its function costs with all that it calls; what it was called
//! from is below it. Of a comparison, widths are those of the new one, and colours tell the change: red is more, blue is less.
//!
//! What always holds: the file needs nothing beside it; names from the program are escaped; the same input gives the same
//! file. A click makes a frame as wide as the picture, a search marks frames by a regular expression (`flamegraph.js`). Frames narrower than [`LEAST`]
//! are left out.

use super::stacks::Tree;
use report::format::grouped;
use std::io::{self, Write};

/// Width of the picture, in pixels.
const WIDTH: f64 = 1200.0;
/// Height of a frame.
const HEIGHT: usize = 17;
/// Space above the frames, for the title, and below, for what is told of a frame.
const ABOVE: usize = 50;
const BELOW: usize = 30;
/// Space left and right of the frames.
const MARGIN: f64 = 10.0;
/// Width of a frame that is left out.
const LEAST: f64 = 0.1;
/// Width of a character.
const CHARACTER: f64 = 7.1;

const SCRIPT: &str = include_str!("flamegraph.js");

/// What a picture says beside its frames.
pub(super) struct Caption<'a> {
    /// Above the picture.
    pub(super) title: &'a str,
    /// What is counted.
    pub(super) event: &'a str,
    /// Whether there is a before and an after.
    pub(super) is_change: bool,
}

struct Frame<'a> {
    name: &'a str,
    depth: usize,
    /// Where it begins, and how wide it is, as parts of the whole.
    from: f64,
    part: f64,
    costs: [u64; 2],
    own: [u64; 2],
}

/// Writes the picture.
pub(super) fn write(out: &mut dyn Write, tree: &Tree, caption: &Caption<'_>) -> io::Result<()> {
    let totals = tree.inclusive()[0];
    let frames = frames(tree);
    let depth = frames.iter().map(|frame| frame.depth).max().unwrap_or(0);
    let height = ABOVE + BELOW + (depth + 1) * HEIGHT;
    writeln!(
        out,
        r##"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<svg version="1.1" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg" font-family="monospace" font-size="12">
<style>text {{ fill: #000; }} .f {{ cursor: pointer; }} .f:hover rect {{ stroke: #000; }} .faded {{ opacity: 0.5; }} .found rect {{ fill: #e600e6; }}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{middle}" y="24" font-size="17" text-anchor="middle">{title}</text>
<text id="reset" class="f" x="{MARGIN}" y="24" visibility="hidden">Reset zoom</text>
<text id="search" class="f" x="{right}" y="24" text-anchor="end">Search</text>
<text id="matched" x="{right}" y="{bottom}" text-anchor="end"></text>
<text id="details" x="{MARGIN}" y="{bottom}"> </text>
<g id="frames" data-margin="{MARGIN}" data-width="{width}" data-character="{CHARACTER}">"##,
        middle = WIDTH / 2.0,
        right = WIDTH - MARGIN,
        width = WIDTH - 2.0 * MARGIN,
        bottom = height - 10,
        // As much as fits between reset and search.
        title = escaped(&fitting(caption.title, 700.0)),
    )?;
    let largest = frames.iter().map(|frame| own_change(frame, totals).abs()).fold(0.0, f64::max);
    for frame in &frames {
        let (x, width) = (MARGIN + frame.from * (WIDTH - 2.0 * MARGIN), frame.part * (WIDTH - 2.0 * MARGIN));
        let y = height - BELOW - (frame.depth + 1) * HEIGHT;
        let colour = if caption.is_change {
            change_colour(own_change(frame, totals), largest)
        } else {
            warm_colour(frame.name)
        };
        writeln!(
            out,
            r#"<g class="f" data-x="{:.6}" data-w="{:.6}" data-d="{}"><title>{}</title><rect x="{x:.1}" y="{y}" width="{width:.1}" height="{}" rx="1" fill="{colour}"/><text x="{:.1}" y="{}">{}</text></g>"#,
            frame.from,
            frame.part,
            frame.depth,
            escaped(&told(frame, totals, caption)),
            HEIGHT - 1,
            x + 3.0,
            y + 12,
            escaped(&fitting(frame.name, width)),
        )?;
    }
    writeln!(out, "</g>\n<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>")
}

/// All frames that are wide enough, those below before those above.
fn frames(tree: &Tree) -> Vec<Frame<'_>> {
    let costs = tree.inclusive();
    let total = costs[0][1].max(1) as f64;
    let mut frames = vec![Frame {
        name: "all",
        depth: 0,
        from: 0.0,
        part: if costs[0][1] == 0 { 0.0 } else { 1.0 },
        costs: costs[0],
        own: tree.nodes[0].own,
    }];
    // Without recursion: stacks may be deep.
    let mut work = vec![(0, 1, 0u64)];
    while let Some((id, depth, mut before)) = work.pop() {
        for (name, child) in &tree.nodes[id].children {
            let costs = costs[*child];
            let (from, part) = (before as f64 / total, costs[1] as f64 / total);
            if part * WIDTH >= LEAST {
                frames.push(Frame { name, depth, from, part, costs, own: tree.nodes[*child].own });
                work.push((*child, depth + 1, before));
            }
            before = before.saturating_add(costs[1]);
        }
    }
    frames
}

/// How much more a frame itself costs, as part of the greater total.
fn own_change(frame: &Frame<'_>, totals: [u64; 2]) -> f64 {
    (frame.own[1] as f64 - frame.own[0] as f64) / totals[0].max(totals[1]).max(1) as f64
}

/// What a frame says when it is pointed at.
fn told(frame: &Frame<'_>, totals: [u64; 2], caption: &Caption<'_>) -> String {
    let [old, new] = frame.costs;
    let percent = |cost: u64, total: u64| if total == 0 { 0.0 } else { cost as f64 * 100.0 / total as f64 };
    let costs = format!("{} {}, {:.2} %", grouped(new), caption.event, percent(new, totals[1]));
    if !caption.is_change {
        return format!("{} ({costs})", frame.name);
    }
    let sign = if new < old { '-' } else { '+' };
    format!("{} ({costs}; {sign}{} since {})", frame.name, grouped(new.abs_diff(old)), grouped(old))
}

/// As much of a name as there is room for.
fn fitting(name: &str, width: f64) -> String {
    let room = ((width - 6.0) / CHARACTER) as usize;
    if name.chars().count() <= room {
        name.to_owned()
    } else if room < 3 {
        String::new()
    } else {
        name.chars().take(room - 2).chain("..".chars()).collect()
    }
}

/// A colour between red and yellow that depends on the name alone.
fn warm_colour(name: &str) -> String {
    // FNV-1a: spreads names that differ little.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let part = |shift: u32, size: u64| (hash >> shift) % size;
    format!("rgb({},{},{})", 205 + part(40, 50), 80 + part(20, 150), part(8, 55))
}

/// Grey for no change, red for the largest growth, blue for the largest decline.
fn change_colour(change: f64, largest: f64) -> String {
    let strength = if largest > 0.0 { (change.abs() / largest).sqrt() } else { 0.0 };
    if strength == 0.0 {
        return "rgb(230,230,230)".to_owned();
    }
    let faded = 230 - (165.0 * strength) as u8;
    if change > 0.0 { format!("rgb(255,{faded},{faded})") } else { format!("rgb({faded},{faded},255)") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let main = tree.child(0, "main".to_owned());
        tree.nodes[main].own = [100, 20];
        for (name, own) in [("f<int>", [50, 60]), ("tiny", [0, 0]), ("z", [0, 20])] {
            let id = tree.child(main, name.to_owned());
            tree.nodes[id].own = own;
        }
        tree
    }

    #[test]
    fn widths_are_costs() {
        let tree = tree();
        let frames = frames(&tree);
        let seen: Vec<_> =
            frames.iter().map(|frame| (frame.name, frame.depth, frame.from, frame.part)).collect();
        assert_eq!(
            seen,
            [("all", 0, 0.0, 1.0), ("main", 1, 0.0, 1.0), ("f<int>", 2, 0.0, 0.6), ("z", 2, 0.6, 0.2)]
        );
    }

    #[test]
    fn the_picture_tells_numbers_and_escapes_names() {
        let picture = |is_change| {
            let mut out = Vec::new();
            write(&mut out, &tree(), &Caption { title: "a & b", event: "Ir", is_change }).unwrap();
            String::from_utf8(out).unwrap()
        };
        let one = picture(false);
        assert!(one.contains("<title>f&lt;int&gt; (60 Ir, 60.00 %)</title>"), "{one}");
        assert!(one.contains("a &amp; b") && !one.contains("tiny"));
        assert_eq!(one, picture(false));
        let change = picture(true);
        assert!(change.contains("<title>f&lt;int&gt; (60 Ir, 60.00 %; +10 since 50)</title>"), "{change}");
        assert!(change.contains("-50 since 150"), "{change}");
    }

    #[test]
    fn colours_and_names_fit() {
        assert_eq!(change_colour(0.0, 0.0), "rgb(230,230,230)");
        assert_eq!(change_colour(0.5, 0.5), "rgb(255,65,65)");
        assert_eq!(change_colour(-0.5, 0.5), "rgb(65,65,255)");
        assert_eq!(fitting("abcdef", 100.0), "abcdef");
        assert_eq!(fitting("abcdefghij", 6.0 + 5.0 * CHARACTER + 1.0), "abc..");
        assert_eq!(fitting("abcdef", 10.0), "");
    }
}
