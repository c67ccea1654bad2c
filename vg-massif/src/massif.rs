//! Massif's own format, for ms_print, massif-visualizer and vg-annotate.
//!
//! Files have their full paths, as with Valgrind's `--fullpath-after=`, so that readers find them. What always holds: a name
//! from the program ends no line.

use crate::options::Options;
use crate::run::Report;
use crate::tree::{What, tree};
use report::format::harmless;
use report::stack::Frame;
use std::io::{self, Write};

/// Writes a report.
pub(crate) fn write(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    writeln!(out, "desc: {}", harmless(&options.description()))?;
    writeln!(out, "cmd: {}", harmless(&report.process.image().command.join(" ")))?;
    writeln!(out, "time_unit: {}", options.time_unit.name())?;
    for (number, snapshot) in report.snapshots.iter().enumerate() {
        writeln!(out, "#-----------\nsnapshot={number}\n#-----------\ntime={}", snapshot.time)?;
        writeln!(out, "mem_heap_B={}\nmem_heap_extra_B={}", snapshot.bytes, snapshot.extra)?;
        writeln!(out, "mem_stacks_B=0\nheap_tree={}", snapshot.kind())?;
        let Some(detail) = &snapshot.detail else { continue };
        for entry in tree(detail, &mut report.callers, snapshot.total(), options.threshold) {
            let indent = entry.depth;
            write!(out, "{:indent$}n{}: {} ", "", entry.children, entry.bytes)?;
            match entry.what {
                What::Allocators => {
                    writeln!(out, "(heap allocation functions) malloc/new/new[], --alloc-fns, etc.")
                }
                What::Function(frame) => writeln!(out, "{}", label(&frame)),
                What::Places(places) => {
                    let (noun, all) = if places == 1 { ("place", "") } else { ("places", "all ") };
                    let below = options.threshold;
                    writeln!(out, "in {places} {noun}, {all}below massif's threshold ({below:.2}%)")
                }
            }?;
        }
    }
    Ok(())
}

/// `0x401136: f (/path/file.c:12)`, or with the module that holds it.
fn label(frame: &Frame<'_>) -> String {
    let function = if frame.function.is_empty() { "???".into() } else { harmless(frame.function) };
    let place = match (frame.file, frame.line, frame.module) {
        (file, 1.., _) if !file.is_empty() => format!(" ({}:{})", harmless(file), frame.line),
        (_, _, module) if !module.is_empty() => format!(" (in {})", harmless(module)),
        _ => String::new(),
    };
    format!("0x{:X}: {function}{place}", frame.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_what_is_known() {
        let whole =
            Frame { address: 0x4a, function: "f", file: "/s/a.c", line: 12, module: "/b/p", inlined: false };
        assert_eq!(label(&whole), "0x4A: f (/s/a.c:12)");
        assert_eq!(label(&Frame { line: 0, ..whole }), "0x4A: f (in /b/p)");
        assert_eq!(label(&Frame { file: "", function: "g\n", ..whole }), "0x4A: g\\n (in /b/p)");
        assert_eq!(label(&Frame { address: 1, ..Frame::default() }), "0x1: ???");
    }
}
