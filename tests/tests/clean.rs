//! Clean programs: libraries that much depends on, compiled with optimization by gcc and clang, put through a good part of
//! what they do while undefined values are followed, give no error.
//!
//! What always holds: none is excused. Valgrind, too, has nothing to tell of any of them (cases `peer/`). The sources are
//! those that cargo has fetched with this package's dependencies; nothing is downloaded here.
//!
//! Not here: what clean code does that was once told of as an error (`programs/values`, without expectations).

use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::time::Duration;
use tests::errors;
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::{guest, tools};

/// A library, and the program in `programs/clean` that uses it.
struct Library {
    name: &'static str,
    /// The package that bundles its source.
    package: &'static str,
    /// Folders and files of it, in the package.
    sources: &'static [&'static str],
    /// Its headers.
    include: &'static str,
    flags: &'static [&'static str],
    /// What the program runs, in `programs/clean`.
    script: Option<&'static str>,
    /// Takes a minute to compile: two of the variants are for long runs.
    large: bool,
}

const LIBRARIES: [Library; 6] = [
    Library {
        name: "bzip2",
        package: "bzip2-sys",
        sources: &[
            "bzip2-1.0.8/blocksort.c",
            "bzip2-1.0.8/bzlib.c",
            "bzip2-1.0.8/compress.c",
            "bzip2-1.0.8/crctable.c",
            "bzip2-1.0.8/decompress.c",
            "bzip2-1.0.8/huffman.c",
            "bzip2-1.0.8/randtable.c",
        ],
        include: "bzip2-1.0.8",
        flags: &["-DBZ_NO_STDIO"],
        script: None,
        large: false,
    },
    Library {
        name: "lua",
        package: "lua-src",
        sources: &["lua-5.4.9"],
        include: "lua-5.4.9",
        flags: &["-DLUA_USE_LINUX", "-lm", "-ldl"],
        script: Some("script.lua"),
        large: false,
    },
    Library {
        name: "lz4",
        package: "lz4-sys",
        sources: &["liblz4/lib"],
        include: "liblz4/lib",
        flags: &[],
        script: None,
        large: false,
    },
    Library {
        name: "sqlite",
        package: "libsqlite3-sys",
        sources: &["sqlite3/sqlite3.c"],
        include: "sqlite3",
        flags: &["-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE", "-lm", "-lpthread", "-ldl"],
        script: Some("script.sql"),
        large: true,
    },
    Library {
        name: "zlib",
        package: "libz-sys",
        sources: &["src/zlib"],
        include: "src/zlib",
        flags: &["-DHAVE_UNISTD_H"],
        script: None,
        large: false,
    },
    Library {
        name: "zstd",
        package: "zstd-sys",
        sources: &[
            "zstd/lib/common",
            "zstd/lib/compress",
            "zstd/lib/decompress",
            "zstd/lib/decompress/huf_decompress_amd64.S",
            "zstd/lib/dictBuilder",
        ],
        include: "zstd/lib",
        flags: &[],
        script: None,
        large: true,
    },
];

/// Compiler, optimization, and whether large libraries are compiled so only in long runs.
const VARIANTS: [(&str, &str, bool); 4] =
    [("gcc", "-O2", false), ("gcc", "-O3", true), ("clang", "-O2", true), ("clang", "-O3", false)];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for library in &LIBRARIES {
        for (compiler, optimization, long) in VARIANTS {
            let name = format!("{}/{compiler}{optimization}", library.name);
            let body = move || clean(library, compiler, optimization);
            if long && library.large {
                suite.long_case(name, None, body);
            } else {
                suite.case(name, None, body);
            }
        }
        suite.long_case(format!("peer/{}", library.name), None, move || peer(library));
    }
    suite.run()
}

/// No error, and the program does what it does natively.
fn clean(library: &Library, compiler: &str, optimization: &str) -> Verdict {
    let command = command(library, compiler, optimization)?;
    let scratch = Scratch::new("clean")?;
    let native = run(&scratch, command.clone())?;
    let trace = scratch.path().join("trace.capnp").display().to_string();
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(["-o", &trace, "--"].map(str::to_owned));
    argv.extend(command);
    let recorded = run(&scratch, argv)?;
    if recorded.out() != native.out() {
        return Err(Problem::wrong(format!(
            "natively {}\nrecorded {}",
            native.summary(),
            recorded.summary()
        )));
    }
    let reader = tools::tool("vg-errors")?.display().to_string();
    let told = Run::new([&reader, &trace], scratch.path()).run()?;
    let end = "ERROR SUMMARY: 0 errors from 0 contexts";
    if told.code() == Some(0) && told.out().contains(end) {
        return Ok(());
    }
    let lines: Vec<String> = told.out().lines().take(40).map(str::to_owned).collect();
    Err(Problem::wrong(lines.join("\n")))
}

