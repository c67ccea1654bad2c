//! Changes for programs: one JSON object with `"schema": 1`.
//!
//! Names and order of fields are fixed; further ones may follow. `lines` has all lines that changed of the files of which one
//! changed enough to be shown; one that is gone has line 0, and its old number in `old_line`.

use super::ChangeView;
use crate::diff::{Change, Side};
use crate::output::json::{Meaning, Name, Named};
use crate::profile::Costs;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::io::{self, Write};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    events: Vec<&'a str>,
    old_command: &'a [String],
    new_command: &'a [String],
    summary: Changed<'a>,
    functions: Vec<Function<'a>>,
    lines: Vec<Line<'a>>,
    meanings: Vec<Meaning<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    #[serde(flatten)]
    changed: Changed<'a>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_line: Option<u32>,
    #[serde(flatten)]
    changed: Changed<'a>,
}

/// `old`, `new` and `change`, each with the events' names.
struct Changed<'a> {
    view: &'a ChangeView<'a>,
    old: &'a Costs,
    new: Option<&'a Costs>,
}

impl<'a> Changed<'a> {
    fn of(view: &'a ChangeView<'a>, change: &'a Change) -> Changed<'a> {
        Changed { view, old: &change.old, new: Some(&change.new) }
    }
}

impl Serialize for Changed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let none = Costs::default();
        let (events, shown) = (self.view.diff.events.as_slice(), self.view.chosen.shown.as_slice());
        let new = self.new.unwrap_or(&none);
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("old", &Named { events, shown, costs: self.old })?;
        map.serialize_entry("new", &Named { events, shown, costs: new })?;
        map.serialize_entry(
            "change",
            &By { view: self.view, change: Change { old: self.old.clone(), new: new.clone() } },
        )?;
        map.end()
    }
}

struct By<'a> {
    view: &'a ChangeView<'a>,
    change: Change,
}

impl Serialize for By<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = &self.view.chosen.shown;
        let mut map = serializer.serialize_map(Some(shown.len()))?;
        for event in shown {
            // Greater changes than that do not fit into what readers of JSON take for a number.
            let by = self.change.by(*event).clamp(i64::MIN.into(), i64::MAX.into()) as i64;
            map.serialize_entry(&self.view.diff.events[*event].name, &by)?;
        }
        map.end()
    }
}

/// Writes the changes.
pub(super) fn write(
    out: &mut dyn Write,
    view: &ChangeView<'_>,
    old: &Side<'_>,
    new: &Side<'_>,
) -> io::Result<()> {
    let mut lines = Vec::new();
    for file in view.files() {
        let now = file.lines.iter().filter(|(_, change)| change.old != change.new);
        lines.extend(now.map(|(&line, change)| Line {
            file: &file.file,
            line,
            old_line: None,
            changed: Changed::of(view, change),
        }));
        lines.extend(file.gone.iter().map(|(&line, old)| Line {
            file: &file.old_file,
            line: 0,
            old_line: Some(line),
            changed: Changed { view, old, new: None },
        }));
    }
    let document = Document {
        schema: 1,
        complete: old.profile.complete && new.profile.complete,
        events: view.chosen.shown.iter().map(|event| view.diff.events[*event].name.as_str()).collect(),
        old_command: &old.profile.command,
        new_command: &new.profile.command,
        summary: Changed::of(view, &view.diff.total),
        functions: view
            .functions()
            .into_iter()
            .map(|function| Function {
                name: Name::of(&function.function),
                changed: Changed::of(view, &function.change),
            })
            .collect(),
        lines,
        meanings: Meaning::of(&view.diff.events, &view.chosen.shown),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
