//! Which source lines of two profiles are the same.
//!
//! For each function and each file that it has code in:
//!
//! - Where the texts of the old and of the new file are both there, and are two files, lines are the same that are so in a
//!   difference of the texts; a line that was changed in its place is the same line.
//! - Otherwise the lines of the function have moved together, by the distance that lets the most of them meet lines of the
//!   new profile; no distance before any other.
//!
//! What always holds: what an old line cost counts for one new line, or it is told as gone. Not here: which files are
//! there ([`crate::sources`]).

use super::functions::{Pair, likeness};
use super::{Change, Side};
use crate::profile::{Costs, FunctionId, Profile};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeMap, HashMap};

/// Lines of a file, up to which texts are compared: the time grows with their product.
const LONGEST: usize = 20_000;

/// A source file before and after.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileChange {
    /// Its path now; of one that is gone, as it was.
    pub file: String,
    /// Its path before; the same where it had none.
    pub old_file: String,
    /// By line, as the new file counts them.
    pub lines: BTreeMap<u32, Change>,
    /// Lines that are not in the new file, as the old one counts them.
    pub gone: BTreeMap<u32, Costs>,
}

/// Costs of lines, by file.
type Lines<'a> = BTreeMap<&'a str, BTreeMap<u32, Costs>>;

/// Costs of each function's lines.
fn by_function(profile: &Profile) -> HashMap<FunctionId, Lines<'_>> {
    let mut all: HashMap<FunctionId, Lines<'_>> = HashMap::new();
    for (function, place, costs) in profile.lines() {
        let lines = all.entry(function).or_default().entry(profile.file(place.file)).or_default();
        lines.entry(place.line).or_default().add(costs.values());
    }
    all
}

/// The lines of functions that are one; each function is asked for once.
fn of_all<'a>(all: &mut HashMap<FunctionId, Lines<'a>>, ids: &[FunctionId]) -> Lines<'a> {
    if let [id] = ids {
        return all.remove(id).unwrap_or_default();
    }
    let mut sum = Lines::new();
    for (file, lines) in ids.iter().filter_map(|id| all.remove(id)).flatten() {
        for (line, costs) in lines {
            sum.entry(file).or_default().entry(line).or_default().add(costs.values());
        }
    }
    sum
}

/// What changed in the lines of these functions.
pub(super) fn changes(pairs: &[Pair], old: &mut Side<'_>, new: &mut Side<'_>) -> Vec<FileChange> {
    let (mut before, mut after) = (by_function(old.profile), by_function(new.profile));
    let mut files: BTreeMap<String, FileChange> = BTreeMap::new();
    let mut texts: HashMap<(&str, &str), Option<Vec<u32>>> = HashMap::new();
    for pair in pairs {
        let (mut old_lines, new_lines) = (of_all(&mut before, &pair.old), of_all(&mut after, &pair.new));
        for (file, lines) in &new_lines {
            let change = entry(&mut files, file);
            for (line, costs) in lines {
                change.lines.entry(*line).or_default().new.add(costs.values());
            }
            let Some(old_file) = counterpart(file, &old_lines, &new_lines) else { continue };
            let lines_before = old_lines.remove(old_file).unwrap_or_default();
            old_file.clone_into(&mut change.old_file);
            let text = texts.entry((old_file, *file)).or_insert_with(|| {
                let is_one = old.library.path(old_file)? == new.library.path(file)?;
                if is_one { None } else { same_text(old.library.lines(old_file)?, new.library.lines(file)?) }
            });
            let distance = if text.is_none() { distance(&lines_before, lines) } else { 0 };
            for (line, costs) in lines_before {
                let now = match text {
                    _ if line == 0 => Some(0),
                    Some(same) => same.get(line as usize).copied().filter(|now| *now != 0),
                    None => u32::try_from(i64::from(line) + distance).ok().filter(|now| *now != 0),
                };
                match now {
                    Some(now) => change.lines.entry(now).or_default().old.add(costs.values()),
                    None => change.gone.entry(line).or_default().add(costs.values()),
                }
            }
        }
        // Code of the function that is gone.
        for (file, lines) in old_lines {
            let change = entry(&mut files, file);
            for (line, costs) in lines {
                change.gone.entry(line).or_default().add(costs.values());
            }
        }
    }
    files.into_values().collect()
}

fn entry<'f>(files: &'f mut BTreeMap<String, FileChange>, file: &str) -> &'f mut FileChange {
    files.entry(file.to_owned()).or_insert_with(|| FileChange {
        file: file.to_owned(),
        old_file: file.to_owned(),
        ..FileChange::default()
    })
}

