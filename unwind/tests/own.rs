//! Walks of the test process itself, against libgcc's unwinder.

mod support;

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use support::*;
use unwind::*;

/// What a test does at the innermost frame.
type Leaf<'l> = &'l mut dyn FnMut();

#[inline(never)]
fn nest_a(depth: usize, leaf: Leaf) -> usize {
    let locals = black_box([depth; 5]);
    let below = if depth == 0 {
        leaf();
        0
    } else if depth.is_multiple_of(3) {
        nest_b(depth - 1, leaf)
    } else {
        nest_a(depth - 1, leaf)
    };
    below + black_box(locals)[depth % 5]
}

#[inline(never)]
fn nest_b(depth: usize, leaf: Leaf) -> usize {
    let locals = black_box([depth; 40]);
    let below = if depth == 0 {
        leaf();
        0
    } else {
        nest_a(depth - 1, leaf)
    };
    below + black_box(locals)[depth % 40]
}

/// Compares a walk from here with libgcc: all frames but the innermost, whose pc differs.
#[inline(never)]
fn compare(unwinder: &mut Unwinder, modules: &Modules, own: &Own) -> usize {
    let reference = Reference::here();
    let mut frames = FrameBuf::<600>::new();
    let end = unwinder.walk(modules, &registers(), own, &mut frames);
    assert_eq!(end, End::Outermost);
    assert_eq!(pairs(&frames.frames()[1..]), reference.frames()[1..]);
    assert!(frames.frames()[0].exact && frames.frames().iter().all(|frame| !frame.guessed));
    for frame in frames.frames() {
        let module = modules.lookup(frame.address).expect("every frame lies in a module");
        assert_eq!((frame.module, frame.svma), (module.id, frame.address - module.bias));
    }
    frames.frames().len()
}

#[test]
fn agrees_with_libgcc_at_many_depths() {
    let (modules, own) = (own_modules(), Own::new());
    let mut unwinder = Unwinder::new(12);
    for depth in [0, 1, 2, 3, 7, 12, 50, 200, 400] {
        let mut walked = 0;
        nest_a(depth, &mut || walked = compare(&mut unwinder, &modules, &own));
        assert!(walked > depth, "{walked} frames at depth {depth}");
    }
    let compiled = unwinder.counters().rules;
    nest_a(200, &mut || {
        compare(&mut unwinder, &modules, &own);
    });
    assert!(unwinder.counters().rules <= compiled + 8, "rules are cached");
}

#[test]
fn the_limit_cuts_the_outer_frames() {
    let (modules, own) = (own_modules(), Own::new());
    let mut unwinder = Unwinder::new(12);
    nest_a(30, &mut || {
        let reference = Reference::here();
        let mut frames = FrameBuf::<10>::new();
        assert_eq!(unwinder.walk(&modules, &registers(), &own, &mut frames), End::Limit);
        assert_eq!(pairs(&frames.frames()[1..]), reference.frames()[1..10]);
        let mut none = FrameBuf::<0>::new();
        assert_eq!(unwinder.walk(&modules, &registers(), &own, &mut none), End::Limit);
    });
}

#[test]
fn an_address_on_the_stack_is_in_the_frame_of_its_function() {
    let (modules, own) = (own_modules(), Own::new());
    let mut unwinder = Unwinder::new(12);
    // Of this function, and of the closure, which has an own frame or is a part of what calls it.
    let outer = std::hint::black_box([0u8; 64]);
    nest_a(10, &mut || {
        let inner = std::hint::black_box([0u8; 64]);
        let start = registers();
        let mut holding = |address| unwinder.frame_of(&modules, &start, &own, address, 600);
        let (near, far) = (holding(inner.as_ptr() as u64), holding(outer.as_ptr() as u64));
        let far_frame = far.expect("an outer frame");
        // The frame reaches from its own stack pointer, which is its callee's frame address, to its frame address.
        let callee = holding(far_frame.own.sp - 8).expect("its callee");
        assert_eq!((callee.index + 1, callee.cfa), (far_frame.index, far_frame.own.sp));
        assert_eq!(callee.own, far_frame.callee);
        assert!((far_frame.own.sp..far_frame.cfa).contains(&(outer.as_ptr() as u64)));
        assert_eq!(holding(far_frame.cfa - 8), far, "its return address");
        assert_eq!(holding(start.rsp()).map(|frame| frame.callee), Some(unwind::Base::default()));
        let mut frame = |address| holding(address).map(|frame| frame.index);
        let near = near.expect("an inner frame").index;
        let far = far_frame.index;
        assert!(far >= near + 10, "{near} {far}");
        assert_eq!(frame(inner.as_ptr() as u64 - 65536), None, "below the stack");
        let mut frames = FrameBuf::<600>::new();
        unwinder.walk(&modules, &start, &own, &mut frames);
        assert!(far < frames.frames().len());
        assert_eq!(unwinder.frame_of(&modules, &start, &own, outer.as_ptr() as u64, near + 2), None);
    });
}

