//! Programs that the benchmark compiles itself, natively and for the sanitizers: its own, and libraries whose source lies in
//! packages that cargo has fetched for the tests.
//!
//! Always holds: a source, a compiler or a sanitizer that is not there is `None`, never an error; what was compiled once from the same is
//! taken again. Not here: what the programs are run with (`workload`).

use crate::column::Program;
use crate::tools::in_path;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and what it is made of.
pub(crate) struct Source {
    name: &'static str,
    /// A file of `bench/programs`.
    own: Option<&'static str>,
    /// A package, and the files and folders of it.
    package: Option<(&'static str, &'static [&'static str])>,
    flags: &'static [&'static str],
}

const fn own(name: &'static str, text: &'static str) -> Source {
    Source { name, own: Some(text), package: None, flags: &[] }
}

pub(crate) const JSON: Source = own("json", include_str!("../programs/json.c"));
pub(crate) const QUEUE: Source = own("queue", include_str!("../programs/queue.c"));
pub(crate) const SORT: Source = own("sort", include_str!("../programs/sort.c"));
pub(crate) const TREE: Source = own("tree", include_str!("../programs/tree.c"));
pub(crate) const PAIRS: Source = own("pairs", include_str!("../programs/pairs.c"));

pub(crate) const LUA: Source = Source {
    name: "lua",
    own: Some(include_str!("../programs/lua.c")),
    package: Some(("lua-src", &["lua-5.4.9"])),
    flags: &["-DLUA_USE_LINUX", "-lm", "-ldl"],
};

pub(crate) const SQLITE: Source = Source {
    name: "sqlite",
    own: Some(include_str!("../programs/sqlite.c")),
    package: Some(("libsqlite3-sys", &["sqlite3/sqlite3.c"])),
    // In files it calls stat, which clang 14 does not know to set anything.
    flags: &["-DSQLITE_TEMP_STORE=3", "-lm", "-ldl"],
};

pub(crate) const BZIP2: Source = Source {
    name: "bzip2",
    own: None,
    package: Some((
        "bzip2-sys",
        &[
            "bzip2-1.0.8/blocksort.c",
            "bzip2-1.0.8/bzip2.c",
            "bzip2-1.0.8/bzlib.c",
            "bzip2-1.0.8/compress.c",
            "bzip2-1.0.8/crctable.c",
            "bzip2-1.0.8/decompress.c",
            "bzip2-1.0.8/huffman.c",
            "bzip2-1.0.8/randtable.c",
        ],
    )),
    flags: &[],
};

/// Options of all compilers. More about variables takes gcc ten minutes for sqlite with AddressSanitizer.
const OPTIONS: [&str; 4] = ["-O2", "-g1", "-w", "-pthread"];

/// Compiles sources, and remembers where packages lie.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Where programs are kept.
    folder: PathBuf,
    /// What `cargo metadata` says of the workspace.
    metadata: Option<Value>,
    /// Programs are compiled for the sanitizers as well.
    sanitizers: bool,
}

impl Builder {
    /// A builder that keeps its programs in `folder`.
    pub(crate) fn new(folder: PathBuf, sanitizers: bool) -> Builder {
        Builder { folder, metadata: metadata(), sanitizers }
    }

    /// The compiled program, also for the sanitizers if they are wanted and their compilers are there. `None`: no source.
    ///
    /// # Errors
    /// It does not compile.
    pub(crate) fn program(
        &self,
        source: &Source,
        arguments: Vec<OsString>,
    ) -> anyhow::Result<Option<Program>> {
        let files = match source.package {
            None => Vec::new(),
            Some((package, parts)) => match self.package(package) {
                None => return Ok(None),
                Some(folder) => files(&folder, parts)?,
            },
        };
        let compiled = |kind: &str, compiler: &str, option: &str| {
            if in_path(compiler).is_none() {
                return Ok(None);
            }
            self.compiled(source, &files, kind, compiler, option).map(Some)
        };
        let path = compiled("native", "cc", "-pthread")?.context("no C compiler cc")?;
        // A compiler's sanitizers may be packages of their own.
        let sanitized = |kind: &str, compiler: &str, option: &str| {
            let made = self.sanitizers.then(|| compiled(kind, compiler, option))?;
            made.inspect_err(|error| eprintln!("without it: {error:#}")).ok().flatten()
        };
        let address_sanitizer = sanitized("asan", "gcc", "-fsanitize=address");
        let memory_sanitizer = sanitized("msan", "clang", "-fsanitize=memory");
        Ok(Some(Program { path, arguments, address_sanitizer, memory_sanitizer }))
    }

