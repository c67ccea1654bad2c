//! Files in the format of callgrind (version 1): of callgrind, and of all that write files for KCachegrind.
//!
//! Several parts of a file are added up. Costs by instruction are added up by line. What always
//! holds, as in KCachegrind: `fl=` is the file of the functions behind it, `fi=` and `fe=` that of the lines behind them up
//! to the next function; the position behind `calls=` is relative to the one before, and moves nothing; called objects and
//! files hold for one call.

use super::Read;
use super::formula::{Formula, definition};
use super::lines::{Lines, Problem, counts};
use super::names::Names;
use crate::profile::jumps::{Jump, Times};
use crate::profile::{Arc, Event, FileId, Function, FunctionId, Place, Profile};
use std::io::BufRead;

/// Reads a file.
pub(super) fn read(input: &mut dyn BufRead) -> Result<Read, Problem> {
    let mut reader = Reader { profile: Profile::new(Vec::new()), ..Reader::default() };
    let mut lines = Lines::new(input);
    while lines.advance()? {
        reader.line(&lines)?;
    }
    reader.finish(&lines)
}

/// Which costs a line of costs has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    #[default]
    Own,
    /// Of so many calls.
    Calls(u64),
    /// None: it is where a jump is, which was executed so often, and where it leads.
    Jump { times: Times, conditional: bool, target: (u64, u32) },
}

#[derive(Debug, Default)]
struct Reader {
    profile: Profile,
    /// Each part numbers its names anew, or goes on with those before it.
    part: usize,
    modules: Names,
    files: Names,
    functions: Names,
    /// Which event of the profile each number of a line is of; empty before `events:`.
    columns: Vec<usize>,
    has_lines: bool,
    has_addresses: bool,
    definitions: Vec<(String, String, String)>,
    /// `event:` lines that give an event a name in words.
    meanings: Vec<(String, String)>,
    totals: Vec<u64>,
    /// All parts had `totals:`.
    has_totals: bool,

    /// Current: `ob`, `fl`, the file of lines, `fn`.
    module: String,
    function_file: String,
    file: String,
    /// Its number, once it was asked for.
    file_id: Option<FileId>,
    function: Option<FunctionId>,
    called_module: Option<String>,
    called_file: Option<String>,
    called: Option<FunctionId>,
    /// Of the next jump's target, where they are not the current ones.
    jump_file: Option<String>,
    jump_function: Option<String>,
    next: Next,
    address: u64,
    line: u32,
    counts: Vec<u64>,
    costs: Vec<u64>,
}

impl Reader {
    fn line(&mut self, lines: &Lines<'_>) -> Result<(), Problem> {
        let text = lines.text().trim_start();
        let wrong = |what: String| lines.wrong(&what);
        match text.as_bytes().first() {
            None | Some(b'#') => return Ok(()),
            Some(b'0'..=b'9' | b'+' | b'-' | b'*') => return self.cost_line(text).map_err(wrong),
            Some(_) => {}
        }
        // A name may hold both; whichever comes first tells what the line is.
        let Some(at) = text.find(['=', ':']) else {
            return Err(wrong("is no line of a callgrind file".to_owned()));
        };
        let (key, value) = (&text[..at], text[at + 1..].trim());
        let known =
            if text.as_bytes()[at] == b':' { self.header(key, value) } else { self.position(key, value) };
        match known.map_err(wrong)? {
            true => Ok(()),
            false => Err(wrong("is no line of a callgrind file".to_owned())),
        }
    }