#[test]
fn tables_without_a_search_table_give_the_same() {
    let (with, without, own) = (own_modules(), own_modules_where(false), Own::new());
    nest_a(20, &mut || {
        compare(&mut Unwinder::new(12), &with, &own);
        compare(&mut Unwinder::new(12), &without, &own);
    });
}

/// Interns the stack from here and compares its nodes with a walk.
#[inline(never)]
fn compare_stack(
    reusing: &mut Unwinder,
    walking: &mut Unwinder,
    modules: &Modules,
    own: &Own,
    tree: &StackTree,
    limit: usize,
) {
    let regs = registers();
    let id = reusing.stack(modules, &regs, own, tree, limit, |_| {});
    assert_eq!(reusing.stack(modules, &regs, own, tree, limit, |_| panic!("seen before")), id);
    walking.forget();
    assert_eq!(walking.stack(modules, &regs, own, tree, limit, |_| panic!("seen before")), id);
    let mut frames = FrameBuf::<MAX_DEPTH>::new();
    walking.walk(modules, &regs, own, &mut frames);
    let mut node = id;
    for frame in frames.frames().iter().take(limit) {
        let found = tree.node(node).expect("a node");
        assert_eq!((found.module, found.address), (frame.module, frame.node_address()));
        node = found.parent;
    }
    assert_eq!(node, 0);
}

#[test]
fn interned_stacks_are_the_walked_ones_at_random_depths() {
    let (modules, own) = (own_modules(), Own::new());
    let memory = tree_memory(100_000);
    let tree = StackTree::new(&memory);
    let (mut reusing, mut walking) = (Unwinder::new(12), Unwinder::new(12));
    let mut random = Random(7);
    for round in 0..400 {
        let limit = [MAX_DEPTH, 64, 20][round % 3];
        let (outer, inner) = (random.below(40) as usize, random.below(12) as usize);
        nest_b(outer, &mut || {
            for _ in 0..4 {
                let inner = inner + random.below(6) as usize;
                nest_a(inner, &mut || {
                    compare_stack(&mut reusing, &mut walking, &modules, &own, &tree, limit)
                });
            }
        });
    }
    assert!(reusing.counters().reused > 2 * reusing.counters().frames, "{:?}", reusing.counters());
}

#[test]
fn from_another_thread() {
    let (modules, own) = (own_modules(), Own::new());
    std::thread::spawn(move || {
        let own_thread = Own::new();
        let mut unwinder = Unwinder::new(12);
        nest_a(20, &mut || {
            compare(&mut unwinder, &modules, &own_thread);
        });
        drop(own);
    })
    .join()
    .expect("no panic");
}

