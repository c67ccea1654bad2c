//! From the options to the exit status: reads the files, adds up their costs, writes the report.

use crate::events::Chosen;
use crate::options::Options;
use crate::profile::Profile;
use crate::profile::graph::Graph;
use crate::selection::View;
use crate::{input, output};
use report::cli::{self, Source, Stop};

/// The name in messages.
pub const TOOL: &str = "vg-annotate";

/// Runs the tool.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<u8, Stop> {
    let options: Options = cli::parse(arguments)?;
    let sources = cli::sources(&options.files, TOOL)?;
    let profile = read(&sources, &options)?;
    let graph = Graph::of(&profile);
    let chosen = Chosen::of(&profile.events, &options.show, &options.sort)?;
    output::write(&View { profile: &profile, graph: &graph, chosen: &chosen, options: &options })?;
    Ok(cli::CLEAN)
}

/// The costs of all files together.
fn read(sources: &[Source], options: &Options) -> Result<Profile, Stop> {
    let mut sum: Option<Profile> = None;
    for source in sources {
        let profile = input::read(source, options)?;
        match &mut sum {
            None => sum = Some(profile),
            Some(sum) => sum
                .merge(&profile)
                .map_err(|why| Stop::trouble(format_args!("{}: cannot be added: it {why}", source.name())))?,
        }
    }
    sum.ok_or_else(|| Stop::trouble("no file"))
}
