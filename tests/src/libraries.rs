//! Libraries that much depends on, each with a program that uses a good part of it: compiling them.
//!
//! What always holds: the sources are those that cargo has fetched with this package's dependencies; nothing is downloaded. A
//! compiled program is reused only while command and program are unchanged. Not here: what is done with them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::suite::{Problem, need};
use crate::{guest, tools};

/// A library, and the program in `programs/clean` that uses it.
#[derive(Debug)]
pub struct Library {
    /// Its name, and that of the program.
    pub name: &'static str,
    /// The package that bundles its source.
    package: &'static str,
    /// Folders and files of it, in the package.
    sources: &'static [&'static str],
    /// Its headers.
    include: &'static str,
    flags: &'static [&'static str],
    /// What the program runs, in `programs/clean`.
    pub script: Option<&'static str>,
    /// Takes a minute to compile: two of the variants are for long runs.
    pub large: bool,
}

/// All of them.
pub const LIBRARIES: [Library; 6] = [
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

/// A file beside the programs.
pub fn own(name: &str) -> PathBuf {
    guest::root().join("clean").join(name)
}

/// Compiles the program, or takes what an earlier run has compiled from the same. `more`: further options of the compiler.
///
/// # Errors
/// A skip where the compiler or the sources are missing.
pub fn compiled(
    library: &Library,
    compiler: &str,
    optimization: &str,
    more: &[&str],
) -> Result<PathBuf, Problem> {
    need(compiler)?;
    let package = package(library.package)?;
    let source = own(&format!("{}.c", library.name));
    let mut argv = vec![optimization.to_owned(), "-g1".to_owned(), "-w".to_owned()];
    argv.extend([format!("-I{}", package.join(library.include).display()), source.display().to_string()]);
    for part in library.sources {
        argv.extend(files(&package.join(part))?);
    }
    argv.extend(library.flags.iter().chain(more).map(|flag| (*flag).to_owned()));
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
