//! The profile: costs by function and line, calls and jumps. Inputs fill it, outputs read it.
//!
//! What always holds: the costs of all lines add up to the total; a function is what the linker knows by a name, and
//! what is inlined into it costs it at the line of the inlined code. Calls are empty for an input that knows none, and so are
//! contexts; where contexts are known, calls follow from them ([`Profile::derive_calls`]).
//! Not here: inclusive costs ([`graph`]), and what is shown.

pub mod contexts;
pub mod costs;
pub mod events;
pub mod graph;
pub mod jumps;

pub use contexts::Contexts;
pub use costs::Costs;
pub use events::Event;
pub use jumps::Jump;

use std::collections::HashMap;

/// A function: what tells it from others. What is not known of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Function {
    /// Demangled name.
    pub name: String,
    /// Path of the source file that it is in.
    pub file: String,
    /// Path of its module: the executable or library.
    pub module: String,
}

/// A function of a profile, by its number in [`Profile::functions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub usize);

/// A source file of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// A line of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file; one without a name when it is not known.
    pub file: FileId,
    /// The line, from 1; 0 when it is not known.
    pub line: u32,
}

/// Which calls are one: from a place in a function to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arc {
    /// Who calls.
    pub caller: FunctionId,
    /// Where the call is written.
    pub site: Place,
    /// What is called.
    pub callee: FunctionId,
}

/// Calls of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many; 0 when it is not known.
    pub times: u64,
    /// What was spent in them.
    pub inclusive: Costs,
}

impl Calls {
    fn add(&mut self, times: u64, inclusive: &[u64]) {
        self.times = self.times.saturating_add(times);
        self.inclusive.add(inclusive);
    }
}

/// All that is known of where costs were spent.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// What is counted, in the order of all costs.
    pub events: Vec<Event>,
    /// The command line that was measured: by arguments, or in one piece where the input has it so. Empty when it is not
    /// known.
    pub command: Vec<String>,
    /// Kernel id of the first process; 0 when it is not known.
    pub pid: u32,
    /// The working directory, which relative paths of source files are relative to; empty when it is not known.
    pub directory: String,
    /// The input was whole.
    pub complete: bool,
    /// The stacks.
    pub contexts: Contexts,
    functions: Vec<Function>,
    function_ids: HashMap<Function, FunctionId>,
    files: Vec<String>,
    file_ids: HashMap<String, FileId>,
    lines: HashMap<(FunctionId, Place), Costs>,
    calls: HashMap<Arc, Calls>,
    jumps: HashMap<Jump, jumps::Times>,
}

impl Profile {
    /// An empty profile of these events.
    pub fn new(events: Vec<Event>) -> Profile {
        Profile { events, complete: true, ..Profile::default() }
    }