    fn compiled(
        &self,
        source: &Source,
        files: &[PathBuf],
        kind: &str,
        compiler: &str,
        option: &str,
    ) -> anyhow::Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        (OPTIONS, source.own, files, source.flags, compiler, option).hash(&mut hasher);
        let result = self.folder.join(format!("{}-{kind}-{:016x}", source.name, hasher.finish()));
        if result.is_file() {
            return Ok(result);
        }
        eprintln!("compiling {} ({kind})", source.name);
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let unfinished = result.with_extension(std::process::id().to_string());
        let mut command = Command::new(compiler);
        command.args(OPTIONS).args([option, "-o"]).arg(&unfinished);
        // Headers lie beside the sources.
        if let Some(folder) = files.first().and_then(|file| file.parent()) {
            command.arg("-I").arg(folder);
        }
        let text = result.with_extension("c");
        if let Some(own) = source.own {
            fs::write(&text, own).with_context(|| format!("cannot write {}", text.display()))?;
            command.arg(&text);
        }
        let output = command.args(files).args(source.flags).output();
        let output = output.with_context(|| format!("cannot start {compiler}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{compiler}: {} does not compile: {said}", source.name);
        fs::rename(&unfinished, &result)
            .with_context(|| format!("cannot rename {}", unfinished.display()))?;
        Ok(result)
    }

    /// Where cargo keeps the source of a package.
    fn package(&self, name: &str) -> Option<PathBuf> {
        let packages = self.metadata.as_ref()?["packages"].as_array()?;
        let manifest = packages.iter().find(|package| package["name"] == name)?["manifest_path"].as_str()?;
        let folder = Path::new(manifest).parent()?;
        folder.is_dir().then(|| folder.to_owned())
    }
}

/// The files, and the C files of the folders.
fn files(package: &Path, parts: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut list = Vec::new();
    for part in parts.iter().map(|part| package.join(part)) {
        if !part.is_dir() {
            list.push(part);
            continue;
        }
        let entries = fs::read_dir(&part).with_context(|| format!("cannot read {}", part.display()))?;
        let of_c = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "c");
        list.extend(entries.flatten().map(|entry| entry.path()).filter(of_c));
    }
    list.sort();
    Ok(list)
}

fn metadata() -> Option<Value> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--manifest-path"])
        .arg(manifest)
        .output()
        .ok()?;
    output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_programs_are_compiled_once_and_for_the_sanitizers() {
        let folder = std::env::temp_dir().join(format!("vg-bench-source-{}", std::process::id()));
        let builder = Builder { folder: folder.clone(), metadata: None, sanitizers: true };
        let program = builder.program(&SORT, vec!["1".into()]).expect("compiles").expect("needs no package");
        let printed = |path: &Path| Command::new(path).arg("1").output().expect("runs").stdout;
        let native = printed(&program.path);
        assert!(!native.is_empty());
        for sanitized in [&program.address_sanitizer, &program.memory_sanitizer].into_iter().flatten() {
            assert_eq!(printed(sanitized), native);
        }
        let made = fs::metadata(&program.path).and_then(|data| data.modified()).expect("is there");
        let again = builder.program(&SORT, Vec::new()).expect("compiles").expect("needs no package");
        assert_eq!(fs::metadata(&again.path).and_then(|data| data.modified()).expect("is there"), made);
        assert!(builder.program(&LUA, Vec::new()).expect("is no error").is_none());
        fs::remove_dir_all(folder).expect("is ours");
    }
}
