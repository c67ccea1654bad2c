//! The formats of the report.
//!
//! What always holds: nothing is opened for writing before it is known that the format can show the profile.

pub mod changes;
mod csv;
mod json;
mod table;
mod text;

use crate::options::{Format, Options};
use crate::selection::View;
use report::cli::{self, Stop};
use report::style::Style;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the report.
///
/// # Errors
/// When it cannot be written, or the format needs what the profile does not have.
pub fn write(view: &View<'_>) -> Result<(), Stop> {
    let options = view.options;
    to_output(options, |out, style| match options.format {
        Format::Text => text::write(out, view, style),
        Format::Json => json::write(out, view),
        Format::Csv => csv::write(out, view),
    })
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
