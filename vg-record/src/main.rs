//! `vg-record`: runs a program under the engine and writes a trace of what it does.
//!
//! This file holds the order of things: prepare, start the guest, drain its rings while it runs, complete the trace,
//! end as the guest ended. Always holds: once the guest has started, its exit status is ours, whatever happens to
//! the trace, unless --error-exitcode gives one for errors. Not here: everything else; see the modules.
#![deny(unsafe_code)]

mod accesses;
mod cli;
mod clock;
mod contexts;
mod costs;
mod counts;
mod decode;
mod drain;
mod errors;
mod finish;
mod gather;
mod header;
mod images;
mod inherited;
mod jumps;
mod launch;
mod live;
mod memory;
mod mix;
mod models;
mod modules;
mod numbered;
mod output;
mod program;
mod snapshot;
mod stacks;
mod stats;
mod symbols;
mod sys;
#[cfg(test)]
mod testing;
mod trace;
mod variables;
mod wait;
mod windows;

use anyhow::Context as _;
use report::cli::Stop;
use schema::write::Codec;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use trace::{Say as _, StandardError, Trace};

/// Our own failure, bad usage included, as for `env` and `timeout`.
const FAILURE: u8 = 125;

fn main() {
    let cli = report::cli::parse::<cli::Cli>(std::env::args_os()).unwrap_or_else(|stop| {
        std::process::exit(match stop {
            Stop::Show(text) => {
                // Nothing is lost when the help text finds no reader.
                let _ = std::io::stdout().write_all(text.as_bytes());
                0
            }
            Stop::Trouble(message) => {
                StandardError.say(&message);
                i32::from(FAILURE)
            }
            Stop::BrokenPipe => 0,
        })
    });
    let path = std::env::var_os("PATH");
    let program = program::find(&cli.command, path.as_deref()).unwrap_or_else(|refusal| {
        StandardError.say(&refusal.message);
        std::process::exit(i32::from(refusal.status));
    });
    match record(&cli, &program) {
        Ok(outcome) => wait::end_as(outcome),
        Err(error) => {
            StandardError.say(&format!("{error:#}"));
            std::process::exit(i32::from(FAILURE));
        }
    }
}

fn record(cli: &cli::Cli, program: &program::Program) -> anyhow::Result<wait::Outcome> {
    let heap = cli.event_bits()? & ring::shared::EVENTS_ALLOC != 0;
    let output = output::open(cli.output.as_deref(), &cli.command[0])?;
    if let Some(notice) = &output.notice {
        StandardError.say(notice);
    }
    // From here on no signal ends this process: the recording is always completed.
    wait::block();
    let large = sys::AnyFileSize::new();
    let memory = memory::Memory::new()?;
    let image = launch::image()?;
    memory.set_up(cli)?;
    drop(large);
    let began = sys::clock_pair();
    let start = launch::Start {
        program,
        image: &image,
        shared: memory.file(),
        stdout_to_stderr: output.takes_stdout,
        inherited: inherited::get(),
    };
    let guest = launch::start(&start)?;
    let started = Instant::now();

    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let drain = || drain(cli, program, &memory, output, began, &over);
        let drain = std::thread::Builder::new().name("drain".into()).spawn_scoped(scope, drain);
        let drain = drain.context("cannot start a thread")?;
        let ask = || {
            let asked = &memory.shared().control().snapshots_asked;
            asked.fetch_add(1, Ordering::Release);
            sys::futex_wake(asked);
        };
        let outcome = wait::supervise(guest, cli.snapshot_signal.map(|signal| (signal.0, &ask as &dyn Fn())));
        let guest_time = started.elapsed();
        over.store(true, Ordering::Release);
        memory.shared().control().wake.fetch_add(1, Ordering::Release);
        sys::futex_wake(&memory.shared().control().wake);
        let Ok((mut recording, running)) = drain.join() else {
            // The panic has been printed; the guest's status still counts.
            StandardError.say("the recorder failed (a bug); the trace is incomplete");
            return Ok(outcome);
        };
        let drain = started.elapsed().saturating_sub(guest_time);
        let phases = stats::Phases { guest: guest_time, drain, symbols: Duration::ZERO };
        cli.windows.explain(&mut recording, memory.shared().control());
        let phases = finish::finish(&mut recording, finish::Ending { outcome, running, heap, phases });
        if cli.stats {
            eprint!("{}", stats::text(&recording, phases));
        }
        Ok(match (outcome, cli.error_status()) {
            (wait::Outcome::Exited(_), Some(status)) if recording.errors.total() > 0 => {
                wait::Outcome::Exited(status)
            }
            _ => outcome,
        })
    })
}

/// The draining thread: begins the trace and fills it until the guest has ended.
fn drain(
    cli: &cli::Cli,
    program: &program::Program,
    memory: &memory::Memory,
    output: output::Output,
    began: (u64, u64),
    over: &AtomicBool,
) -> (decode::Recording, usize) {
    // Should this thread ever panic, no guest may wait for it.
    let _guard = GoneOnDrop(memory.shared());
    // The speed of the TSC is known well enough after a millisecond; the rings have room for longer.
    std::thread::sleep(Duration::from_millis(1));
    let clock = clock::Clock::new(began, sys::clock_pair());
    let header = header::header(cli, program, &clock);
    let codec = if output.is_pipe { Codec::Lz4 } else { Codec::Zstd };
    let mut trace = Trace::new(Box::new(output.file), &output.name, codec, Box::new(StandardError));
    trace.put(|writer| writer.header(&header));
    trace.put(|writer| writer.flush());
    let mut recording = decode::Recording::new(trace, clock);
    recording.costs.counted = cli.models.events();
    if cli.live {
        match live::Live::start() {
            Ok(live) => recording.live = Some(live),
            Err(error) => StandardError.say(&format!("--live: {}", trace::plain(&error))),
        }
    }
    let mut drain = drain::Drain::new(memory.shared(), memory.fd(), recording);
    let running = drain.run(over);
    (drain.recording, running)
}

/// Tells the engines that nobody reads any more, whatever the reason.
struct GoneOnDrop(ring::Shared);

impl Drop for GoneOnDrop {
    fn drop(&mut self) {
        self.0.control().recorder_state.store(ring::shared::RECORDER_GONE, Ordering::SeqCst);
    }
}
