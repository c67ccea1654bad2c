//! Runs a command in a clean environment, in a session of its own, with a deadline, and keeps what it did.
//!
//! What always holds: the group is killed when the deadline passes and after the leader ended, and output goes
//! to files, so that a daemon that holds a pipe open cannot hang a suite.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How a command ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit status or signal; `None` when the deadline passed.
    pub status: Option<ExitStatus>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Wall-clock time.
    pub took: Duration,
}

impl Outcome {
    /// `exit 3`, `signal 11` or `timeout`, for comparison and messages.
    pub fn ending(&self) -> String {
        match self.status {
            None => "timeout".to_owned(),
            Some(status) => describe(status),
        }
    }

    /// The exit code, if the command exited by itself.
    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }

    /// Standard output as text, broken UTF-8 replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, broken UTF-8 replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// A counter that `vg-record --stats` has printed, by its name.
    pub fn statistic(&self, name: &str) -> Option<u64> {
        self.err().lines().find_map(|line| line.trim().strip_suffix(name)?.trim().parse().ok())
    }

    /// Ending and the last lines of both outputs, for a failure message.
    pub fn summary(&self) -> String {
        let mut text = format!("ended: {} after {:.1} s\n", self.ending(), self.took.as_secs_f64());
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let content = String::from_utf8_lossy(bytes);
            let lines: Vec<&str> = content.lines().collect();
            let _ = writeln!(text, "{name}: {} lines", lines.len());
            for line in &lines[lines.len().saturating_sub(15)..] {
                let _ = writeln!(text, "  | {}", line.chars().take(300).collect::<String>());
            }
        }
        text
    }
}

/// `exit 3` or `signal 11`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "neither exit nor signal".to_owned(),
    }
}

/// A command to run; a builder.
#[derive(Debug, Clone)]
pub struct Run {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    cwd: PathBuf,
    stdin: Vec<u8>,
    timeout: Duration,
    file_limit: Option<u64>,
    memory_limit: Option<u64>,
}

impl Run {
    /// `argv[0]` is looked up in PATH; the working directory is `cwd`, which is also HOME.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>, cwd: &Path) -> Self {
        let argv: Vec<String> = argv.into_iter().map(Into::into).collect();
        assert!(!argv.is_empty(), "a command has a name");
        let mut env: BTreeMap<String, String> = KEPT_VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        // Toolchain managers live in the real HOME; the command gets a HOME of its own.
        if let Ok(home) = std::env::var("HOME") {
            env.entry("CARGO_HOME".into()).or_insert_with(|| format!("{home}/.cargo"));
            env.entry("RUSTUP_HOME".into()).or_insert_with(|| format!("{home}/.rustup"));
        }
        env.insert("HOME".into(), cwd.display().to_string());
        env.insert("LC_ALL".into(), "C.UTF-8".into());
        env.insert("TERM".into(), "dumb".into());
        env.insert("TZ".into(), "UTC".into());
        Self {
            argv,
            env,
            cwd: cwd.to_owned(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
            file_limit: None,
            memory_limit: None,
        }
    }

    /// Bytes on standard input; the default is an empty file.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The deadline; the default is 60 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Soft RLIMIT_FSIZE in bytes.
    #[must_use]
    pub fn file_limit(mut self, bytes: u64) -> Self {
        self.file_limit = Some(bytes);
        self
    }

    /// Soft RLIMIT_AS in bytes.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Starts the command without waiting; its output goes to `out` and `err` in `keep`.
    pub fn spawn(&self, keep: &Path) -> io::Result<Running> {
        let input = keep.join("in");
        fs::write(&input, &self.stdin)?;
        let mut command = Command::new(&self.argv[0]);
        command
            .args(&self.argv[1..])
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.cwd)
            .stdin(File::open(&input)?)
            .stdout(Stdio::from(File::create(keep.join("out"))?))
            .stderr(Stdio::from(File::create(keep.join("err"))?));
        crate::sys::isolate(&mut command);
        if let Some(bytes) = self.file_limit {
            crate::sys::limit(&mut command, libc::RLIMIT_FSIZE, bytes);
        }
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", self.argv[0]))
        })?;
        let started = Instant::now();
        Ok(Running { child, keep: keep.to_owned(), started, deadline: started + self.timeout, ended: false })
    }

    /// Runs the command to its end or its deadline.
    pub fn run(&self) -> io::Result<Outcome> {
        let keep = Scratch::new("run")?;
        self.spawn(keep.path())?.wait()
    }
}

/// Variables that a command may need to find its toolchain or its libraries.
const KEPT_VARIABLES: [&str; 12] = [
    "PATH",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "JAVA_HOME",
    "GOROOT",
    "GOPROXY",
    "GOFLAGS",
    "USER",
    "LOGNAME",
    "SHELL",
    "PYENV_ROOT",
];

/// A command that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    keep: PathBuf,
    started: Instant,
    deadline: Instant,
    ended: bool,
}

impl Running {
    /// Process id of the command, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until no process of the group is left or `limit` passed, and says whether none is left.
    pub fn wait_for_group(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            // The leader must be waited for, or it stays in the group.
            let _ = self.child.try_wait();
            if !crate::sys::group_exists(self.child.id()) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end or the deadline, then kills what is left of the group.
    pub fn wait(self) -> io::Result<Outcome> {
        self.wait_with(|_| {}, |_| {})
    }

    /// The same; `meanwhile` is called every 1 to 20 milliseconds and `hung` once when the deadline has passed, while
    /// all processes are still there, both with the process id.
    pub fn wait_with(
        mut self,
        mut meanwhile: impl FnMut(u32),
        hung: impl FnOnce(u32),
    ) -> io::Result<Outcome> {
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break Some(status);
            }
            meanwhile(self.child.id());
            if Instant::now() >= self.deadline {
                hung(self.child.id());
                break None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let took = self.started.elapsed();
        self.stop();
        Ok(Outcome {
            status,
            stdout: fs::read(self.keep.join("out"))?,
            stderr: fs::read(self.keep.join("err"))?,
            took,
        })
    }

    fn stop(&mut self) {
        if !self.ended {
            self.ended = true;
            crate::sys::kill_group(self.child.id(), libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A directory that goes when the value goes, unless `VG_KEEP` is set.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new empty directory below the system's temporary directory.
    pub fn new(name: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vg-tests-{}-{number}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path.canonicalize()?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// An empty directory `name` inside, emptied if it exists: the same path for several runs.
    pub fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("VG_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
