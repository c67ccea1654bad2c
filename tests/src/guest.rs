//! Guest programs: their directives, and compiling them.
//!
//! A guest program is one source file in `tests/programs/`. Comment lines among its first 25 lines say how it is built
//! and run, with `//` before each:
//!
//! - `build: cc -O2 -pthread` or `build NAME: ...`: one variant; `{src}` and `{out}` stand for the source and
//!   the result, and are appended when they are missing.
//! - `also: cc -shared -fPIC -DLIBRARY {src} -o {out}.so`: a second product that every variant needs.
//! - `args: a b`, `stdin: text`, `env: NAME=value`, `timeout: SECONDS`, `long`.
//! - `needs: avx2`: a processor flag.
//! - `record: --cache-size=1M`: options of the recorder (suites programs and errors).
//! - `ends: signal 11`: how it ends; without it the program must print EXIT-SUCCESS as its last line and exit 0.
//! - `known: reason` or `known NAME: reason`: it cannot pass yet when recorded.
//! - `trace: partial`: the recording may say that it is incomplete.
//! - `peer: reason` or `peer NAME: reason`: a leak program whose leaks Valgrind does not see in the same way.
//! - `errors: ignored`: standard error is not compared.
//!
//! A program that needs a library (`-lNAME`, `-l:FILE`) is skipped where that is not installed.
//!
//! What always holds: a compiled program is reused only while the source, every header beside it and the
//! command are unchanged.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::run::{Outcome, Run};
use crate::suite::{Problem, Verdict, stem};
use crate::tools;

/// One way to build a guest program.
#[derive(Debug, Clone)]
pub struct Variant {
    /// `default` or the name given in the directive.
    pub name: String,
    command: String,
    /// Why it cannot pass yet.
    pub known: Option<String>,
    /// Why the peer's findings are others.
    pub other_peer: Option<String>,
}

/// A guest program and its directives.
#[derive(Debug, Clone)]
pub struct Program {
    /// The source file.
    pub source: PathBuf,
    /// Folder and stem, such as `signals/nested`.
    pub name: String,
    /// How it is built; at least one.
    pub variants: Vec<Variant>,
    also: Vec<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Standard input.
    pub stdin: String,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Deadline of one run.
    pub timeout: Duration,
    /// Runs only when long cases are asked for.
    pub long: bool,
    needs: Vec<String>,
    /// How it ends when it is not by printing EXIT-SUCCESS.
    pub ends: Option<String>,
    /// Options of the recorder.
    pub record: Vec<String>,
    /// The recording may be incomplete.
    pub partial: bool,
    /// Standard error is compared.
    pub compare_errors: bool,
    /// The text of the source.
    pub text: String,
}

/// Lines at the top that may hold directives.
const HEAD_LINES: usize = 25;

