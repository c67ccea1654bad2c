//! Random programs natively and translated: registers, flags, vectors, memory and faults must be equal.
//!
//! A failure names the seed; `VG_SEED=kind:number` repeats just that program. `VG_LONG=1` tests twenty times as many.

mod support;

use std::fmt::Write;
use support::generate::{Generator, Program, Style};
use support::pool::Pool;
use support::puppet::Puppet;
use support::rng::Rng;
use support::runtime::{End, FLAGS, Options, Runtime, State};
use support::space::{SPACES, Space};
use translate::{Limits, Mode};

/// OF SF ZF AF PF CF.
const STATUS: u64 = 0x8d5;

struct Bench {
    puppet: Puppet,
    space: Space,
    runtime: Runtime,
    pool: Pool,
    blank: Vec<u8>,
    executed: u64,
}

impl Bench {
    fn new(kind: usize) -> Bench {
        let (space, runtime) = (Space::map(kind), Runtime::new(kind as u64));
        let puppet = Puppet::spawn();
        let blank = puppet.xstate();
        Bench { puppet, space, runtime, pool: Pool::new(), blank, executed: 0 }
    }

    /// Runs one program both ways; the error says what differs.
    fn compare(&mut self, seed: u64, style: Style, variants: &[Options]) -> Result<(), String> {
        self.space.fill_shadow(seed);
        let program = Generator::new(seed, &self.pool, &self.space, style).program(&self.blank);
        program.load(&mut self.space);
        program.start_natively(&self.puppet);
        let stop = self.puppet.run();
        let native_end = if support::reached_exit(&self.puppet, &self.space, stop) {
            End::Exit
        } else {
            End::Signal(stop)
        };
        let mut native = support::native_state(&self.puppet);
        if native_end == End::Exit {
            native.pc -= 1;
        } else if !style.fault {
            return Err(format!("bad program: natively {stop:?} at {:#x}\n{}", native.pc, program.listing()));
        }
        let vectors = support::visible(&self.puppet.xstate());
        let memory = self.space.snapshot();
        let mut counts = Vec::new();
        for options in variants {
            let outcome = self.translated(&program, *options, native_end, &native, &vectors, &memory);
            let count = outcome.map_err(|error| {
                let mut text = format!("{options:?}\n{error}\n{}", program.listing());
                if std::env::var_os("VG_SEED").is_some() {
                    let _ = write!(text, "\n{}", self.runtime.listing());
                }
                text
            })?;
            if options.count {
                counts.push(count);
            }
        }
        if native_end == End::Exit && counts.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("counted instructions differ: {counts:?}"));
        }
        self.executed += counts.first().unwrap_or(&0);
        Ok(())
    }

    fn translated(
        &mut self,
        program: &Program,
        options: Options,
        native_end: End,
        native: &State,
        vectors: &[u8],
        memory: &[u8],
    ) -> Result<u64, String> {
        self.space.restore(&program.memory);
        self.runtime.start(&self.puppet, &self.space, &program.first_state(), &program.xstate, options);
        let end = self.runtime.run(&self.puppet, &self.space);
        let regs = self.puppet.regs();
        let state = match end {
            End::Signal(_) if self.runtime.in_cache(regs.rip) => self.runtime.recover(&self.space, &regs),
            End::Signal(stop) => return Err(format!("{stop:?} outside the cache at {:#x}", regs.rip)),
            _ => self.runtime.state_in_context(),
        };
        // Going where no code is ends a program natively too, and there.
        let end = match (end, native_end) {
            (End::Wild, End::Signal(stop)) if stop.signal == libc::SIGSEGV => End::Signal(stop),
            (end, _) => end,
        };
        if end != native_end {
            return Err(format!(
                "ended with {end:?} at guest {:#x}, cache {:#x}; natively {native_end:?} at {:#x}",
                state.pc, regs.rip, native.pc
            ));
        }
        let mut state = state;
        if end != End::Exit {
            // A status flag that no instruction can see any more may have another value at a fault.
            state.flags = state.flags & !STATUS | native.flags & STATUS;
        }
        let now = self.puppet.xstate();
        if end == End::Exit && self.runtime.xmm_in_context() != &now[160..416] {
            return Err("the context holds other xmm registers than the processor".into());
        }
        if state != *native {
            return Err(support::describe("state at the end", native, &state));
        }
        let now = support::visible(&now);
        if let Some(at) = (0..now.len()).find(|&at| now[at] != vectors[at]) {
            return Err(format!("vector state differs at byte {at} of the XSAVE image"));
        }
        // A push that was undone has written below the stack pointer.
        let from = if end == End::Exit { 0 } else { state.regs[4] };
        if let Some(at) = self.space.difference(memory, from) {
            return Err(format!("memory differs at {at:#x} (space at {:#x})", self.space.region.base));
        }
        Ok(self.runtime.counted())
    }
}

