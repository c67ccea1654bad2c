//! What the numbers were measured on.
//!
//! Always holds: what cannot be found out is left out of the line.

use std::fs;

/// Processor, number of processors, kernel.
pub(crate) fn line() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let mut parts: Vec<String> = field("model name").into_iter().collect();
    if let (Some(family), Some(model)) = (field("cpu family"), field("model")) {
        parts.push(format!("family {family} model {model}"));
    }
    if let Ok(count) = std::thread::available_parallelism() {
        parts.push(format!("{count} processors"));
    }
    if let Ok(release) = fs::read_to_string("/proc/sys/kernel/osrelease") {
        parts.push(format!("Linux {}", release.trim()));
    }
    parts.join(", ")
}

/// How busy the machine is; other work than the benchmark's makes the numbers noise.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    format!("load averages at the end {}", averages.join(" "))
}