const C_SOURCE: &str = r#"
#include <alloca.h>
#include <string.h>
typedef void (*leaf)(void *);
volatile int sink;
static void use(void *p, int n) { memset(p, n, 8); sink += *(char *)p; }
__attribute__((noinline)) void end(int n, leaf f, void *d) { f(d); sink++; }
__attribute__((noinline)) void plain(int n, leaf f, void *d) {
    char b[40]; use(b, n); if (n) plain(n - 1, f, d); else end(n, f, d); use(b, n);
}
__attribute__((noinline)) void dynamic(int n, leaf f, void *d) {
    char *b = alloca(n * 16 + 16); use(b, n); plain(n, f, d); use(b, n);
}
__attribute__((noinline)) void aligned(int n, leaf f, void *d) {
    __attribute__((aligned(64))) char b[64]; use(b, n); dynamic(n, f, d); use(b, n);
}
__attribute__((noinline)) void both(int n, leaf f, void *d) {
    __attribute__((aligned(128))) char b[64]; char *c = alloca(n * 8 + 8);
    use(b, n); use(c, n); aligned(n, f, d); use(b, n); use(c, n);
}
__attribute__((noinline)) void many(int n, leaf f, void *d, long a, long b, long c, long e, long g) {
    __attribute__((aligned(64))) char z[64]; use(z, n); both(n, f, d); use(z, a + b + c + e + g);
}
void enter(int n, leaf f, void *d) { many(n, f, d, 1, 2, 3, 4, 5); sink++; }
"#;

type Enter = unsafe extern "C" fn(c_int, unsafe extern "C" fn(*mut c_void), *mut c_void);

#[test]
fn through_c_code_of_every_shape() {
    unsafe extern "C" fn leaf(data: *mut c_void) {
        // SAFETY: the pointer to the closure reference given below.
        let leaf = unsafe { &mut *data.cast::<Leaf>() };
        leaf();
    }
    for (n, options) in [
        &["-O2", "-fomit-frame-pointer"][..],
        &["-O2", "-fno-omit-frame-pointer"],
        &["-O0"],
        &["-Os", "-fomit-frame-pointer", "-mno-red-zone"],
        &["-O2", "-fomit-frame-pointer", "-mstackrealign"],
    ]
    .into_iter()
    .enumerate()
    {
        let object = Object::compile(&format!("shapes{n}"), "c", C_SOURCE, options);
        // SAFETY: the function's type in the source above.
        let enter: Enter = unsafe { std::mem::transmute(object.symbol(c"enter")) };
        let (modules, own) = (own_modules(), Own::new());
        let mut unwinder = Unwinder::new(12);
        let mut walks = 0;
        for depth in [0, 1, 5, 20] {
            let mut at_leaf = || {
                assert!(compare(&mut unwinder, &modules, &own) > depth + 5);
                walks += 1;
            };
            let mut at_leaf: Leaf = &mut at_leaf;
            // SAFETY: `leaf` gets the reference that it expects.
            unsafe { enter(depth as c_int, leaf, (&raw mut at_leaf).cast()) };
        }
        assert_eq!(walks, 4);
    }
}

/// What the signal handlers below use. One test at a time.
struct Shared {
    unwinder: Unwinder,
    reusing: Unwinder,
    modules: Modules,
    own: Own,
    tree: StackTree<'static>,
}

static ONE: Mutex<()> = Mutex::new(());
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());
static SEEN: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);
/// Off where the test's own assembly moves rsp behind CFI's back.
static ARMED: AtomicBool = AtomicBool::new(true);

fn share(modules: Modules, own: Own) {
    let tree = StackTree::new(tree_memory(200_000).leak());
    let shared = Shared { unwinder: Unwinder::new(12), reusing: Unwinder::new(12), modules, own, tree };
    SHARED.store(Box::leak(Box::new(shared)), Ordering::Release);
    SEEN.store(0, Ordering::Relaxed);
    FAILED.store(0, Ordering::Relaxed);
}