/// Valgrind tells of no error.
fn peer(library: &Library) -> Verdict {
    need("valgrind")?;
    let command = command(library, "gcc", "-O2")?;
    let scratch = Scratch::new("clean-peer")?;
    let log = scratch.path().join("log");
    let run = errors::under_memcheck(&command, &log.display().to_string(), true, false, scratch.path());
    let outcome = run.timeout(DEADLINE).run()?;
    let text = fs::read_to_string(&log)?;
    if outcome.code() == Some(0) && text.contains("ERROR SUMMARY: 0 errors") {
        return Ok(());
    }
    Err(Problem::wrong(format!("{}\n{text}", outcome.summary())))
}

const DEADLINE: Duration = Duration::from_secs(300);

fn run(scratch: &Scratch, argv: Vec<String>) -> Result<Outcome, Problem> {
    let outcome = Run::new(argv, &scratch.fresh("cwd")?).timeout(DEADLINE).run()?;
    if outcome.code() == Some(0) { Ok(outcome) } else { Err(Problem::wrong(outcome.summary())) }
}

/// The compiled program with its argument.
fn command(library: &Library, compiler: &str, optimization: &str) -> Result<Vec<String>, Problem> {
    let mut argv = vec![compiled(library, compiler, optimization)?.display().to_string()];
    argv.extend(library.script.map(|script| own(script).display().to_string()));
    Ok(argv)
}

/// A file beside the programs.
fn own(name: &str) -> PathBuf {
    guest::root().join("clean").join(name)
}

/// Compiles the program, or takes what an earlier run has compiled from the same.
fn compiled(library: &Library, compiler: &str, optimization: &str) -> Result<PathBuf, Problem> {
    need(compiler)?;
    let package = package(library.package)?;
    let source = own(&format!("{}.c", library.name));
    let mut argv = vec![optimization.to_owned(), "-g1".to_owned(), "-w".to_owned()];
    argv.extend([format!("-I{}", package.join(library.include).display()), source.display().to_string()]);
    for part in library.sources {
        argv.extend(files(&package.join(part))?);
    }
    argv.extend(library.flags.iter().map(|flag| (*flag).to_owned()));
    let mut hasher = DefaultHasher::new();
    argv.hash(&mut hasher);
    fs::read(&source)?.hash(&mut hasher);
    fs::read(own("data.h"))?.hash(&mut hasher);
    let name = format!("clean-{}-{compiler}{optimization}-{:016x}", library.name, hasher.finish());
    let result = tools::guest_directory()?.join(name);
    if !result.is_file() {
        let unfinished = result.with_extension(std::process::id().to_string());
        let output = Command::new(compiler).args(&argv).arg("-o").arg(&unfinished).output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Problem::wrong(format!("{} does not compile:\n{text}", library.name)));
        }
        fs::rename(&unfinished, &result)?;
    }
    Ok(result)
}

/// A file, or the C files of a folder.
fn files(path: &Path) -> Result<Vec<String>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.display().to_string()]);
    }
    let mut list = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "c") {
            list.push(file.display().to_string());
        }
    }
    list.sort();
    Ok(list)
}

/// Where cargo keeps the source of a package.
fn package(name: &str) -> Result<PathBuf, Problem> {
    static METADATA: OnceLock<Result<Value, String>> = OnceLock::new();
    let metadata = METADATA.get_or_init(metadata).as_ref().map_err(Problem::skip)?;
    let packages = metadata["packages"].as_array().ok_or_else(|| "no packages".to_owned())?;
    let manifest = packages.iter().find(|package| package["name"] == name);
    let manifest = manifest.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| format!("{name} is no dependency of the tests"))?;
    Ok(Path::new(manifest).parent().unwrap_or(Path::new("/")).to_owned())
}

fn metadata() -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .current_dir(tools::workspace())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("`cargo fetch` was not run: {text}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}
