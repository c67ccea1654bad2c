//! Files of cachegrind: costs by source file, function and line.
//!
//! What always holds: code that was inlined stands at its own file and line, under the function that it was inlined into; which
//! file that function is in is not said, so the function is one of each file. The last line is the sum: without it the file was cut
//! short.

use super::Read;
use super::lines::{Lines, Problem, counts};
use crate::profile::{Costs, Event, Function, FunctionId, Place, Profile};
use std::io::BufRead;

/// Reads a file.
pub(super) fn read(input: &mut dyn BufRead) -> Result<Read, Problem> {
    let mut lines = Lines::new(input);
    let mut profile = Profile::new(Vec::new());
    let mut summary: Option<Costs> = None;
    let (mut file, mut function): (String, Option<FunctionId>) = (String::new(), None);
    let (mut costs, mut sum) = (Vec::new(), Costs::default());
    while lines.advance()? {
        let text = lines.text();
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let events = profile.events.len();
        if events == 0 {
            // Descriptions, command and events, in this order.
            match text.split_once(':').map(|(key, value)| (key, value.trim())) {
                Some(("desc", _)) => {}
                Some(("cmd", command)) => profile.command = vec![command.to_owned()],
                Some(("events", names)) => {
                    profile.events = names.split_ascii_whitespace().map(Event::named).collect();
                    if profile.events.is_empty() {
                        return Err(lines.wrong("no events"));
                    }
                }
                _ => return Err(lines.wrong("is no header of a cachegrind file")),
            }
            continue;
        }
        if let Some(name) = text.strip_prefix("fl=") {
            file = known(name);
            function = None;
        } else if let Some(name) = text.strip_prefix("fn=") {
            let id = Function { name: known(name), file: file.clone(), module: String::new() };
            function = Some(profile.function_id(id));
        } else if let Some(numbers) = text.strip_prefix("summary:") {
            counts(numbers, events, &mut costs).map_err(|why| lines.wrong(&why))?;
            summary = Some(Costs::of(&costs));
        } else {
            let (line, numbers) = text.split_once(' ').unwrap_or((text, ""));
            let Ok(line) = line.parse() else {
                return Err(lines.wrong("is no line of a cachegrind file"));
            };
            counts(numbers, events, &mut costs).map_err(|why| lines.wrong(&why))?;
            costs.resize(events, 0);
            let function = match function {
                Some(function) => function,
                None => {
                    let id = Function { file: file.clone(), ..Function::default() };
                    *function.insert(profile.function_id(id))
                }
            };
            let place = Place { file: profile.file_id(&file), line };
            profile.add_line(function, place, &costs);
            sum.add(&costs);
        }
    }
    if profile.events.is_empty() {
        return Err(Problem::of_file("no line events:; the file is cut short"));
    }
    let mut doubts = Vec::new();
    let agrees =
        |summary: &Costs| (0..profile.events.len()).all(|event| sum.get(event) == summary.get(event));
    match summary {
        None => doubts.push("no line summary: at the end; the file is cut short".to_owned()),
        Some(summary) if !agrees(&summary) => {
            doubts.push(
                "its costs are not those of its line summary:; lines are missing or damaged".to_owned(),
            );
        }
        Some(_) => {}
    }
    profile.complete = doubts.is_empty();
    Ok((profile, doubts))
}

fn known(name: &str) -> String {
    if name == "???" { String::new() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "desc: I1 cache: 1 B\ncmd: ./prog a\nevents: Ir Dr\n";

    #[test]
    fn functions_of_files() {
        let text = format!(
            "{HEAD}fl=a.c\nfn=f\n1 2 3\n0 1\n# x\n\nfl=a.h\nfn=f\n7 4 .\nfl=???\nfn=???\n0 5\nsummary: 12 3\n"
        );
        let (profile, doubts) = read(&mut text.as_bytes()).unwrap();
        assert_eq!(
            (profile.command.join(""), doubts.len(), profile.complete),
            ("./prog a".to_owned(), 0, true)
        );
        let names: Vec<_> = profile.functions().iter().map(|f| (f.file.as_str(), f.name.as_str())).collect();
        assert_eq!(names, [("a.c", "f"), ("a.h", "f"), ("", "")]);
        let mut lines: Vec<_> =
            profile.lines().map(|(f, place, costs)| (f.0, place.line, costs.get(0), costs.get(1))).collect();
        lines.sort_unstable();
        assert_eq!(lines, [(0, 0, 1, 0), (0, 1, 2, 3), (1, 7, 4, 0), (2, 0, 5, 0)]);
    }

    #[test]
    fn damage_is_told() {
        for (body, line) in [("x\n", 4), ("1 2 3 4\n", 4), ("fn=f\n-1 2\n", 5), ("1 x\n", 4)] {
            let problem = read(&mut format!("{HEAD}{body}").as_bytes()).expect_err(body);
            assert_eq!(problem.line, line, "{body}: {}", problem.what);
        }
        let problem = read(&mut &b"desc: x\ncmd: y\n"[..]).unwrap_err();
        assert!(problem.what.contains("events:"));
        assert_eq!(read(&mut &b"desc: x\nversion: 1\n"[..]).unwrap_err().line, 2);
        for (body, word) in [("fn=f\n1 2\n", "cut short"), ("fn=f\n1 2\nsummary: 3 0\n", "summary:")] {
            let (profile, doubts) = read(&mut format!("{HEAD}{body}").as_bytes()).expect(body);
            assert!(!profile.complete && doubts[0].contains(word), "{doubts:?}");
        }
    }
}
