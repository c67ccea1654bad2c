//! Opening a trace and reading it to its end, whatever that end is.
//!
//! What was read before damage stays; only what is no trace at all, or cannot be read, is an error. Not here: what the
//! messages mean to us.

use super::{Loader, Recording};
use crate::options::{Format, Options};
use report::cli::{Source, Stop};
use schema::read::{Ending, TraceReader};

/// Reads a trace.
///
/// # Errors
/// When it cannot be opened or read, or is no trace.
pub fn read(source: &Source, options: &Options) -> Result<Recording, Stop> {
    let name = source.name();
    let mut reader = TraceReader::new(source.open()?);
    if options.format == Format::Csv || options.who_points_at.is_some() {
        // Only the totals of the other reports need them.
        reader = reader.skip_events();
    }
    let mut loader = Loader::new(name.clone(), options);
    for message in reader.by_ref() {
        loader.take(message);
    }
    match reader.ending() {
        None | Some(Ending::Complete) => Ok(loader.finish(None)),
        Some(Ending::Truncated { bytes: 0, .. }) => {
            Err(Stop::trouble(format_args!("{name}: empty; did vg-record say why it wrote nothing?")))
        }
        Some(ending @ (Ending::NotATrace(_) | Ending::Failed { .. })) => {
            Err(Stop::trouble(format_args!("{name}: {ending}")))
        }
        Some(ending) => Ok(loader.finish(Some(ending.to_string()))),
    }
}