fn install(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: a valid action with a handler of the SA_SIGINFO type.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO | flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

/// Walks from the interrupted context and from the handler itself; both must agree with libgcc.
extern "C" fn on_signal(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    if !ARMED.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the handlers run on the thread that holds ONE, one at a time; the kernel gives a ucontext.
    let (shared, context) =
        unsafe { (&mut *SHARED.load(Ordering::Acquire), &*context.cast::<libc::ucontext_t>()) };
    let reference = Reference::here();
    let mut from_here = FrameBuf::<600>::new();
    let mut from_context = FrameBuf::<600>::new();
    let Shared { unwinder, reusing, modules, own, tree } = shared;
    let regs = registers_of(context);
    let ends = [
        unwinder.walk(modules, &registers(), own, &mut from_here),
        unwinder.walk(modules, &regs, own, &mut from_context),
    ];
    let same = |ours: &[Frame], theirs: &[(u64, bool)]| {
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(ours, theirs)| (ours.address, ours.exact) == *theirs)
    };
    // Here, the restorer, the interrupted frame.
    let at = reference.frames().iter().position(|&(address, _)| address == regs.rip).unwrap_or(0);
    // Reuse must give what a walk gives.
    let id = reusing.stack(modules, &regs, own, tree, 500, |_| {});
    let mut node = id;
    let reused_same = from_context.frames().iter().all(|frame| {
        let found = tree.node(node);
        node = found.map_or(0, |found| found.parent);
        found.is_some_and(|found| (found.module, found.address) == (frame.module, frame.node_address()))
    });
    let good = ends == [End::Outermost; 2]
        && same(&from_here.frames()[1..], &reference.frames()[1..])
        && same(from_context.frames(), &reference.frames()[at..])
        && reused_same
        && node == 0;
    if !good && FAILED.fetch_add(1, Ordering::Relaxed) < 3 {
        let hex = |frames: &[(u64, bool)]| {
            frames
                .iter()
                .map(|f| format!("{:x}{}", f.0, if f.1 { "!" } else { "" }))
                .collect::<Vec<_>>()
                .join(" ")
        };
        eprintln!(
            "{ends:?} {reused_same} {node}\n ref {}\nhere {}\nctxt {}",
            hex(reference.frames()),
            hex(&pairs(from_here.frames())),
            hex(&pairs(from_context.frames()))
        );
    }
    SEEN.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn through_signal_frames() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut alternate = vec![0u8; 1 << 20];
    let stack = libc::stack_t { ss_sp: alternate.as_mut_ptr().cast(), ss_flags: 0, ss_size: alternate.len() };
    let disable = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: the memory outlives its use as a signal stack, which ends below.
    assert_eq!(unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) }, 0);
    share(own_modules(), Own::new());
    for flags in [0, libc::SA_ONSTACK] {
        install(libc::SIGUSR1, on_signal as *const () as usize, flags);
        for depth in [0, 5, 30] {
            nest_a(depth, &mut || {
                // SAFETY: raises a handled signal.
                unsafe { libc::raise(libc::SIGUSR1) };
            });
        }
    }
    // SAFETY: a valid structure.
    assert_eq!(unsafe { libc::sigaltstack(&disable, std::ptr::null_mut()) }, 0);
    assert_eq!((SEEN.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed)), (6, 0));
}

/// Steps through C code instruction by instruction (lazy binding, PLT, prologues, epilogues, the dynamic
/// linker's resolver included) and compares the walk at each with libgcc.
#[test]
fn at_every_instruction() {
    unsafe extern "C" fn leaf(_: *mut c_void) {
        black_box(0);
    }
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let options = ["-O2", "-fomit-frame-pointer", "-fno-builtin", "-Wl,-z,lazy", "-fcf-protection=none"];
    let object = Object::compile("step", "c", C_SOURCE, &options);
    // SAFETY: the function's type in the source above.
    let enter: Enter = unsafe { std::mem::transmute(object.symbol(c"enter")) };
    share(own_modules(), Own::new());
    install(libc::SIGTRAP, on_signal as *const () as usize, 0);
    ARMED.store(false, Ordering::Relaxed);
    // SAFETY: sets and clears the trap flag; the red zone is left alone.
    unsafe {
        std::arch::asm!("sub rsp, 128", "pushfq", "or dword ptr [rsp], 0x100", "popfq", "add rsp, 128");
        ARMED.store(true, Ordering::Relaxed);
        enter(2, leaf, std::ptr::null_mut());
        ARMED.store(false, Ordering::Relaxed);
        std::arch::asm!("sub rsp, 128", "pushfq", "and dword ptr [rsp], 0xfffffeff", "popfq", "add rsp, 128");
    }
    ARMED.store(true, Ordering::Relaxed);
    let (seen, failed) = (SEEN.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed));
    assert!(seen > 1000, "{seen} instructions");
    assert_eq!(failed, 0, "of {seen}");
}
