//! The formats of the report.
//!
//! What always holds: nothing is opened for writing before it is known that the format can show the profile.

mod cachegrind;
mod callgrind;
pub mod changes;
mod collapsed;
mod csv;
mod flamegraph;
mod json;
mod pprof;
mod speedscope;
mod stacks;
mod table;
mod text;

use crate::options::{Format, Options};
use crate::selection::View;
use flamegraph::Caption;
use report::cli::{self, Stop};
use report::style::Style;
use stacks::Tree;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the report.
///
/// # Errors
/// When it cannot be written, or the format needs what the profile does not have.
pub fn write(view: &View<'_>) -> Result<(), Stop> {
    let (options, profile) = (view.options, view.profile);
    let format = options.format.name();
    if options.format.has_stacks() {
        stacks::need(profile, &format)?;
    }
    if options.jumps {
        need_jumps(view)?;
    }
    if options.format.is_whole() && options.only.is_some() {
        return Err(Stop::trouble(format_args!(
            "--format={format} writes all functions; leave --only out, or use text, json or csv"
        )));
    }
    let tree = || {
        let mut tree = Tree::default();
        tree.add(profile, view.chosen.main(), 1, stacks::label);
        tree
    };
    to_output(options, |out, style| match options.format {
        Format::Text => text::write(out, view, style),
        Format::Json => json::write(out, view),
        Format::Csv => csv::write(out, view),
        Format::Callgrind => callgrind::write(out, view),
        Format::Cachegrind => cachegrind::write(out, view),
        Format::Collapsed => collapsed::write(out, &tree(), false),
        Format::Flamegraph => {
            let title = profile.command.join(" ");
            let event = &profile.events[view.chosen.main()].name;
            flamegraph::write(out, &tree(), &Caption { title: &title, event, is_change: false })
        }
        Format::Speedscope => speedscope::write(out, view),
        Format::Pprof => pprof::write(out, view),
    })
}

/// Refuses `--jumps` where there are none, or no place for them.
fn need_jumps(view: &View<'_>) -> Result<(), Stop> {
    let format = view.options.format;
    if !matches!(format, Format::Text | Format::Json | Format::Callgrind) {
        return Err(Stop::trouble(format_args!(
            "--format={} does not show jumps; leave --jumps out, or use text, json or callgrind",
            format.name()
        )));
    }
    match view.profile.jumps().next() {
        Some(_) => Ok(()),
        None => Err(Stop::trouble(
            "--jumps=yes: no jumps are known; record with vg-record --events=blocks or calls, or with callgrind's \
             --collect-jumps=yes",
        )),
    }
}

/// Opens where the report goes and writes it.
fn to_output(
    options: &Options,
    body: impl FnOnce(&mut dyn Write, Style) -> io::Result<()>,
) -> Result<(), Stop> {
    let Some(path) = options.output.as_deref().filter(|path| *path != Path::new("-")) else {
        let mut out = BufWriter::new(io::stdout().lock());
        return body(&mut out, Style::for_stdout(options.color))
            .and_then(|()| out.flush())
            .map_err(|error| Stop::from_write(&error));
    };
    let failed = |error: io::Error| Stop::trouble(format_args!("{}: {}", path.display(), cli::plain(&error)));
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    // A file is no terminal, whatever stdout is.
    let style = Style::choose(options.color, false, |_| None);
    body(&mut out, style).and_then(|()| out.flush()).map_err(failed)
}
