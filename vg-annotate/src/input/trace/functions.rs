//! Which function a place of executed code belongs to.
//!
//! What always holds: code of one function is one [`Function`], in the file of its first instruction. Line tables give some
//! instructions the file of code that was inlined there without saying so: with each place's own file, a function would
//! fall apart, and what it costs with the rest of itself would be missing from its callers' costs.
//! Where a function begins is not told but where it was called: places of one name that follow each other are taken to be
//! one function. So two static functions of one name that lie beside each other, in a recording without calls, are one.

use crate::profile::{Function, FunctionId, Place, Profile};
use schema::read::{ResolvedFrame, Trace};
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Included};

/// A place of a module: equal for all instructions of the same function and line.
pub(super) type CodePlace = (u32, u32);

/// What places of executed code are called.
#[derive(Default)]
pub(super) struct Functions(HashMap<CodePlace, (FunctionId, Place)>);

impl Functions {
    /// Names places. `places`: the module, the lowest address that was executed, and the place. `starts`: where functions
    /// begin that were called, by module and address.
    pub(super) fn of(
        profile: &mut Profile,
        trace: &Trace,
        mut places: Vec<(u32, u64, u32)>,
        starts: &BTreeSet<(u32, u64)>,
    ) -> Functions {
        places.sort_unstable();
        let named: Vec<(CodePlace, u64, Vec<ResolvedFrame<'_>>)> = places
            .into_iter()
            .map(|(module, rva, place)| ((module, place), rva, trace.place_symbols(module, place)))
            .collect();
        let mut functions = Functions::default();
        let runs = named.chunk_by(|((module, _), before, one), ((other_module, _), after, other)| {
            let between = (Excluded((*module, *before)), Included((*module, *after)));
            module == other_module
                && names_of(one) == names_of(other)
                && starts.range(between).next().is_none()
        });
        for run in runs {
            let mut files = run.iter().filter_map(|(_, _, names)| names.last()).map(|name| name.file);
            let file = files.find(|file| !file.is_empty()).unwrap_or_default();
            for (place, _, names) in run {
                functions.0.insert(*place, name(profile, trace, place.0, names, file));
            }
        }
        functions
    }

    /// The function of a place, and where its code is written. A place that was not given to [`of`](Self::of) has its own
    /// file.
    pub(super) fn at(
        &mut self,
        profile: &mut Profile,
        trace: &Trace,
        place: CodePlace,
    ) -> (FunctionId, Place) {
        *self.0.entry(place).or_insert_with(|| {
            let names = trace.place_symbols(place.0, place.1);
            let file = names.last().map_or("", |outer| outer.file);
            name(profile, trace, place.0, &names, file)
        })
    }
}

/// What tells the real function at a place from others.
fn names_of<'t>(names: &[ResolvedFrame<'t>]) -> Option<(&'t str, &'t str)> {
    names.last().map(|outer| (outer.function, outer.raw_name))
}

/// Names a place: innermost function first, the last one the real one, which is in `file`.
fn name(
    profile: &mut Profile,
    trace: &Trace,
    module: u32,
    names: &[ResolvedFrame<'_>],
    file: &str,
) -> (FunctionId, Place) {
    let function = profile.function_id(Function {
        name: names.last().map_or_else(String::new, |outer| outer.function.to_owned()),
        file: file.to_owned(),
        module: trace.module(module).map_or_else(String::new, |info| info.module.path.to_string()),
    });
    let inner = names.first();
    let file = profile.file_id(inner.map_or("", |inner| inner.file));
    let line = inner.filter(|inner| !inner.file.is_empty()).map_or(0, |inner| inner.line);
    (function, Place { file, line })
}
