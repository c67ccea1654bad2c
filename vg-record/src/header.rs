//! The first message of the trace: what is recorded, by whom, when and where.

use crate::cli::Cli;
use crate::clock::Clock;
use crate::program::Program;
use crate::sys;
use schema::{Bytes, Header, Machine};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The header of a recording of `program` that starts at the zero of `clock`.
pub(crate) fn header(cli: &Cli, program: &Program, clock: &Clock) -> Header {
    let mut id = [0; 16];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut id));
    if random.is_err() {
        // Without random numbers: still different for every recording of this machine.
        id[..8].copy_from_slice(&sys::tsc().to_le_bytes());
        id[8..12].copy_from_slice(&std::process::id().to_le_bytes());
    }
    let since = sys::monotonic().saturating_sub(clock.start_ns());
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let exe = std::fs::canonicalize(OsStr::from_bytes(program.path.as_bytes()));
    Header {
        id,
        tool: concat!("vg-record ", env!("CARGO_PKG_VERSION")).into(),
        argv: program.argv.iter().map(|word| Bytes::from(word.as_bytes())).collect(),
        cwd: std::env::current_dir().map(|path| Bytes::from(path.as_path())).unwrap_or_default(),
        exe: exe.map(|path| Bytes::from(path.as_path())).unwrap_or_default(),
        clock: schema::Clock {
            tsc_hz: clock.hertz(),
            tsc_start: clock.start_tsc(),
            unix_start: wall.saturating_sub(since),
        },
        options: cli.changed(),
        machine: machine(),
        checks: cli.checks(),
    }
}

fn machine() -> Machine {
    let [host, release, machine] = sys::host();
    // The first processor is enough: the whole file takes milliseconds on a large machine.
    let mut info = Vec::new();
    let read = File::open("/proc/cpuinfo").and_then(|file| file.take(4096).read_to_end(&mut info));
    let info = String::from_utf8_lossy(if read.is_ok() { &info } else { &[] });
    let cpu = field(&info, "model name").unwrap_or_default().to_owned();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Machine {
        host,
        kernel: format!("Linux {release} {machine}"),
        cpu,
        cpus: std::thread::available_parallelism().map_or(0, |count| count.get() as u32),
        page_size: 4096,
        memory: kib.unwrap_or(0) * 1024,
    }
}

/// The value of the first `name: value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}