fn variants(seed: u64) -> Vec<Options> {
    let mut rng = Rng::new(seed ^ 0xabcd);
    let tiny = Limits { instructions: 1, segments: 1, checked: false };
    let small = Limits {
        instructions: 1 + rng.below(9) as usize,
        segments: 1 + rng.below(3) as usize,
        checked: false,
    };
    let other = rng.pick(&[tiny, small]);
    let whole = Limits::default();
    let plain = Options {
        count: true,
        calls: false,
        follows: false,
        accesses: false,
        models: false,
        limits: whole,
        link: true,
        check: false,
        mode: Mode::Plain,
    };
    let guards = |mode, limits| Limits { checked: mode != Mode::Plain, ..limits };
    let guarding = rng.pick(&[Mode::Clean, Mode::Guarded]);
    let small_mode = rng.pick(&[Mode::Plain, Mode::Clean, Mode::Guarded]);
    let precise = guarding.precise();
    let one_segment = Limits { segments: 1, ..whole };
    let (count, small_count, check) = (rng.one_in(2), rng.one_in(2), rng.one_in(2));
    vec![
        plain,
        Options {
            calls: false,
            follows: false,
            accesses: false,
            models: false,
            count: small_count,
            limits: guards(small_mode, other),
            link: !rng.one_in(4),
            check: check || small_mode != Mode::Plain,
            mode: small_mode,
        },
        Options { count, check: true, ..plain },
        Options { count, limits: guards(guarding, whole), check: true, mode: guarding, ..plain },
        Options { count, limits: one_segment, check: true, mode: precise, ..plain },
        Options { count: false, ..plain },
        Options { calls: true, ..plain },
        Options { follows: true, ..plain },
        Options { follows: true, limits: guards(guarding, whole), check: true, mode: guarding, ..plain },
        Options { accesses: true, ..plain },
        Options { accesses: true, models: true, ..plain },
        Options { accesses: true, models: true, limits: other, link: !rng.one_in(4), ..plain },
    ]
}

fn run(kind: usize, programs: u64) {
    assert_eq!(FLAGS & STATUS, STATUS);
    let mut bench = Bench::new(kind);
    let Some((seeds, single)) = support::seeds(kind, programs) else { return };
    let mut failures = 0;
    for seed in seeds.clone() {
        let style = Style { length: 40 + seed % 160, opaque: true, fault: seed % 8 == 0 };
        if let Err(error) = bench.compare(seed, style, &variants(seed)) {
            failures += 1;
            let shown = if single { error.as_str() } else { error.get(..1500).unwrap_or(&error) };
            eprintln!("VG_SEED={kind}:{seed}: {shown}\n");
            if failures == 5 {
                break;
            }
        }
    }
    eprintln!(
        "space {kind}: {} guest instructions executed in translation, {} checks found V bits",
        bench.executed, bench.runtime.found
    );
    assert_eq!(failures, 0, "programs behaved differently when translated; see VG_SEED lines above");
    if !single {
        assert!(bench.executed > 120 * (seeds.end - seeds.start), "programs are too short to mean much");
        assert!(bench.runtime.found > (seeds.end - seeds.start) / 4, "hardly a check asked the engine");
    }
}

#[test]
fn in_reach_of_the_cache() {
    assert_eq!(SPACES, 4);
    run(0, 1500);
}

#[test]
fn between_2_and_4_gib() {
    run(1, 1500);
}

#[test]
fn across_4_gib() {
    run(2, 1500);
}

#[test]
fn far_away() {
    run(3, 1500);
}
