//! Time to unwind and intern real stacks of this process, which is built without frame pointers unless asked
//! otherwise. `cargo bench -p unwind`. Prints the median of many rounds; nothing here passes or fails.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;
use support::*;
use unwind::*;

const ROUNDS: usize = 41;
const WALKS: usize = 2000;

/// As the engine reads: bounds that are at hand, and plain loads.
struct Direct {
    own: Own,
    end: u64,
}

impl Memory for Direct {
    #[inline]
    fn stack(&self, sp: u64) -> Option<Range<u64>> {
        (sp < self.end).then_some(sp - 128..self.end)
    }

    #[inline]
    fn word(&self, address: u64) -> Option<u64> {
        self.own.word(address)
    }

    fn code(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.own.code(address, bytes)
    }
}

struct Bench {
    modules: Modules,
    memory: Direct,
    unwinder: Unwinder,
    tree: StackTree<'static>,
}

/// Median nanoseconds of one call of `work`.
fn time(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..WALKS).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / WALKS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

macro_rules! functions {
    ($($name:ident calls $next:ident with $words:literal;)*) => {$(
        #[inline(never)]
        fn $name(depth: usize, leaf: &mut dyn FnMut()) -> usize {
            let locals = black_box([depth; $words]);
            if depth == 0 { leaf() } else { black_box($next(depth - 1, leaf)); }
            black_box(locals)[0]
        }
    )*};
}

functions! {
    f0 calls f1 with 2;
    f1 calls f2 with 9;
    f2 calls f3 with 30;
    f3 calls f4 with 5;
    f4 calls f5 with 17;
    f5 calls f6 with 3;
    f6 calls f0 with 12;
}

#[inline(never)]
fn intern(bench: &mut Bench) -> u32 {
    let regs = registers();
    bench.unwinder.stack(&bench.modules, &regs, &bench.memory, &bench.tree, 500, |_| {})
}

fn measure(bench: &mut Bench) {
    let mut frames = FrameBuf::<500>::new();
    bench.unwinder.walk(&bench.modules, &registers(), &bench.memory, &mut frames);
    let count = frames.frames().len();
    println!("{count} frames");
    let report = |what: &str, ns: f64| println!("  {what:44} {ns:8.1} ns {:7.2} ns/frame", ns / count as f64);

    let ns = time(|| {
        black_box(Reference::here().frames().len());
    });
    report("libgcc, _Unwind_Backtrace", ns);
    let ns = time(|| {
        let regs = registers();
        bench.unwinder.walk(&bench.modules, &regs, &bench.memory, &mut frames);
    });
    report("walk", ns);
    let ns = time(|| {
        bench.unwinder.forget();
        black_box(intern(bench));
    });
    report("stack, walked and interned in full", ns);
    let ns = time(|| {
        black_box(intern(bench));
    });
    report("stack, unchanged", ns);
    // Three call paths of different depth below a shared caller, in turn.
    let mut turn = 0;
    let ns = time(|| {
        turn = (turn + 1) % 3;
        black_box(f0(turn, &mut || {
            black_box(intern(bench));
        }));
    });
    report("stack, three paths in turn (3 to 5 new)", ns);
}

fn main() {
    let own = Own::new();
    let end = own.stack(registers().rsp()).expect("a stack").end;
    let tree = StackTree::new(tree_memory(100_000).leak());
    let mut bench =
        Bench { modules: own_modules(), memory: Direct { own, end }, unwinder: Unwinder::new(12), tree };
    let mut base = FrameBuf::<500>::new();
    bench.unwinder.walk(&bench.modules, &registers(), &bench.memory, &mut base);
    for count in [12usize, 25, 50] {
        // The recursion, the closure, and the frames outside of it.
        let depth = count.saturating_sub(base.frames().len() + 2);
        f0(depth, &mut || measure(&mut bench));
    }
    println!("{:?}, {} tree nodes", bench.unwinder.counters(), bench.tree.len());
}
