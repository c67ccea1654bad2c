//! From the options to the exit status: reads the files, adds up their costs, writes the report.

use crate::diff::{self, Diff, Side};
use crate::events::Chosen;
use crate::options::{Options, Tree};
use crate::output::changes::ChangeView;
use crate::profile::Profile;
use crate::profile::graph::Graph;
use crate::selection::View;
use crate::sources::Library;
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
    if options.diff {
        return compare(&sources, &options);
    }
    let profile = read(&sources, &options)?;
    let graph = Graph::of(&profile);
    let chosen = Chosen::of(&profile.events, &options.show, &options.sort)?;
    output::write(&View { profile: &profile, graph: &graph, chosen: &chosen, options: &options })?;
    Ok(cli::CLEAN)
}

/// Compares two files.
fn compare(sources: &[Source], options: &Options) -> Result<u8, Stop> {
    let [old_source, new_source] = sources else {
        return Err(Stop::trouble("--diff compares two files; name the old one and the new one"));
    };
    if options.tree != Tree::None {
        return Err(Stop::trouble(
            "--tree shows calls, which --diff does not compare; leave one of them out",
        ));
    }
    if options.jumps {
        return Err(Stop::trouble(
            "--jumps shows jumps, which --diff does not compare; leave one of them out",
        ));
    }
    let mut old = input::read(old_source, options)?;
    let mut new = input::read(new_source, options)?;
    let both = || format!("{} and {}", old_source.name(), new_source.name());
    if options.inclusive && old.has_calls() != new.has_calls() {
        return Err(Stop::trouble(format_args!(
            "{}: only one of the two knows calls; leave --inclusive out",
            both()
        )));
    }
    diff::align(&mut old, &mut new).map_err(|why| Stop::trouble(format_args!("{}: {why}", both())))?;
    let chosen = Chosen::of(&new.events, &options.show, &options.sort)?;
    let (old_graph, new_graph) = (Graph::of(&old), Graph::of(&new));
    let library = |profile, include| Library::new(profile, include);
    let mut old_side =
        Side { profile: &old, graph: &old_graph, library: library(&old.directory, &options.old_include) };
    let mut new_side =
        Side { profile: &new, graph: &new_graph, library: library(&new.directory, &options.include) };
    let diff = Diff::of(&mut old_side, &mut new_side, options.inclusive, &|function| options.wants(function));
    let names = [old_source.name(), new_source.name()];
    let view = ChangeView { diff: &diff, chosen: &chosen, options, names };
    output::changes::write(&view, &mut old_side, &mut new_side)?;
    let growth = diff.total.growth(chosen.main());
    match options.fail_above.filter(|most| growth > *most) {
        Some(most) => {
            let event = &diff.events[chosen.main()].name;
            cli::warn(TOOL, format_args!("{event} grew by {growth:.2} %, more than --fail-above={most}"));
            Ok(cli::FINDINGS)
        }
        None => Ok(cli::CLEAN),
    }
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
