//! What a report says: errors that are alike made one finding, with all names looked up.
//!
//! Errors of a process are alike when kind, sizes, name and the first frames of their stacks are equal; what address
//! they met does not count, as in Valgrind. What always holds: counts are those of all errors of a finding; what is
//! excluded is counted as suppressed and never lost. Not here: reading traces (`load`), wording (`words`, `sentence`).

use crate::kinds;
use crate::load::{Process, Recording};
use crate::options::{Options, Sort};
use report::names::Set;
use report::stack::{Frame, above_main, user_frame};
use schema::{Error, ErrorKind, OriginKind, flag};
use std::collections::HashMap;

/// A stack with names.
#[derive(Debug, Clone, Default)]
pub struct Stack<'t> {
    /// The frames to show, innermost first.
    pub frames: Vec<Frame<'t>>,
    /// The frame of the user's own code to name; it may lie outside of what is shown.
    pub user: Option<Frame<'t>>,
    /// The frame to name is the innermost one.
    pub innermost: bool,
}

/// Errors that are alike.
#[derive(Debug, Clone)]
pub struct Finding<'t> {
    /// Its number in the report before sorting, from 1: in the order in which they happened.
    pub number: usize,
    /// Index of its kind in `kinds::KINDS`.
    pub kind: usize,
    /// The first of them.
    pub error: &'t Error,
    /// How often it happened.
    pub count: u64,
    /// Errors with different stacks that it stands for.
    pub contexts: u64,
    /// Its process.
    pub process: &'t Process,
    /// The recording that it is in.
    pub recording: &'t Recording,
    /// Where it happened.
    pub stack: Stack<'t>,
    /// Where the block was allocated.
    pub allocated: Stack<'t>,
    /// Where the block was freed.
    pub freed: Stack<'t>,
    /// Where undefined bits come from.
    pub origin: Stack<'t>,
    /// What undefined values come from, if that is known and asked for.
    pub origin_kind: Option<OriginKind>,
    /// Where the descriptor was opened.
    pub opened: Stack<'t>,
    /// Where the descriptor was closed.
    pub closed: Stack<'t>,
}

/// Totals, as Valgrind counts them: a fatal signal is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Errors of the findings that are listed.
    pub errors: u64,
    /// Findings that are listed.
    pub contexts: u64,
    /// Errors that were excluded.
    pub suppressed: u64,
    /// Findings that were excluded.
    pub suppressed_contexts: u64,
    /// Fatal signals that are listed.
    pub fatal_signals: u64,
}

/// All that was found.
#[derive(Debug, Clone, Default)]
pub struct Findings<'t> {
    /// What is listed, in the order of `--sort`.
    pub listed: Vec<Finding<'t>>,
    /// Totals.
    pub summary: Summary,
    /// Findings that are of no selected kind, by kind.
    pub not_listed: Vec<(usize, u64)>,
    /// Errors that each of the patterns of `--exclude` suppressed.
    pub excluded: Vec<(String, u64)>,
}

/// What makes errors alike.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    recording: usize,
    process: u32,
    kind: u16,
    size: u64,
    signal: i64,
    text: String,
    unaddressable: bool,
    descriptor: Option<i32>,
    code: Vec<(u32, u64)>,
}

impl Key {
    /// Of an error in the recording with this number, by the first `frames` of its stack.
    pub(crate) fn of(number: usize, recording: &Recording, error: &Error, frames: usize) -> Key {
        // The length of a copy, say, is not what makes it another error.
        let sized =
            matches!(error.kind, ErrorKind::InvalidRead | ErrorKind::InvalidWrite | ErrorKind::UninitValue);
        Key {
            recording: number,
            process: error.process,
            kind: error.kind.number(),
            size: if sized { error.size } else { 0 },
            signal: if error.kind == ErrorKind::FatalSignal { error.value } else { 0 },
            text: error.text.clone(),
            unaddressable: error.flags & flag::UNADDRESSABLE != 0,
            // A loop that closes whatever may be open makes one error.
            descriptor: error.descriptor.as_ref().filter(|d| !d.never_open()).map(|d| d.number),
            code: recording.symbols.code(error.stack).take(frames).collect(),
        }
    }
}

/// Groups the errors of all recordings and looks up what the options ask for.
pub fn analyse<'t>(recordings: &'t [Recording], options: &Options) -> Findings<'t> {
    let selected = options.selected();
    let mut all = Findings::default();
    let mut excluded = vec![0; options.exclude.len()];
    let mut hidden: Vec<u64> = vec![0; kinds::KINDS.len()];
    for group in groups(recordings, options) {
        if !listed(group.error, selected, options) {
            hidden[kinds::index(group.error.kind)] += 1;
            continue;
        }
        if let Some(pattern) = suppressed(&group, options) {
            let suppressed = &mut all.summary.suppressed;
            *suppressed = suppressed.saturating_add(group.count);
            let of_pattern: &mut u64 = &mut excluded[pattern];
            *of_pattern = of_pattern.saturating_add(group.count);
            all.summary.suppressed_contexts += 1;
            continue;
        }
        let finding = resolve(&group, all.listed.len() + 1, options);
        if finding.kind == kinds::FATAL_SIGNAL {
            all.summary.fatal_signals = all.summary.fatal_signals.saturating_add(finding.count);
        } else {
            all.summary.errors = all.summary.errors.saturating_add(finding.count);
            all.summary.contexts += 1;
        }
        all.listed.push(finding);
    }
    all.not_listed = hidden.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
    all.excluded = options.exclude.iter().cloned().zip(excluded).collect();
    sort(&mut all.listed, options.sort);
    all
}

