//! Rules of the source that no compiler checks.
//!
//! What always holds: a rule names the file and line that break it; exceptions are listed here with their reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::suite::{Problem, Suite, Verdict};
use tests::tools::workspace;

/// Longest file that is not a table or tests.
const LINES_MAX: usize = 800;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.case("heads", None, || rule(&["rs"], heads));
    suite.case("lengths", None, || rule(&["rs"], lengths));
    suite.case("leftovers", None, || rule(&["rs"], leftovers));
    suite.case("unsafe", None, || rule(&["rs"], unsafe_code));
    suite.case("words", None, || {
        rule(&["rs", "toml", "md", "capnp", "c", "cpp", "S", "h", "go", "sh", "yml", "ld"], words)
    });
    suite.case("white-space", None, || rule(&["rs", "toml", "c", "cpp", "S", "h", "go"], white_space));
    suite.run()
}

/// Applies `check` to every file with one of the extensions; it gives the broken rules with their lines.
fn rule(extensions: &[&str], check: fn(&Path, &str) -> Vec<(usize, String)>) -> Verdict {
    let root = workspace();
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    let mut problems = Vec::new();
    for file in files {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !extensions.contains(&extension) {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        problems.extend(
            check(&file, &text).into_iter().map(|(line, problem)| format!("{name}:{line}: {problem}")),
        );
    }
    problems.sort();
    if problems.is_empty() { Ok(()) } else { Err(Problem::Wrong(problems.join("\n"))) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            if !["target", ".git"].contains(&entry.file_name().to_string_lossy().as_ref()) {
                collect(&path, files)?;
            }
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn heads(_: &Path, text: &str) -> Vec<(usize, String)> {
    // A generated or executable file may begin with a line for its interpreter.
    let first = text.lines().find(|line| !line.starts_with("#!/")).unwrap_or_default();
    if first.starts_with("//!") { Vec::new() } else { vec![(1, "does not open with //!".to_owned())] }
}

fn lengths(file: &Path, text: &str) -> Vec<(usize, String)> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let exempt =
        ["tests", "table", "tables"].iter().any(|name| stem == *name || stem.ends_with(&format!("_{name}")));
    let lines = text.lines().count();
    if exempt || lines <= LINES_MAX {
        Vec::new()
    } else {
        vec![(lines, format!("more than {LINES_MAX} lines"))]
    }
}

fn leftovers(_: &Path, text: &str) -> Vec<(usize, String)> {
    // Written in two parts, so that this file does not break its own rule.
    let marks = [
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("TO", "DO"),
        concat!("db", "g!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    find(text, &marks)
}

fn words(_: &Path, text: &str) -> Vec<(usize, String)> {
    // Paths and names of the place where a change was made have no business in it.
    let marks = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("pream", "ble.md"),
        concat!("issues ", "show"),
    ];
    find(text, &marks)
}

fn find(text: &str, marks: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        found.extend(
            marks
                .iter()
                .filter(|mark| line.contains(**mark))
                .map(|mark| (index + 1, format!("contains {mark:?}"))),
        );
    }
    found
}

fn unsafe_code(_: &Path, text: &str) -> Vec<(usize, String)> {
    let allowed = text.contains("SAFETY") || text.contains("# Safety") || text.contains("allow(unsafe_code");
    if allowed {
        return Vec::new();
    }
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            !code.contains('"') && forms.iter().any(|form| code.contains(form))
        })
        .map(|(index, _)| (index + 1, "unsafe code in a file without SAFETY comments".to_owned()))
        .collect()
}

fn white_space(_: &Path, text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with([' ', '\t']))
        .map(|(index, _)| (index + 1, "white space at the end".to_owned()))
        .collect();
    if !text.is_empty() && !text.ends_with('\n') {
        found.push((text.lines().count(), "no line end at the end".to_owned()));
    }
    found
}