/// The old file that a function's file was: of the same path, or of the most similar one that has no file of its own.
fn counterpart<'a>(file: &'a str, old: &Lines<'a>, new: &Lines<'_>) -> Option<&'a str> {
    if old.contains_key(file) {
        return Some(file);
    }
    let free = old.keys().filter(|other| !new.contains_key(*other));
    let best = free.map(|other| (likeness(other, file), *other)).max()?;
    (best.0 > 0).then_some(best.1)
}

/// The new number of each old line, 0 for none. `None`: too long to compare.
fn same_text(old: &[String], new: &[String]) -> Option<Vec<u32>> {
    if old.len().max(new.len()) > LONGEST {
        return None;
    }
    let mut same = vec![0; old.len() + 1];
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        let (from, to) = match op {
            DiffOp::Equal { old_index, new_index, len } => ((old_index, len), (new_index, len)),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                ((old_index, old_len), (new_index, new_len))
            }
            DiffOp::Insert { .. } | DiffOp::Delete { .. } => continue,
        };
        for offset in 0..from.1.min(to.1) {
            same[from.0 + offset + 1] = (to.0 + offset + 1) as u32;
        }
    }
    Some(same)
}

/// How far the lines of a function have moved.
fn distance(old: &BTreeMap<u32, Costs>, new: &BTreeMap<u32, Costs>) -> i64 {
    let known = |lines: &BTreeMap<u32, Costs>| {
        let mut numbers = lines.keys().copied().filter(|line| *line != 0);
        let first = numbers.next()?;
        Some((i64::from(first), i64::from(numbers.next_back().unwrap_or(first))))
    };
    let (Some(old_ends), Some(new_ends)) = (known(old), known(new)) else { return 0 };
    // A line that costs the same is more likely to be the same.
    let meeting = |distance: i64| {
        old.iter()
            .filter(|(line, _)| **line != 0)
            .filter_map(|(line, costs)| {
                Some((costs, new.get(&u32::try_from(i64::from(*line) + distance).ok()?)?))
            })
            .map(|(old, new)| 1 + usize::from(old == new))
            .sum::<usize>()
    };
    let candidates = [0, new_ends.0 - old_ends.0, new_ends.1 - old_ends.1];
    let best = candidates.into_iter().map(meeting).max().unwrap_or(0);
    candidates.into_iter().find(|distance| meeting(*distance) == best).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: &[(u32, u64)]) -> BTreeMap<u32, Costs> {
        numbers.iter().map(|(line, cost)| (*line, Costs::of(&[*cost]))).collect()
    }

    #[test]
    fn lines_move_together() {
        let old = lines(&[(10, 1), (11, 5), (14, 7)]);
        assert_eq!(distance(&old, &lines(&[(10, 1), (11, 5), (14, 9)])), 0);
        assert_eq!(distance(&old, &lines(&[(40, 1), (41, 5), (44, 8)])), 30);
        assert_eq!(distance(&old, &lines(&[(8, 1), (9, 5), (12, 7)])), -2);
        // Its first line costs nothing any more: the others did not move.
        assert_eq!(distance(&old, &lines(&[(11, 5), (14, 7)])), 0);
        assert_eq!(distance(&old, &lines(&[(111, 5), (114, 7)])), 100);
        assert_eq!(distance(&old, &lines(&[])), 0);
        assert_eq!(distance(&lines(&[(0, 3)]), &old), 0);
    }

    #[test]
    fn texts_tell_the_same_lines() {
        let text = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let same = same_text(&text("a b c d e"), &text("x a b C e f")).unwrap();
        // c was changed in its place, d is gone.
        assert_eq!(same, [0, 2, 3, 4, 0, 5]);
        assert_eq!(same_text(&vec![String::new(); LONGEST + 1], &[]), None);
    }

    #[test]
    fn files_are_found_again_in_another_folder() {
        let files =
            |names: &[&'static str]| names.iter().map(|name| (*name, BTreeMap::new())).collect::<Lines<'_>>();
        let old = files(&["/o/src/a.c", "/o/lib/a.c", "/usr/include/x.h"]);
        let new = files(&["/n/src/a.c", "/usr/include/x.h"]);
        assert_eq!(counterpart("/n/src/a.c", &old, &new), Some("/o/src/a.c"));
        assert_eq!(counterpart("/usr/include/x.h", &old, &new), Some("/usr/include/x.h"));
        assert_eq!(counterpart("/n/src/b.c", &old, &new), None);
    }
}
