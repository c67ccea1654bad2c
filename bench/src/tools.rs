//! Finds, or builds, what takes part: the tools of this workspace and the peers that are installed.
//!
//! Always holds: a peer that is not installed is `None`, never an error; our own tools are there or nothing runs.
//! Not here: how they are called (`column`).

use anyhow::{Context as _, ensure};
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that can run a program for a column.
#[derive(Debug)]
pub(crate) struct Tools {
    pub vg_record: PathBuf,
    pub vg_leaks: PathBuf,
    /// Whether this `vg-record` has `--events=none`.
    pub records_nothing: bool,
    pub valgrind: Option<PathBuf>,
    pub heaptrack: Option<PathBuf>,
    /// The library that `heaptrack` preloads.
    pub preload: Option<PathBuf>,
}

impl Tools {
    /// Takes our tools from `folder`, or builds them in the release profile.
    pub(crate) fn find(folder: Option<&Path>) -> anyhow::Result<Tools> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => build()?,
        };
        let ours = |name: &str| {
            let path = folder.join(name);
            let path = path.canonicalize().with_context(|| format!("no {name} in {}", folder.display()))?;
            Ok::<PathBuf, anyhow::Error>(path)
        };
        let vg_record = ours("vg-record")?;
        let probe = Command::new(&vg_record)
            .args(["--events=none", "-o", "/dev/null", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let records_nothing = probe.context("cannot start vg-record")?.success();
        let heaptrack = in_path("heaptrack");
        let preload = heaptrack.as_deref().and_then(preload_of);
        let vg_leaks = ours("vg-leaks")?;
        Ok(Tools { vg_record, vg_leaks, records_nothing, valgrind: in_path("valgrind"), heaptrack, preload })
    }
}

/// Builds the tools where this program was built and says where they are.
fn build() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let target = target().context("this program is not in a target folder: use --tools")?;
    eprintln!("building vg-record and vg-leaks");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "-p", "vg-record", "-p", "vg-leaks", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cannot start cargo: use --tools")?;
    ensure!(status.success(), "building vg-record and vg-leaks failed");
    Ok(target.join("release"))
}

/// The target folder that this program was built in: it is TARGET/PROFILE/bench.
pub(crate) fn target() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.ancestors().nth(2)?.to_owned())
}

/// `heaptrack` is a script that finds its library beside itself in the same way.
fn preload_of(heaptrack: &Path) -> Option<PathBuf> {
    let folder = heaptrack.canonicalize().ok()?;
    let library = folder.parent()?.join("../lib/heaptrack/libheaptrack_preload.so");
    library.canonicalize().ok()
}

/// The executable `name` of the `PATH`.
pub(crate) fn in_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut found = env::split_paths(&path).map(|folder| folder.join(name.as_ref()));
    found.find(|file| {
        file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    })
}
