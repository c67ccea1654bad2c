//! The profile as a file of callgrind, for KCachegrind, callgrind_annotate and what else reads those.
//!
//! What always holds: `events:` is the last line of the header but for `summary:`; `fl=` stands before each `fn=`, so that
//! readers agree on the file of a function; called functions are always given with module and file. Calls whose number is not known are
//! one: callgrind_annotate takes the cost of no calls for the caller's own.

use crate::options::Options;
use crate::profile::events::{BYTES, Event};
use crate::profile::jumps::{Jump, Times};
use crate::profile::{Calls, Costs, Function, FunctionId, Profile};
use crate::selection::View;
use report::format::harmless;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::io::{self, Write};

/// Distance up to which a position is written relative to the one before.
const NEAR: i64 = 100;

/// Writes the profile.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let profile = view.profile;
    header(out, view)?;
    let first_lines = first_lines(profile);
    let mut writer = Writer {
        profile,
        shown: &view.chosen.shown,
        options: view.options,
        has_modules: profile.functions().iter().any(|function| !function.module.is_empty()),
        modules: HashMap::new(),
        files: HashMap::new(),
        functions: HashMap::new(),
        line: 0,
    };
    for (id, files) in by_function(view) {
        writer.function(out, id, &files, &first_lines)?;
    }
    writeln!(out, "\ntotals: {}", writer.counts(&view.graph.total))
}

fn header(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let (profile, shown) = (view.profile, &view.chosen.shown);
    writeln!(out, "# callgrind format\nversion: 1\ncreator: vg-annotate-{}", env!("CARGO_PKG_VERSION"))?;
    let command = profile.command.join(" ");
    writeln!(out, "pid: {}\ncmd: {}\npart: 1\n", profile.pid, harmless(&command))?;
    let events: Vec<&Event> = shown.iter().map(|event| &profile.events[*event]).collect();
    for event in &events {
        // What readers know has words of their own.
        let is_own = event.name == BYTES || Event::named(&event.name).meaning.is_empty();
        if is_own && !event.meaning.is_empty() {
            writeln!(out, "event: {} : {}", event.name, harmless(&event.meaning))?;
        }
    }
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let total: Vec<String> = shown.iter().map(|event| view.graph.total.get(*event).to_string()).collect();
    writeln!(out, "positions: line\nevents: {}\nsummary: {}", names.join(" "), total.join(" "))
}

/// What stands at a line of a function.
#[derive(Default)]
struct Line<'a> {
    own: Option<&'a Costs>,
    calls: Vec<(FunctionId, &'a Calls)>,
    jumps: Vec<(Jump, Times)>,
}

/// Lines of a function, by file.
type Files<'a> = BTreeMap<&'a str, BTreeMap<u32, Line<'a>>>;

/// Functions with costs or calls, by module, file and name.
fn by_function<'a>(view: &View<'a>) -> Vec<(FunctionId, Files<'a>)> {
    let profile = view.profile;
    let mut functions: HashMap<FunctionId, Files<'a>> = HashMap::new();
    for (function, place, costs) in profile.lines() {
        let files = functions.entry(function).or_default();
        files.entry(profile.file(place.file)).or_default().entry(place.line).or_default().own = Some(costs);
    }
    // As they were read, also where functions call each other: readers fold cycles in their own ways.
    for (arc, calls) in profile.calls() {
        let files = functions.entry(arc.caller).or_default();
        let line = files.entry(profile.file(arc.site.file)).or_default().entry(arc.site.line).or_default();
        line.calls.push((arc.callee, calls));
    }
    // As callgrind: what was never taken is no jump, and what leaves the function is a call.
    let is_told = |jump: &Jump, times: Times| times.taken > 0 && !jump.leaves;
    let jumps = if view.options.jumps { by_line(view.jumps(|_| true), is_told) } else { BTreeMap::new() };
    for (jump, times) in jumps {
        let files = functions.entry(jump.function).or_default();
        let line = files.entry(profile.file(jump.site.file)).or_default().entry(jump.site.line).or_default();
        line.jumps.push((jump, times));
    }
    let mut list: Vec<_> = functions.into_iter().collect();
    list.sort_by_key(|(id, _)| order(profile.function(*id)));
    for line in list.iter_mut().flat_map(|(_, files)| files.values_mut()).flat_map(BTreeMap::values_mut) {
        line.calls.sort_by_key(|(callee, _)| order(profile.function(*callee)));
    }
    list
}

/// Jumps from one line of a function to another are one, since the file has no addresses.
fn by_line(jumps: Vec<(Jump, Times)>, is_told: impl Fn(&Jump, Times) -> bool) -> BTreeMap<Jump, Times> {
    let mut lines: BTreeMap<Jump, Times> = BTreeMap::new();
    for (jump, times) in jumps.into_iter().filter(|(jump, times)| is_told(jump, *times)) {
        lines.entry(Jump { address: 0, target_address: 0, ..jump }).or_default().add(times);
    }
    lines
}