    /// All functions, in the order of their numbers.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// One function.
    pub fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id.0]
    }

    /// Path of a source file; empty: not known.
    pub fn file(&self, id: FileId) -> &str {
        &self.files[id.0]
    }

    /// Costs of each function's lines, in no order.
    pub fn lines(&self) -> impl Iterator<Item = (FunctionId, Place, &Costs)> {
        self.lines.iter().map(|((function, place), costs)| (*function, *place, costs))
    }

    /// Calls, in no order.
    pub fn calls(&self) -> impl Iterator<Item = (Arc, &Calls)> {
        self.calls.iter().map(|(arc, calls)| (*arc, calls))
    }

    /// Direct jumps, in no order.
    pub fn jumps(&self) -> impl Iterator<Item = (Jump, jumps::Times)> {
        self.jumps.iter().map(|(jump, times)| (*jump, *times))
    }

    /// Whether calls are known.
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty() || !self.contexts.is_empty()
    }

    /// The number of a function, which it gets the first time.
    pub fn function_id(&mut self, function: Function) -> FunctionId {
        if let Some(id) = self.function_ids.get(&function) {
            return *id;
        }
        let id = FunctionId(self.functions.len());
        self.functions.push(function.clone());
        self.function_ids.insert(function, id);
        id
    }

    /// The number of a source file, which it gets the first time.
    pub fn file_id(&mut self, path: &str) -> FileId {
        if let Some(id) = self.file_ids.get(path) {
            return *id;
        }
        let id = FileId(self.files.len());
        self.files.push(path.to_owned());
        self.file_ids.insert(path.to_owned(), id);
        id
    }

    /// Adds what code of a function, written at a place, costs.
    pub fn add_line(&mut self, function: FunctionId, place: Place, costs: &[u64]) {
        self.lines.entry((function, place)).or_default().add(costs);
    }

    /// Adds calls.
    pub fn add_calls(&mut self, arc: Arc, times: u64, inclusive: &[u64]) {
        self.calls.entry(arc).or_default().add(times, inclusive);
    }

    /// Adds executions of a jump.
    pub fn add_jump(&mut self, jump: Jump, times: jumps::Times) {
        self.jumps.entry(jump).or_default().add(times);
    }

    /// Puts the calls that follow from the contexts in place of all others.
    pub fn derive_calls(&mut self) {
        self.calls = self.contexts.arcs();
    }

    /// Leaves these events, by their numbers now, in this order.
    pub fn keep_events(&mut self, kept: &[usize]) {
        let calls = self.calls.values_mut().map(|calls| &mut calls.inclusive);
        for costs in self.lines.values_mut().chain(calls).chain(self.contexts.costs_mut()) {
            *costs = costs.select(kept);
        }
        self.events = kept.iter().map(|event| self.events[*event].clone()).collect();
    }

    /// Adds an event whose cost is computed from those of the other events.
    pub fn derive_event(&mut self, event: Event, cost: impl Fn(&Costs) -> u64) {
        let index = self.events.len();
        let lines = self.lines.values_mut();
        for costs in lines.chain(self.calls.values_mut().map(|calls| &mut calls.inclusive)) {
            let derived = cost(costs);
            costs.set(index, derived);
        }
        self.events.push(event);
    }

    /// Adds another profile of the same events.
    ///
    /// # Errors
    /// When the events differ, or one of the two knows calls or stacks and the other does not: sums would mean nothing.
    pub fn merge(&mut self, other: &Profile) -> Result<(), String> {
        let names = |profile: &Profile| {
            profile.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        if names(self) != names(other) {
            return Err(format!("has the events {}, the files before it {}", names(other), names(self)));
        }
        if self.contexts.is_empty() != other.contexts.is_empty() || self.has_calls() != other.has_calls() {
            return Err("knows calls where the files before it do not, or the other way round".to_owned());
        }
        let functions: Vec<FunctionId> =
            other.functions.iter().map(|function| self.function_id(function.clone())).collect();
        let files: Vec<FileId> = other.files.iter().map(|file| self.file_id(file)).collect();
        let place = |place: Place| Place { file: files[place.file.0], line: place.line };
        for (function, at, costs) in other.lines() {
            self.add_line(functions[function.0], place(at), costs.values());
        }
        for (arc, calls) in other.calls() {
            let arc = Arc {
                caller: functions[arc.caller.0],
                site: place(arc.site),
                callee: functions[arc.callee.0],
            };
            self.add_calls(arc, calls.times, calls.inclusive.values());
        }
        for (jump, times) in other.jumps() {
            let function = functions[jump.function.0];
            let (site, target) = (place(jump.site), place(jump.target));
            self.add_jump(Jump { function, site, target, ..jump }, times);
        }
        self.contexts.merge(&other.contexts, |function| functions[function.0], place);
        self.complete &= other.complete;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `main` calls `f` at line 3; the numbers of functions and files depend on `swapped`.
    fn profile(swapped: bool) -> Profile {
        let mut profile = Profile::new(vec![Event::named("Ir")]);
        if swapped {
            profile.file_id("other.c");
            profile.function_id(Function { name: "f".to_owned(), ..Function::default() });
        }
        let main = profile.function_id(Function { name: "main".to_owned(), ..Function::default() });
        let f = profile.function_id(Function { name: "f".to_owned(), ..Function::default() });
        let at = |file, line| Place { file, line };
        let file = profile.file_id("main.c");
        profile.add_line(main, at(file, 2), &[5]);
        profile.add_line(f, at(file, 9), &[7]);
        let root = profile.contexts.call(None, at(file, 0), main, 1);
        let inner = profile.contexts.call(Some(root), at(file, 3), f, 1);
        profile.contexts.add(root, &[5]);
        profile.contexts.add(inner, &[7]);
        profile.derive_calls();
        profile
    }

    #[test]
    fn profiles_add_up_by_names() {
        let mut sum = profile(false);
        sum.merge(&profile(true)).unwrap();
        assert_eq!(sum.functions().len(), 2);
        let mut lines: Vec<_> =
            sum.lines().map(|(f, at, costs)| (sum.function(f).name.clone(), at.line, costs.get(0))).collect();
        lines.sort();
        assert_eq!(lines, [("f".to_owned(), 9, 14), ("main".to_owned(), 2, 10)]);
        let calls: Vec<_> = sum.calls().map(|(_, calls)| (calls.times, calls.inclusive.get(0))).collect();
        assert_eq!(calls, [(2, 14)]);
        assert_eq!(sum.contexts.nodes().len(), 2);
        assert_eq!(sum.contexts.inclusive()[0].get(0), 24);
    }

    #[test]
    fn sums_that_mean_nothing_are_refused() {
        let mut sum = profile(false);
        let error = sum.merge(&Profile::new(vec![Event::named("Dr")])).unwrap_err();
        assert!(error.contains("events Dr") && error.contains("Ir"), "{error}");
        let error = sum.merge(&Profile::new(vec![Event::named("Ir")])).unwrap_err();
        assert!(error.contains("calls"), "{error}");
    }

    #[test]
    fn an_event_can_follow_from_others() {
        let mut profile = profile(false);
        profile.derive_event(Event::named("Double"), |costs| costs.get(0) * 2);
        assert!(profile.lines().all(|(_, _, costs)| costs.get(1) == 2 * costs.get(0)));
        assert!(profile.calls().all(|(_, calls)| calls.inclusive.get(1) == 14));
    }
}
