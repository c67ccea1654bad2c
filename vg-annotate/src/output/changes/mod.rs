//! The formats of a comparison, and which changes are shown.
//!
//! What always holds: the order is that of the changes' sizes, then of names. A change is measured against the total: the greater
//! one of the two, so that what is left out is small beside both. Not here: what is compared (`crate::diff`).

mod csv;
mod json;
mod text;

use super::collapsed;
use super::flamegraph::{self, Caption};
use super::stacks::{self, Tree};
use crate::diff::lines::FileChange;
use crate::diff::names::stable;
use crate::diff::{Change, Diff, FunctionChange, Side};
use crate::events::Chosen;
use crate::options::{Format, Options};
use crate::profile::Function;
use report::cli::Stop;
use std::cmp::Ordering;
use std::io::{self, Write};

/// A comparison with what was chosen of it.
pub struct ChangeView<'a> {
    /// What changed.
    pub diff: &'a Diff,
    /// The events that are shown and sorted by.
    pub chosen: &'a Chosen,
    /// The command line.
    pub options: &'a Options,
    /// Names of the files that are compared, the old one first.
    pub names: [String; 2],
}

impl ChangeView<'_> {
    /// The greater change first.
    fn compare(&self, a: &Change, b: &Change) -> Ordering {
        let by = |event: &usize| b.size(*event).cmp(&a.size(*event));
        self.chosen.sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The least change that is shown, in the event that decides.
    fn least(&self) -> f64 {
        let (main, total) = (self.chosen.main(), &self.diff.total);
        total.old.get(main).max(total.new.get(main)) as f64 * self.options.min_percent / 100.0
    }

    fn is_shown(&self, change: &Change) -> bool {
        let size = change.size(self.chosen.main());
        size > 0 && size as f64 >= self.least()
    }

    /// Functions that changed, the greatest change first.
    fn functions(&self) -> Vec<&FunctionChange> {
        let mut list: Vec<&FunctionChange> = self.diff.functions.iter().collect();
        list.sort_by(|a, b| self.compare(&a.change, &b.change).then_with(|| a.function.cmp(&b.function)));
        let main = self.chosen.main();
        let all: f64 = list.iter().map(|function| function.change.size(main) as f64).sum();
        let mut covered = 0.0;
        list.retain(|function| {
            let size = function.change.size(main);
            let is_open = match self.options.cover {
                Some(cover) => size > 0 && covered < all * cover / 100.0,
                None => self.is_shown(&function.change),
            };
            covered += size as f64;
            is_open
        });
        list
    }

    /// Files with lines that changed enough, the greatest change first.
    fn files(&self) -> Vec<&FileChange> {
        let is_gone_shown = |costs: &crate::profile::Costs| {
            self.is_shown(&Change { old: costs.clone(), new: crate::profile::Costs::default() })
        };
        let main = self.chosen.main();
        let size = |file: &FileChange| {
            let changed = file.lines.values().map(|change| change.size(main) as f64);
            changed.chain(file.gone.values().map(|costs| costs.get(main) as f64)).sum::<f64>()
        };
        let mut files: Vec<(f64, &FileChange)> = self
            .diff
            .files
            .iter()
            .filter(|file| !file.file.is_empty())
            .filter(|file| {
                file.lines.values().any(|change| self.is_shown(change))
                    || file.gone.values().any(is_gone_shown)
            })
            .map(|file| (size(file), file))
            .collect();
        files.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.file.cmp(&b.1.file)));
        files.into_iter().map(|(_, file)| file).collect()
    }
}

/// What writes a format.
type Body<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// Writes a comparison.
///
/// # Errors
/// When it cannot be written, or the format cannot show changes.
pub fn write(view: &ChangeView<'_>, old: &mut Side<'_>, new: &mut Side<'_>) -> Result<(), Stop> {
    let format = view.options.format;
    if format.has_stacks() {
        stacks::need(old.profile, &format.name())?;
        stacks::need(new.profile, &format.name())?;
    }
    if format.has_stacks() && view.options.only.is_some() {
        return Err(Stop::trouble(format_args!(
            "--format={} writes all functions; leave --only out, or use text, json or csv",
            format.name()
        )));
    }
    // The names that functions are matched by.
    let label = |function: &Function| {
        stacks::label(&Function { name: stable(&function.name).into_owned(), ..function.clone() })
    };
    let main = view.chosen.main();
    let tree = |old: &Side<'_>, new: &Side<'_>| {
        let mut tree = Tree::default();
        tree.add(old.profile, main, 0, label);
        tree.add(new.profile, main, 1, label);
        tree
    };
    let body: Body<'_> = match format {
        Format::Text => Box::new(|out| text::write(out, view, old, new)),
        Format::Json => Box::new(|out| json::write(out, view, old, new)),
        Format::Csv => Box::new(|out| csv::write(out, view)),
        Format::Collapsed => Box::new(|out| collapsed::write(out, &tree(old, new), true)),
        Format::Flamegraph => Box::new(|out| {
            let title = format!("{} since {}", view.names[1], view.names[0]);
            let event = &view.diff.events[main].name;
            flamegraph::write(out, &tree(old, new), &Caption { title: &title, event, is_change: true })
        }),
        Format::Callgrind | Format::Cachegrind | Format::Speedscope | Format::Pprof => {
            return Err(Stop::trouble(format_args!(
                "--format={} cannot show changes; use text, json, csv, collapsed or flamegraph",
                format.name()
            )));
        }
    };
    super::to_output(view.options, |out, _| body(out))
}