/// Errors that are alike, before names are looked up.
struct Group<'t> {
    recording: &'t Recording,
    process: &'t Process,
    error: &'t Error,
    count: u64,
    contexts: u64,
}

/// The groups, in the order in which their first errors happened.
fn groups<'t>(recordings: &'t [Recording], options: &Options) -> Vec<Group<'t>> {
    let mut groups: Vec<Group<'t>> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    for (number, recording) in recordings.iter().enumerate() {
        let process_of: HashMap<u32, &Process> =
            recording.processes.iter().map(|process| (process.number, process)).collect();
        let mut errors: Vec<&Error> = recording.errors.iter().collect();
        errors.sort_by_key(|error| (error.process, error.time, error.number));
        for error in errors {
            let Some(process) = process_of.get(&error.process) else { continue };
            if options.process.is_some_and(|wanted| !process.is(wanted))
                || options.thread.is_some_and(|wanted| error.thread != wanted)
            {
                continue;
            }
            let key = Key::of(number, recording, error, options.compared_frames());
            // An error that is told has happened.
            let count = error.count.max(1);
            match known.get(&key) {
                Some(&at) => {
                    groups[at].count = groups[at].count.saturating_add(count);
                    groups[at].contexts += 1;
                }
                None => {
                    known.insert(key, groups.len());
                    groups.push(Group { recording, process, error, count, contexts: 1 });
                }
            }
        }
    }
    groups
}

fn listed(error: &Error, selected: Set, options: &Options) -> bool {
    selected.has(kinds::index(error.kind)) && (options.undef_value_errors || !kinds::is_about_values(error))
}

/// The first pattern of `--exclude` that matches the stack.
fn suppressed(group: &Group<'_>, options: &Options) -> Option<usize> {
    if options.exclude.is_empty() {
        return None;
    }
    let frames = group.recording.symbols.frames(group.error.stack, usize::MAX);
    options.exclude.iter().position(|pattern| {
        frames.iter().any(|frame| {
            [frame.function, frame.file, frame.module].into_iter().any(|name| {
                let base = report::format::base_name(name);
                !name.is_empty() && (matches(pattern, name) || matches(pattern, base))
            })
        })
    })
}

/// Whether the whole text fits the pattern, in which `*` stands for any characters and `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: one character further.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn resolve<'t>(group: &Group<'t>, number: usize, options: &Options) -> Finding<'t> {
    let Group { recording, process, error, count, contexts } = *group;
    let stack = |id: u32| -> Stack<'t> {
        let all = recording.symbols.frames(id, usize::MAX);
        let user = user_frame(&all, &process.executable);
        let mut frames = recording.symbols.frames(id, options.num_callers.into());
        if !options.show_internal_frames {
            frames.truncate(above_main(&frames).len());
        }
        Stack { frames, user: user.map(|index| all[index]), innermost: user == Some(0) }
    };
    let about = error.about.as_ref();
    let descriptor = error.descriptor.as_ref();
    let origin = error.origin.filter(|_| options.track_origins);
    Finding {
        number,
        kind: kinds::index(error.kind),
        error,
        count,
        contexts,
        process,
        recording,
        stack: stack(error.stack),
        allocated: about.map(|about| stack(about.allocated)).unwrap_or_default(),
        freed: about.map(|about| stack(about.freed)).unwrap_or_default(),
        origin: origin.map(|origin| stack(origin.stack)).unwrap_or_default(),
        origin_kind: origin.map(|origin| origin.kind),
        opened: descriptor.map(|descriptor| stack(descriptor.opened)).unwrap_or_default(),
        closed: descriptor.map(|descriptor| stack(descriptor.closed)).unwrap_or_default(),
    }
}

fn sort(findings: &mut [Finding<'_>], order: Sort) {
    // Stable, so that equal ones stay in the order in which they happened.
    match order {
        Sort::First => {}
        Sort::Count => findings.sort_by_key(|finding| std::cmp::Reverse(finding.count)),
        Sort::Kind => findings.sort_by_key(|finding| finding.kind),
        Sort::Place => findings.sort_by_key(|finding| {
            let user = finding.stack.user.unwrap_or_default();
            (user.file.is_empty(), user.file, user.line, user.module, user.function)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("main", "main"),
            ("*", ""),
            ("*", "anything"),
            ("lib*.so*", "libfoo.so.6"),
            ("*::push_?", "std::vec::push_x"),
            ("a*b*c", "a--b-b--c"),
            ("**x", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("main", "main2"),
            ("", "x"),
            ("?", ""),
            ("lib*.so", "libfoo.so.6"),
            ("a*b*c", "acb"),
            ("*x", "xy"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        // No pattern takes more than the product of the lengths.
        assert!(!matches(&"*a".repeat(40), &"b".repeat(4000)));
    }
}