fn order(function: &Function) -> (&str, &str, &str) {
    (&function.module, &function.file, &function.name)
}

/// The first line of each function that has costs in its own file: where calls are said to lead.
fn first_lines(profile: &Profile) -> HashMap<FunctionId, u32> {
    let mut lines: HashMap<FunctionId, u32> = HashMap::new();
    for (function, place, _) in profile.lines() {
        if place.line != 0 && profile.file(place.file) == profile.function(function).file {
            let first = lines.entry(function).or_insert(place.line);
            *first = (*first).min(place.line);
        }
    }
    lines
}

struct Writer<'a> {
    profile: &'a Profile,
    shown: &'a [usize],
    options: &'a Options,
    has_modules: bool,
    modules: HashMap<&'a str, usize>,
    files: HashMap<&'a str, usize>,
    /// By function, not by name: KCachegrind takes a number for one function of one file and module.
    functions: HashMap<FunctionId, usize>,
    /// The position before.
    line: u32,
}

impl<'a> Writer<'a> {
    fn function(
        &mut self,
        out: &mut dyn Write,
        id: FunctionId,
        files: &Files<'a>,
        first_lines: &HashMap<FunctionId, u32>,
    ) -> io::Result<()> {
        let function = self.profile.function(id);
        writeln!(out)?;
        if self.has_modules {
            writeln!(
                out,
                "ob={}",
                name(&mut self.modules, function.module.as_str(), &function.module, self.options)
            )?;
        }
        writeln!(out, "fl={}", name(&mut self.files, function.file.as_str(), &function.file, self.options))?;
        writeln!(out, "fn={}", name(&mut self.functions, id, &function.name, self.options))?;
        // Its own file first: then readers are there already.
        let own = files.get_key_value(function.file.as_str());
        let others = files.iter().filter(|(file, _)| **file != function.file);
        for (file, lines) in own.into_iter().chain(others) {
            if *file != function.file {
                writeln!(out, "fi={}", name(&mut self.files, *file, file, self.options))?;
            }
            for (number, line) in lines {
                if let Some(costs) = line.own {
                    let position = self.position(*number);
                    writeln!(out, "{position} {}", self.counts(costs))?;
                    self.line = *number;
                }
                for (jump, times) in &line.jumps {
                    self.jump(out, jump, *times)?;
                }
                for (callee, calls) in &line.calls {
                    let target = first_lines.get(callee).copied().unwrap_or(0);
                    self.call(out, *number, *callee, calls, target)?;
                }
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        out: &mut dyn Write,
        site: u32,
        callee: FunctionId,
        calls: &Calls,
        target: u32,
    ) -> io::Result<()> {
        let function = self.profile.function(callee);
        if self.has_modules {
            writeln!(
                out,
                "cob={}",
                name(&mut self.modules, function.module.as_str(), &function.module, self.options)
            )?;
        }
        writeln!(out, "cfi={}", name(&mut self.files, function.file.as_str(), &function.file, self.options))?;
        writeln!(out, "cfn={}", name(&mut self.functions, callee, &function.name, self.options))?;
        writeln!(out, "calls={} {}", calls.times.max(1), self.position(target))?;
        let position = self.position(site);
        self.line = site;
        writeln!(out, "{position} {}", self.counts(&calls.inclusive))
    }

    fn jump(&mut self, out: &mut dyn Write, jump: &Jump, times: Times) -> io::Result<()> {
        if jump.target.file != jump.site.file {
            let file = self.profile.file(jump.target.file);
            writeln!(out, "jfi={}", name(&mut self.files, file, file, self.options))?;
        }
        let target = self.position(jump.target.line);
        if jump.conditional {
            writeln!(out, "jcnd={}/{} {target}", times.taken, times.executed)?;
        } else {
            writeln!(out, "jump={} {target}", times.taken)?;
        }
        let position = self.position(jump.site.line);
        self.line = jump.site.line;
        writeln!(out, "{position}")
    }

    fn position(&self, line: u32) -> String {
        match i64::from(line) - i64::from(self.line) {
            _ if !self.options.compress_pos => line.to_string(),
            0 => "*".to_owned(),
            by if by.abs() < NEAR => format!("{by:+}"),
            _ => line.to_string(),
        }
    }

    /// Counts without zeros at the end, as callgrind writes them.
    fn counts(&self, costs: &Costs) -> String {
        let counts: Vec<u64> = self.shown.iter().map(|event| costs.get(*event)).collect();
        let last = counts.iter().rposition(|count| *count != 0).unwrap_or(0);
        counts[..=last].iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// A name, or its number once it has one.
fn name<K: Eq + Hash>(known: &mut HashMap<K, usize>, key: K, name: &str, options: &Options) -> String {
    let shown = if name.is_empty() { "???".into() } else { harmless(name) };
    if !options.compress_strings {
        return shown.into_owned();
    }
    let next = known.len() + 1;
    match *known.entry(key).or_insert(next) {
        number if number == next => format!("({number}) {shown}"),
        number => format!("({number})"),
    }
}
