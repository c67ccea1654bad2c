//! What is written for users agrees with the tools: manual pages with `--help`, the README's options, examples and links
//! with what exists, CONTRIBUTING's commands and variables with the sources.
//!
//! What always holds: `--help` is the truth, and a difference is named with the option and the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use tests::guest::{Program, root};
use tests::run::{Run, Scratch};
use tests::suite::{Problem, Suite, Verdict};
use tests::tools::{self, workspace};

/// Tools that have a manual page.
const TOOLS: [&str; 5] = ["vg-record", "vg-leaks", "vg-errors", "vg-annotate", "vg-massif"];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for tool in TOOLS {
        suite.case(format!("man/{tool}"), None, move || page_agrees(tool));
    }
    suite.case("man/lint", None, lint);
    suite.case("readme/options", None, readme_options);
    suite.case("readme/examples", None, readme_examples);
    suite.case("readme/links", None, links);
    suite.case("contributing/commands", None, contributing);
    suite.run()
}

fn verdict(problems: Vec<String>) -> Verdict {
    if problems.is_empty() { Ok(()) } else { Err(Problem::Wrong(problems.join("\n"))) }
}

fn read(name: &str) -> Result<String, Problem> {
    fs::read_to_string(workspace().join(name)).map_err(|error| Problem::wrong(format!("{name}: {error}")))
}

fn help(tool: &str, argument: &str) -> Result<String, Problem> {
    let argv = [tools::tool(tool)?.display().to_string(), argument.to_owned()];
    let outcome = Run::new(argv, &std::env::temp_dir()).run()?;
    if outcome.code() == Some(0) { Ok(outcome.out()) } else { Err(Problem::wrong(outcome.summary())) }
}

/// The words `--name` in a text.
fn long_options(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let before = rest[..at].chars().next_back();
        let name: String =
            rest[at + 2..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        rest = &rest[at + 2 + name.len()..];
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '-');
        if begins && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            found.insert(format!("--{}", name.trim_end_matches('-')));
        }
    }
    found
}

/// What `--help` says of an option: its default and its possible values.
#[derive(Default)]
struct Said {
    default: Option<String>,
    values: Vec<String>,
}

/// The options of `--help` by their long names; an alias is an entry of its own.
fn of_help(text: &str) -> BTreeMap<String, Said> {
    let mut options: BTreeMap<String, Said> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if indent <= 6 && trimmed.starts_with('-') {
            current = long_options(trimmed).into_iter().next().unwrap_or_default();
            options.entry(current.clone()).or_default();
        } else if !trimmed.is_empty() && indent < 6 {
            current.clear();
        }
        let Some(said) = options.get_mut(&current) else { continue };
        let inside = |mark: &str| Some(trimmed.strip_prefix(mark)?.split_once(']')?.0.to_owned());
        if let Some(value) = trimmed.strip_prefix("- ").and_then(|value| value.split_once(':')) {
            said.values.push(value.0.to_owned());
        } else if let Some(default) = inside("[default: ") {
            said.default = Some(default);
        } else if let Some(alias) = inside("[alias: ") {
            options.insert(alias, Said::default());
        }
    }
    options
}

/// A manual page as plain words: without the escapes of roff.
fn plain(text: &str) -> String {
    let mut text = text.replace("\\-", "-").replace("\\(dq", "\"");
    for escape in ["\\fR", "\\fP", "\\fI", "\\fB", "\\&", "\\|"] {
        text = text.replace(escape, "");
    }
    text
}

/// The options of a page with the text that follows each: an option is a tag, the line behind `.TP` or `.TQ`.
fn of_page(text: &str) -> BTreeMap<String, String> {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    let mut current = BTreeSet::new();
    let (mut tag, mut nested) = (false, 0);
    for line in text.lines() {
        match line.split(' ').next().unwrap_or_default() {
            ".RS" => nested += 1,
            ".RE" => nested -= 1,
            ".SH" | ".SS" => current.clear(),
            _ => {}
        }
        let another = line == ".TQ";
        if line == ".TP" || another {
            tag = true;
            if !another && nested == 0 {
                current.clear();
            }
            continue;
        }
        if std::mem::take(&mut tag) && nested == 0 {
            current.append(&mut long_options(line));
        }
        for option in &current {
            let said = options.entry(option.clone()).or_default();
            said.push_str(line);
            said.push('\n');
        }
    }
    options
}