    /// A header line; those of unknown keys are descriptions.
    fn header(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "version" if !value.is_empty() && value != "1" => {
                return Err("a version of the format that is not known; 1 is".to_owned());
            }
            "cmd" if self.profile.command.is_empty() => self.profile.command.push(value.to_owned()),
            "pid" if self.profile.pid == 0 => self.profile.pid = value.parse().unwrap_or(0),
            "part" | "thread" | "pid" => self.new_part(),
            "positions" => {
                self.new_part();
                let words: Vec<&str> = value.split_ascii_whitespace().collect();
                if let Some(word) = words.iter().find(|word| !["instr", "addr", "line"].contains(word)) {
                    return Err(format!("positions of kind {word} are not known"));
                }
                self.has_lines = words.contains(&"line");
                self.has_addresses = words.len() > usize::from(self.has_lines);
            }
            "event" => match definition(value) {
                (name, Some(formula), meaning) => {
                    self.definitions.push((name.to_owned(), formula.to_owned(), meaning.to_owned()));
                }
                (name, None, meaning) => self.meanings.push((name.to_owned(), meaning.to_owned())),
            },
            "events" => {
                self.new_part();
                self.part += 1;
                self.columns = value.split_ascii_whitespace().map(|name| self.event(name)).collect();
                if self.columns.is_empty() {
                    return Err("no events".to_owned());
                }
                if self.part == 1 && !self.has_addresses {
                    self.has_lines = true;
                }
            }
            "totals" => {
                counts(value, self.columns.len(), &mut self.counts)?;
                self.spread();
                let more = std::mem::take(&mut self.costs);
                self.totals.resize(self.totals.len().max(more.len()), 0);
                for (total, more) in self.totals.iter_mut().zip(&more) {
                    *total = total.saturating_add(*more);
                }
                self.has_totals = true;
                self.costs = more;
            }
            _ => return Ok(key.chars().next().is_some_and(|c| c.is_ascii_alphabetic())),
        }
        Ok(true)
    }

    fn event(&mut self, name: &str) -> usize {
        let events = &mut self.profile.events;
        events.iter().position(|event| event.name == name).unwrap_or_else(|| {
            events.push(Event::named(name));
            events.len() - 1
        })
    }

    /// Headers of a part begin: nothing of the part before is current any more.
    fn new_part(&mut self) {
        if self.columns.is_empty() {
            return;
        }
        self.columns.clear();
        self.function = None;
        self.module.clear();
        self.function_file.clear();
        self.file.clear();
        self.file_id = None;
        (self.address, self.line) = (0, 0);
    }

    /// `ob=`, `fn=` and the like.
    fn position(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let part = self.part;
        if let "fl" | "fi" | "fe" | "fn" = key {
            self.file_id = None;
        }
        match key {
            "ob" => self.module = self.modules.resolve(value, part)?,
            "fl" => {
                self.function_file = self.files.resolve(value, part)?;
                self.file.clone_from(&self.function_file);
            }
            "fi" | "fe" => self.file = self.files.resolve(value, part)?,
            "fn" => {
                self.file.clone_from(&self.function_file);
                let name = self.functions.resolve(value, part)?;
                let (file, module) = (self.file.clone(), self.module.clone());
                self.function = Some(self.profile.function_id(Function { name, file, module }));
            }
            "cob" => self.called_module = Some(self.modules.resolve(value, part)?),
            "cfi" | "cfl" => self.called_file = Some(self.files.resolve(value, part)?),
            "cfn" => {
                let name = self.functions.resolve(value, part)?;
                let file = self.called_file.take().unwrap_or_else(|| self.file.clone());
                let module = self.called_module.take().unwrap_or_else(|| self.module.clone());
                self.called = Some(self.profile.function_id(Function { name, file, module }));
            }
            // Files before 2003 tell calls of recursive functions apart.
            "calls" | "rcalls" => {
                let (times, target) = value.split_once(' ').unwrap_or((value, ""));
                let times = times.parse().map_err(|_| "no number of calls".to_owned())?;
                self.positions_of(target)?;
                if self.called.is_none() {
                    return Err("calls without a line cfn= before them".to_owned());
                }
                self.next = Next::Calls(times);
            }
            "jump" | "jcnd" => {
                let (times, target) = value.split_once(' ').unwrap_or((value, ""));
                let times = jump_times(times).ok_or_else(|| "no number of jumps".to_owned())?;
                let target = self.positions_of(target)?;
                self.next = Next::Jump { times, conditional: key == "jcnd", target };
            }
            "jfi" => self.jump_file = Some(self.files.resolve(value, part)?),
            "jfn" => self.jump_function = Some(self.functions.resolve(value, part)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Address and line of a target; 0 for one that is not known.
    fn positions_of(&self, text: &str) -> Result<(u64, u32), String> {
        let (mut address, mut line) = (0, 0);
        let mut rest = text;
        for is_address in [true, false] {
            if !(if is_address { self.has_addresses } else { self.has_lines }) {
                continue;
            }
            let (word, behind) = first_word(rest);
            rest = behind;
            // Tools that know no line for the target write none.
            if word.is_empty() {
                continue;
            }
            let from = if is_address { self.address } else { u64::from(self.line) };
            // callgrind's own may lie before the first line, or behind the last one.
            let place = moved(u64::MAX / 2, word).map(|_| moved(from, word).unwrap_or(0))?;
            match is_address {
                true => address = place,
                false => line = u32::try_from(place).unwrap_or(0),
            }
        }
        Ok((address, line))
    }

    fn cost_line(&mut self, text: &str) -> Result<(), String> {
        if self.columns.is_empty() {
            return Err("costs before a line events:".to_owned());
        }
        let mut rest = text;
        if self.has_addresses {
            let (word, behind) = first_word(rest);
            self.address = moved(self.address, word)?;
            rest = behind;
        }
        if self.has_lines {
            let (word, behind) = first_word(rest);
            let line = moved(u64::from(self.line), word)?;
            self.line = u32::try_from(line).map_err(|_| format!("{line} is no line"))?;
            rest = behind;
        }
        counts(rest, self.columns.len(), &mut self.counts)?;
        self.spread();
        let next = std::mem::take(&mut self.next);
        let function = match self.function {
            Some(function) => function,
            None => {
                let (file, module) = (self.function_file.clone(), self.module.clone());
                let function = self.profile.function_id(Function { name: String::new(), file, module });
                *self.function.insert(function)
            }
        };
        let file = match self.file_id {
            Some(id) => id,
            None => *self.file_id.insert(self.profile.file_id(&self.file)),
        };
        let place = Place { file, line: self.line };
        match (next, self.called) {
            (Next::Calls(times), Some(callee)) => {
                let arc = Arc { caller: function, site: place, callee };
                self.profile.add_calls(arc, times, &self.costs);
                self.called = None;
            }
            (Next::Jump { times, conditional, target: (target_address, line) }, _) => {
                let name = self.jump_function.take();
                let leaves = name.is_some_and(|name| name != self.profile.function(function).name);
                let file = self.jump_file.take().map_or(file, |file| self.profile.file_id(&file));
                let (address, target) =
                    (if self.has_addresses { self.address } else { 0 }, Place { file, line });
                let jump =
                    Jump { function, site: place, address, target, target_address, conditional, leaves };
                self.profile.add_jump(jump, times);
            }
            _ => self.profile.add_line(function, place, &self.costs),
        }
        Ok(())
    }

    /// Puts the numbers of a line to their events.
    fn spread(&mut self) {
        self.costs.clear();
        self.costs.resize(self.profile.events.len(), 0);
        for (column, count) in self.columns.iter().zip(&self.counts) {
            self.costs[*column] = *count;
        }
    }

    fn finish(mut self, lines: &Lines<'_>) -> Result<Read, Problem> {
        if self.profile.events.is_empty() {
            return Err(Problem::of_file("no line events:; the file is cut short, or none of callgrind's"));
        }
        if self.next != Next::Own {
            return Err(lines.problem("ends where the costs of calls or the place of a jump should follow"));
        }
        let mut doubts = Vec::new();
        let mut sum = crate::profile::Costs::default();
        for (_, _, costs) in self.profile.lines() {
            sum.add(costs.values());
        }
        let differs = |(event, total): (usize, &u64)| sum.get(event) != *total;
        if self.has_totals && self.totals.iter().enumerate().any(differs) {
            doubts.push("its costs are not those of its line totals:; it may be cut short".to_owned());
            self.profile.complete = false;
        }
        for (name, meaning) in &self.meanings {
            for event in self.profile.events.iter_mut().filter(|event| event.name == *name) {
                event.meaning.clone_from(meaning);
            }
        }
        for (name, formula, meaning) in &self.definitions {
            if self.profile.events.iter().any(|event| event.name == *name) {
                continue;
            }
            let Some(formula) = Formula::parse(formula, &self.profile.events) else {
                doubts.push(format!("event {name} is left out: '{formula}' is no sum of its events"));
                continue;
            };
            let event = Event { name: name.clone(), meaning: meaning.clone() };
            self.profile.derive_event(event, |costs| formula.cost(costs));
        }
        Ok((self.profile, doubts))
    }
}

/// `3`, or `3/4`: of four times taken three.
fn jump_times(text: &str) -> Option<Times> {
    let (taken, executed) = text.split_once('/').unwrap_or((text, text));
    let (taken, executed): (u64, u64) = (taken.parse().ok()?, executed.parse().ok()?);
    Some(Times { executed: executed.max(taken), taken })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

/// A position: a number, or relative to the one before it.
fn moved(from: u64, word: &str) -> Result<u64, String> {
    let position = match word.as_bytes().first() {
        Some(b'*') if word.len() == 1 => Some(from),
        Some(b'+') => number(&word[1..]).and_then(|by| from.checked_add(by)),
        Some(b'-') => number(&word[1..]).and_then(|by| from.checked_sub(by)),
        _ => number(word),
    };
    position.ok_or_else(|| {
        if word.is_empty() { "no position".to_owned() } else { format!("'{word}' is no position") }
    })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