impl Program {
    /// Reads the directives of `source`; a file without a `build` line is no program of its own.
    pub fn read(source: &Path) -> Result<Option<Self>, String> {
        let text = fs::read_to_string(source).map_err(|error| format!("{}: {error}", source.display()))?;
        let folder = source.parent().map(stem).unwrap_or_default();
        let mut program = Self {
            source: source.to_owned(),
            name: format!("{folder}/{}", stem(source)),
            variants: Vec::new(),
            also: Vec::new(),
            args: Vec::new(),
            stdin: String::new(),
            env: Vec::new(),
            timeout: Duration::from_secs(60),
            long: false,
            needs: Vec::new(),
            ends: None,
            record: Vec::new(),
            partial: false,
            compare_errors: true,
            text,
        };
        let mut reasons = Vec::new();
        for line in program.text.clone().lines().take(HEAD_LINES) {
            let Some(rest) = line.strip_prefix("// ") else { continue };
            if rest.trim() == "long" {
                program.long = true;
                continue;
            }
            let Some((key, value)) = rest.split_once(':') else { continue };
            let value = value.trim();
            match key.split_once(' ').unwrap_or((key, "default")) {
                ("build", name) => program.variants.push(Variant {
                    name: name.to_owned(),
                    command: value.to_owned(),
                    known: None,
                    other_peer: None,
                }),
                (key @ ("known" | "peer"), name) => {
                    reasons.push((key == "known", name.to_owned(), value.to_owned()));
                }
                (_, variant) if variant != "default" => {}
                ("also", _) => program.also.push(value.to_owned()),
                ("args", _) => program.args = value.split_whitespace().map(str::to_owned).collect(),
                ("stdin", _) => program.stdin = format!("{value}\n"),
                ("env", _) => program
                    .env
                    .extend(value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))),
                ("timeout", _) => {
                    let seconds = value.parse().map_err(|_| format!("{}: {line}", source.display()))?;
                    program.timeout = Duration::from_secs(seconds);
                }
                ("needs", _) => program.needs.push(value.to_owned()),
                ("record", _) => program.record = value.split_whitespace().map(str::to_owned).collect(),
                ("ends", _) => program.ends = Some(value.to_owned()),
                ("trace", _) => program.partial = value == "partial",
                ("errors", _) => program.compare_errors = value != "ignored",
                _ => {}
            }
        }
        for (known, name, reason) in reasons {
            // A reason without a variant's name holds for every variant.
            let all = name == "default";
            let mut found = false;
            for variant in program.variants.iter_mut().filter(|variant| all || variant.name == name) {
                *(if known { &mut variant.known } else { &mut variant.other_peer }) = Some(reason.clone());
                found = true;
            }
            if !found {
                return Err(format!("{}: no variant {name}", source.display()));
            }
        }
        Ok((!program.variants.is_empty()).then_some(program))
    }

    /// All programs of the folders, in order of their names.
    pub fn all(folders: &[&str]) -> Result<Vec<Self>, String> {
        let mut programs = Vec::new();
        for folder in folders {
            let folder = root().join(folder);
            let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            files.sort();
            for file in files.iter().filter(|file| file.is_file()) {
                programs.extend(Self::read(file)?);
            }
        }
        Ok(programs)
    }

    /// Name of the case that runs `variant`.
    pub fn case_name(&self, variant: &Variant) -> String {
        if variant.name == "default" { self.name.clone() } else { format!("{}::{}", self.name, variant.name) }
    }

    /// Runs `argv`, which is the program or a tool before it, with the program's input, environment and deadline.
    pub fn prepare(&self, argv: &[String], cwd: &Path) -> Run {
        let run = Run::new(argv, cwd).stdin(self.stdin.as_bytes()).timeout(self.timeout);
        self.env.iter().fold(run, |run, (name, value)| run.env(name, value))
    }

    /// A skip or a failure when the native run was not what the program promises.
    pub fn check_native(&self, native: &Outcome) -> Verdict {
        let out = native.out();
        if let Some(reason) = out.lines().find_map(|line| line.strip_prefix("SKIP ")) {
            return Err(Problem::skip(reason));
        }
        let good = match &self.ends {
            Some(ending) => native.ending() == *ending,
            None => native.code() == Some(0) && out.lines().last() == Some("EXIT-SUCCESS"),
        };
        if good { Ok(()) } else { Err(Problem::wrong(format!("natively {}", native.summary()))) }
    }

    /// Compiles `variant` unless that was done before, and gives the path of the program.
    pub fn compile(&self, variant: &Variant) -> Result<PathBuf, Problem> {
        if let Some(flag) = self.needs.iter().find(|flag| !tools::cpu_has(flag)) {
            return Err(Problem::skip(format!("this processor has no {flag}")));
        }
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        variant.command.hash(&mut hasher);
        self.also.hash(&mut hasher);
        for header in headers(&root())? {
            fs::read(&header)?.hash(&mut hasher);
        }
        let base = tools::guest_directory()?;
        let name = format!("{}-{}-{:016x}", self.name.replace('/', "-"), variant.name, hasher.finish());
        let directory = base.join(&name);
        let program = stem(&self.source);
        if !directory.exists() {
            // Two cases of a suite may compile the same program at the same time.
            static BUILDS: AtomicUsize = AtomicUsize::new(0);
            let build = BUILDS.fetch_add(1, Ordering::Relaxed);
            let unfinished = base.join(format!("{name}.{}.{build}", std::process::id()));
            fs::create_dir_all(&unfinished)?;
            // A program may link with what `also` makes.
            let built = (self.also.iter())
                .chain(std::iter::once(&variant.command))
                .try_for_each(|command| self.build(command, &unfinished.join(&program)));
            if let Err(problem) = built {
                let _ = fs::remove_dir_all(&unfinished);
                return Err(problem);
            }
            // Another suite may have been faster: its result is the same.
            if fs::rename(&unfinished, &directory).is_err() {
                let _ = fs::remove_dir_all(&unfinished);
            }
        }
        Ok(directory.join(program))
    }

    fn build(&self, command: &str, out: &Path) -> Result<(), Problem> {
        let source = self.source.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if !command.contains("{out}") {
            words.extend(["{src}".to_owned(), "-o".to_owned(), "{out}".to_owned()]);
        }
        let out = out.display().to_string();
        let words: Vec<String> =
            words.iter().map(|word| word.replace("{src}", &source).replace("{out}", &out)).collect();
        // `env NAME=value compiler ...` sets variables for a compiler.
        let compiler = words.iter().find(|word| *word != "env" && !word.contains('=')).unwrap_or(&words[0]);
        crate::suite::need(compiler)?;
        let folder = self.source.parent().unwrap_or(Path::new("."));
        let output = Command::new(&words[0]).args(&words[1..]).current_dir(folder).output()?;
        if output.status.success() {
            return Ok(());
        }
        for library in words.iter().filter_map(|word| word.strip_prefix("-l")) {
            let file = library.strip_prefix(':').map_or_else(|| format!("lib{library}.so"), str::to_owned);
            // The compiler prints a path only for a file that it finds.
            let found = Command::new("cc").arg(format!("-print-file-name={file}")).output()?;
            if !found.stdout.contains(&b'/') {
                return Err(Problem::skip(format!("the library {file} is not installed")));
            }
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Problem::wrong(format!("{} does not compile: {}\n{text}", self.name, words.join(" "))))
    }
}

/// Folder of the guest programs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

fn headers(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    found.sort();
    Ok(found)
}