fn page_agrees(tool: &str) -> Verdict {
    let name = format!("man/{tool}.1");
    let (page, text) = (plain(&read(&name)?), help(tool, "--help")?);
    let (said, written) = (of_help(&text), of_page(&page));
    let mut problems = Vec::new();
    for (option, said) in &said {
        let Some(written) = written.get(option) else {
            problems.push(format!("{name}: {option} is missing"));
            continue;
        };
        let words: BTreeSet<&str> =
            written.split(|c: char| !c.is_alphanumeric() && !"-_,.".contains(c)).collect();
        let has = |value: &str| words.iter().any(|word| word.trim_matches([',', '.']) == value);
        let values = said.values.iter().chain(&said.default);
        problems.extend(
            values
                .filter(|value| !has(value))
                .map(|value| format!("{name}: {option} says nothing of {value}")),
        );
    }
    problems.extend(
        written
            .keys()
            .filter(|option| !said.contains_key(*option))
            .map(|option| format!("{name}: {tool} has no {option}")),
    );
    // Options that are mentioned belong to one of the tools.
    let known = known_options()?;
    problems.extend(
        long_options(&page)
            .into_iter()
            .filter(|option| !known.contains(option) && option != "--option-of-program")
            .map(|option| format!("{name}: no tool has {option}")),
    );
    let version = help(tool, "--version")?;
    if !page.contains(&format!("\"{}\"", version.trim())) {
        problems.push(format!("{name}: the version in .TH is not that of {}", version.trim()));
    }
    verdict(problems)
}

/// All options of all tools.
fn known_options() -> Result<BTreeSet<String>, Problem> {
    let mut known = BTreeSet::new();
    for tool in TOOLS {
        known.extend(of_help(&help(tool, "--help")?).into_keys());
    }
    Ok(known)
}

/// groff and mandoc have nothing to say about any page.
fn lint() -> Verdict {
    let linters: [&[&str]; 2] =
        [&["groff", "-ww", "-z", "-man", "-Tutf8"], &["mandoc", "-T", "lint", "-W", "warning"]];
    let linters: Vec<_> = linters.into_iter().filter(|linter| tools::which(linter[0]).is_some()).collect();
    if linters.is_empty() {
        return Err(Problem::skip("neither groff nor mandoc is installed"));
    }
    let mut problems = Vec::new();
    let mut pages = 0;
    for entry in fs::read_dir(workspace().join("man"))? {
        let page = entry?.path();
        pages += 1;
        for linter in &linters {
            let output = Command::new(linter[0]).args(&linter[1..]).arg(&page).output()?;
            let said = [output.stdout, output.stderr].concat();
            if !said.is_empty() || !output.status.success() {
                problems.push(format!("{}: {}", page.display(), String::from_utf8_lossy(&said)));
            }
        }
    }
    if pages < TOOLS.len() {
        problems.push(format!("only {pages} pages in man/"));
    }
    verdict(problems)
}

/// One command of a line of shell: its words, redirections and comments taken off.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default().trim_start_matches("$ ");
    let words =
        |command: &str| command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
    line.split('|').map(|command| words(command.split('>').next().unwrap_or_default())).collect()
}

/// The options that a command of `tool` has: those of the recorded program are not its own.
fn own_options(tool: &str, words: &[String]) -> Vec<String> {
    let mut own = Vec::new();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        if tool == "vg-record" && word == "-o" {
            words.next();
        } else if word.starts_with("--") && word.len() > 2 {
            own.push(word.split('=').next().unwrap_or(word).to_owned());
        } else if tool == "vg-record" {
            break;
        }
    }
    own
}

fn readme_options() -> Verdict {
    let text = read("README.md")?;
    let known = known_options()?;
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        for words in commands(line) {
            let Some(tool) = TOOLS
                .into_iter()
                .find(|tool| words.first().is_some_and(|word| word.rsplit('/').next() == Some(tool)))
            else {
                continue;
            };
            let of_tool = of_help(&help(tool, "--help")?);
            for option in own_options(tool, &words) {
                if !of_tool.contains_key(&option) {
                    problems.push(format!("README.md:{number}: {tool} has no {option}"));
                }
                seen.insert(option);
            }
        }
        // Between backquotes: an option alone, or one behind the name of a tool.
        for quoted in line.split('`').skip(1).step_by(2).filter(|quoted| !quoted.starts_with("cargo")) {
            for option in long_options(quoted) {
                if !known.contains(&option) {
                    problems.push(format!("README.md:{number}: no tool has {option}"));
                }
                seen.insert(option);
            }
        }
    }
    if seen.len() < 12 {
        problems.push(format!("README.md: only {} options were found: {seen:?}", seen.len()));
    }
    verdict(problems)
}

