//! Finds the tools under test and the programs of the machine.
//!
//! What always holds: the tools are those of the profile and target directory that the suite itself was built
//! in, and they are up to date, because cargo is asked once per suite to build them. `VG_BIN_DIR` names a
//! directory of ready binaries instead.

use crate::suite::is_long;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Binaries that the suites run.
const TOOLS: [&str; 5] = ["vg-record", "vg-leaks", "vg-errors", "vg-annotate", "vg-massif"];

/// Path of a tool of this workspace, or why there is none.
pub fn tool(name: &str) -> Result<PathBuf, String> {
    static DIRECTORY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(build).clone()?;
    let path = directory.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} does not exist", path.display())) }
}

/// What a suite records with that asks nothing about executed code, beside these options: all that is recorded by default but calls and
/// counts, whose places, of the loader and libc too, are most of the time of a small recording. With `VG_LONG=1` these, too.
pub fn without_counts(options: &[&str]) -> Option<String> {
    let is_said = options.iter().any(|option| option.starts_with("--events"));
    (!is_long() && !is_said).then(|| "--events=alloc,shadow,clock".to_owned())
}

fn build() -> Result<PathBuf, String> {
    if let Some(directory) = std::env::var_os("VG_BIN_DIR") {
        return Ok(PathBuf::from(directory));
    }
    let layout = Layout::of_this_program()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("build").arg("--quiet").arg("--target-dir").arg(&layout.target).current_dir(workspace());
    for name in TOOLS {
        cargo.args(["-p", name]);
    }
    if layout.profile != "debug" {
        cargo.args(["--profile", &layout.profile]);
    }
    if let Some(triple) = &layout.triple {
        cargo.args(["--target", triple]);
    }
    let output = cargo.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if output.status.success() {
        Ok(layout.binaries)
    } else {
        Err(format!("the tools do not build:\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Root directory of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Directory for compiled guest programs, kept between runs.
pub fn guest_directory() -> Result<PathBuf, String> {
    let path = Layout::of_this_program()?.target.join("guest-programs");
    std::fs::create_dir_all(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
    Ok(path)
}

/// Where the running suite lies: `TARGET[/TRIPLE]/PROFILE/deps/SUITE-HASH`.
struct Layout {
    target: PathBuf,
    triple: Option<String>,
    profile: String,
    binaries: PathBuf,
}

impl Layout {
    fn of_this_program() -> Result<Self, String> {
        let exe = std::env::current_exe().map_err(|error| format!("own path unknown: {error}"))?;
        let unusual = || format!("{} is not below a cargo target directory", exe.display());
        let binaries = exe.parent().and_then(Path::parent).ok_or_else(unusual)?.to_owned();
        let profile = binaries.file_name().and_then(|name| name.to_str()).ok_or_else(unusual)?.to_owned();
        let above = binaries.parent().ok_or_else(unusual)?;
        let name = above.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (target, triple) = if name.contains("-linux-") {
            (above.parent().ok_or_else(unusual)?.to_owned(), Some(name.to_owned()))
        } else {
            (above.to_owned(), None)
        };
        Ok(Self { target, triple, profile, binaries })
    }
}

/// Path of a program of the machine, found as a shell finds it.
pub fn which(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The flags of the first processor in /proc/cpuinfo, such as `avx512f`.
pub fn cpu_has(flag: &str) -> bool {
    static FLAGS: OnceLock<Vec<String>> = OnceLock::new();
    let flags = FLAGS.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    });
    flags.iter().any(|known| known == flag)
}