/// The examples that read `trace.capnp` are understood, with a trace in that place.
fn readme_examples() -> Verdict {
    let scratch = Scratch::new("readme")?;
    let source = root().join("leaks/parser.c");
    let program = Program::read(&source)?.ok_or_else(|| Problem::wrong("parser.c has no build line"))?;
    let exe = program.compile(&program.variants[0])?.display().to_string();
    let recorder = tools::tool("vg-record")?.display().to_string();
    let events = "--events=alloc,shadow,instr";
    let record = Run::new([recorder.as_str(), events, "-o", "trace.capnp", &exe], scratch.path()).run()?;
    if !scratch.path().join("trace.capnp").exists() {
        return Err(Problem::wrong(record.summary()));
    }
    let mut problems = Vec::new();
    let (mut ran, mut errors, mut annotated) = (0, 0, 0);
    for (number, line) in read("README.md")?.lines().enumerate() {
        let (tool, mut words) = match commands(line).as_slice() {
            [words] if words.first().is_some_and(|word| word == "vg-leaks") => ("vg-leaks", words.clone()),
            [words] if words.first().is_some_and(|word| word == "vg-errors") => ("vg-errors", words.clone()),
            // Others read other files.
            [words]
                if words.first().is_some_and(|word| word == "vg-annotate")
                    && words.last().is_some_and(|word| word == "trace.capnp") =>
            {
                ("vg-annotate", words.clone())
            }
            _ => continue,
        };
        words[0] = tools::tool(tool)?.display().to_string();
        let outcome = Run::new(words, scratch.path()).run()?;
        match tool {
            "vg-leaks" => ran += 1,
            "vg-annotate" => annotated += 1,
            _ => errors += 1,
        }
        // The address of the example belongs to another program; and a recording that did not look at accesses is told.
        let expected = ["no block on the heap contains", "the recording did not look at accesses"];
        let told = expected.iter().any(|words| outcome.err().contains(words));
        let elsewhere = outcome.code() == Some(2) && told;
        if !elsewhere && !matches!(outcome.code(), Some(0 | 1)) {
            problems.push(format!("README.md:{}: {line}\n{}", number + 1, outcome.summary()));
        }
    }
    if ran < 5 {
        problems.push(format!("README.md: only {ran} examples with vg-leaks were found"));
    }
    if annotated == 0 {
        problems.push("README.md: no example with vg-annotate was found".to_owned());
    }
    if errors == 0 {
        problems.push("README.md: no example with vg-errors was found".to_owned());
    }
    verdict(problems)
}

/// Files that the documents link to, and pages that they name, exist.
fn links() -> Verdict {
    let mut problems = Vec::new();
    let mut found = 0;
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        for (number, line) in read(name)?.lines().enumerate() {
            let targets =
                line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
            let pages = line.split_whitespace().filter(|word| word.starts_with("man/"));
            for target in targets.filter(|target| !target.contains("://")).chain(pages) {
                let path =
                    target.split('#').next().unwrap_or_default().trim_matches(['`', '.', ',', ';', ')']);
                found += 1;
                if !workspace().join(Path::new(path)).exists() {
                    problems.push(format!("{name}:{}: {path} does not exist", number + 1));
                }
            }
        }
    }
    if found < 6 {
        problems.push(format!("only {found} links were found"));
    }
    verdict(problems)
}

/// Packages, suites and variables that CONTRIBUTING names exist.
fn contributing() -> Verdict {
    let text = read("CONTRIBUTING.md")?;
    let manifest = read("tests/Cargo.toml")?;
    let mut sources = String::new();
    for folder in [
        "tests/src",
        "tests/tests",
        "translate/tests",
        "translate/tests/support",
        "definedness/tests/oracle",
        "vg-leaks/tests/it",
        "vg-errors/tests/it",
        ".ci",
    ] {
        for entry in fs::read_dir(workspace().join(folder))? {
            let path = entry?.path();
            // This file names no variable, so that it does not find its own words.
            if path.is_file() && !path.ends_with(Path::new(file!()).file_name().unwrap_or_default()) {
                sources += &fs::read_to_string(&path)?;
            }
        }
    }
    let mut problems = Vec::new();
    let mut checked = 0;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let words: Vec<&str> = line.split([' ', '`', '|', ';', '=', ',']).collect();
        for pair in words.windows(2) {
            let missing = match pair[0] {
                "-p" => !workspace().join(pair[1]).join("Cargo.toml").exists(),
                "--test" => !manifest.contains(&format!("[[test]]\nname = \"{}\"", pair[1])),
                _ => continue,
            };
            checked += 1;
            if missing {
                problems.push(format!("CONTRIBUTING.md:{number}: there is no {} {}", pair[0], pair[1]));
            }
        }
        for variable in words.iter().filter(|word| word.starts_with("VG_") && word.len() > 3) {
            checked += 1;
            if !sources.contains(&format!("\"{variable}\"")) {
                problems.push(format!("CONTRIBUTING.md:{number}: nothing reads {variable}"));
            }
        }
    }
    if checked < 15 {
        problems.push(format!("CONTRIBUTING.md: only {checked} names were found"));
    }
    verdict(problems)
}
