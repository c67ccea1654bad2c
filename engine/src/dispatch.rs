//! The dispatcher: what a thread does between two stays in the code cache.
//!
//! Entered by the stubs with all guest registers in the context; returns with `next` set to where the cache is
//! entered. Invariant: `pc` is then the guest address that `next` stands for.

use crate::cache::{Arrival, Cache, FragmentId, Full, Reached};
use crate::context::{Context, Thread};
use crate::signals::recover::{self, GuestRegs};
use crate::signals::{TRAP_FLAG, raise, sig, waits};
use crate::state::{Engine, engine};
use crate::syscalls::{self, Call, Outcome, descriptors, marks};
use crate::threads::stop;
use crate::{
    accesses, boot, calls, code, counts, errors, faults, heap_calls, precise, process_end, requests, stacks,
    strings, symbols, sys, threads, windows,
};
use core::sync::atomic::{AtomicU32, Ordering};
use ring::record::Stat;
use translate::layout;
use translate::{Calls, Mode, Prefix, Special};

/// Bytes of guest code looked at for one fragment.
const WINDOW: usize = 512;

/// Called by the stubs.
pub extern "C" fn dispatch(context: *mut Context) {
    let engine = engine();
    let thread = threads::current();
    debug_assert!(core::ptr::eq(context, &raw const thread.context));
    waits::conceal(thread);
    thread.stats[Stat::DispatcherEntries as usize] += 1;
    let mut from = From::Nowhere;
    if matches!(thread.context.reason, layout::EXIT_SYSCALL_AFTER | layout::EXIT_RESUME) {
        marks::finish_here(thread);
        descriptors::finish_here(thread);
        if thread.signals.fault.is_some() {
            faults::tell(engine, thread);
        }
    }
    match thread.context.reason {
        layout::EXIT_DIRECT => {
            let number = thread.context.exit;
            let exit = engine.cache.lock().exit_target(number);
            thread.context.pc = exit.target;
            if let Mode::Precise(start) = exit.to {
                precise::begin_at(thread, start);
            }
            from = From::Exit(number);
        }
        layout::EXIT_INDIRECT => {
            thread.stats[Stat::IndirectMisses as usize] += 1;
            thread.context.pc = thread.context.target;
            windows::functions::left(engine, thread);
            from = From::Table(Prefix::Indirect);
        }
        layout::EXIT_RETURN => {
            thread.stats[Stat::IndirectMisses as usize] += 1;
            thread.context.pc = thread.context.target;
            windows::functions::left(engine, thread);
            from = From::Table(Prefix::Return);
        }
        layout::EXIT_SPECIAL => {
            let exit = engine.cache.lock().exit_target(thread.context.exit);
            thread.context.pc = exit.target;
            if exit.special == Some(Special::Watched) {
                if pass_watched(engine, thread) {
                    return;
                }
            } else {
                special(engine, thread, exit.special);
            }
        }
        layout::EXIT_STEP => {
            let resume = thread.context.resume;
            if precise::step(engine, thread) && engine.at_first_error.load(Ordering::Relaxed) == 0 {
                // Whatever is pending by now waits for one instruction: were it the other way round, a timer that is faster
                // than a long step would never let the guest get on.
                thread.context.next = resume;
                // Seen by this thread's own handler; nothing is looked for behind it.
                thread.context.state.store(layout::STATE_LEAVING, Ordering::Release);
                return;
            }
        }
        layout::EXIT_CHECK => match errors::check(engine, thread) {
            errors::After::Resume(behind) => {
                if thread.context.pending.load(Ordering::Acquire) == 0 && leave(thread, behind) {
                    return;
                }
            }
            errors::After::Precise(mode, number) => {
                precise::begin(thread, mode);
                from = From::Check(number);
            }
        },
        layout::EXIT_CALL => {
            let resume = thread.context.resume;
            calls::asked(engine, thread);
            if thread.context.pending.load(Ordering::Acquire) == 0 && leave(thread, resume) {
                return;
            }
            let mut guest = GuestRegs::of_context(&thread.context);
            recover::to_place(engine, &thread.context, &mut guest);
            guest.to_context(&mut thread.context);
            // Another one comes to this place later, perhaps by another way.
            counts::interrupted(engine, thread, resume, thread.context.pc);
        }
        layout::EXIT_SYSCALL_AFTER => (),
        // The kernel was told to use memory that it cannot. If it is memory that we protect, the guest may.
        layout::EXIT_SYSCALL_FAULT if code::unguard_all(engine) => {
            thread.context.regs[0] = thread.context.spill;
            syscalls::again(thread);
        }
        layout::EXIT_SYSCALL => {
            if settle(engine, thread, true) {
                return;
            }
            let under = marks::before(engine, thread, Call::of(&thread.context));
            let makes = descriptors::before(engine, thread);
            thread.clock.forget();
            let outcome = syscalls::handle(engine, thread);
            if let Some(under) = under {
                precise::syscall_done(thread);
                if marks::after(thread, under, outcome) {
                    thread.context.resume = engine.stubs.syscall_after;
                }
            }
            if let Some(makes) = makes
                && descriptors::after(thread, makes, outcome)
            {
                thread.context.resume = engine.stubs.syscall_after;
            }
            match outcome {
                Outcome::Pass => {
                    thread.context.next = engine.stubs.syscall_pass;
                    return;
                }
                Outcome::Done(result) => {
                    thread.context.regs[0] = result as u64;
                    // The kernel leaves these two behind.
                    thread.context.regs[1] = thread.context.pc;
                    thread.context.regs[11] = thread.context.flags;
                    if thread.context.flags & TRAP_FLAG != 0 {
                        thread.signals.stepped_to = Some(thread.context.pc);
                    }
                }
                Outcome::Resume => (),
            }
        }
        _ => (),
    }
    enter(engine, thread, from);
}

/// How control came to the pc that is looked for.
#[derive(Clone, Copy)]
enum From {
    Nowhere,
    Exit(u32),
    Check(u32),
    Table(Prefix),
}

/// Sees to what is pending. True when `next` has been set. `at_syscall`: the thread is about to make the system
/// call in front of `pc`, which has to wait for a signal's handler.
fn settle(engine: &'static Engine, thread: &mut Thread, at_syscall: bool) -> bool {
    if thread.context.pending.load(Ordering::Acquire) == 0 {
        return false;
    }
    stop::park_if_asked(engine, thread);
    // Whoever has stopped the world may have emptied the cache: the place behind a system call that is about to be made
    // was noted before, and would be entered behind it.
    thread.context.resume = engine.stubs.resume;
    thread.context.pending.store(0, Ordering::SeqCst);
    if thread.stop_asked.load(Ordering::SeqCst) != 0 {
        thread.context.pending.store(1, Ordering::SeqCst);
        return settle(engine, thread, at_syscall);
    }
    if engine.at_first_error.load(Ordering::SeqCst) != 0 {
        process_end::end_at_error(engine, thread);
    }
    if thread.signals.is_fatal() {
        process_end::die(engine, thread);
    }
    raise::unblocked(engine, thread);
    if raise::prepare(thread) {
        if at_syscall {
            thread.context.pc = thread.context.pc.wrapping_sub(syscalls::BYTES);
        }
        thread.context.next = engine.stubs.raise;
        return true;
    }
    false
}

/// Enters the own code of the replaced function at `pc`, with the registers in the context.
pub fn enter_own_code(engine: &'static Engine, thread: &mut Thread) -> ! {
    // A signal is handled first; the guest then calls the function again.
    while !settle(engine, thread, false) {
        let mode = precise::mode(thread);
        match own_code(engine, thread.context.pc, mode, calls::are_kept(engine), Arrival::Jump) {
            Ok(Some(body)) => {
                if leave(thread, body) {
                    break;
                }
            }
            Ok(None) => unmapped(engine, thread, thread.context.pc),
            Err(Full) => make_room(engine, thread),
        }
    }
    boot::enter_cache(engine)
}

/// The thread has come to a place that is watched: sees to that, and goes on there. False when something else comes first; the thread
/// comes to the place again then.
fn pass_watched(engine: &'static Engine, thread: &mut Thread) -> bool {
    let function = windows::functions::arrived(engine, thread);
    if thread.context.pending.load(Ordering::Acquire) != 0 {
        return false;
    }
    let arrival = if function { Arrival::Jump } else { Arrival::Within };
    let mode = precise::mode(thread);
    let pc = thread.context.pc;
    counts::begin(&engine.cache.lock(), thread);
    match own_code(engine, pc, mode, function, arrival) {
        Ok(Some(body)) => return leave(thread, body),
        Ok(None) => unmapped(engine, thread, pc),
        Err(Full) => make_room(engine, thread),
    }
    false
}

/// Cache address of the own code of the replaced function, or the watched place, at `pc`; `None` when nothing executable is there.
/// `call`: a function begins there.
fn own_code(engine: &Engine, pc: u64, mode: Mode, call: bool, arrival: Arrival) -> Result<Option<u64>, Full> {
    let found = find_or_translate(
        engine,
        pc,
        |cache| cache.find_own(pc, mode),
        |cache, bytes| cache.translate_own(pc, mode, bytes, call, &|at, to| code::peek(engine, at, to)),
    )?;
    Ok(found.map(|id| engine.cache.lock().body(id, arrival)))
}

/// The fragment that `find` finds, or that `translate` makes of the bytes at `pc`; `None` when nothing executable is
/// there.
fn find_or_translate(
    engine: &Engine,
    pc: u64,
    find: impl Fn(&Cache) -> Option<FragmentId>,
    translate: impl Fn(&mut Cache, &[u8]) -> Result<FragmentId, Full>,
) -> Result<Option<FragmentId>, Full> {
    loop {
        let cache = engine.cache.lock();
        if let Some(id) = find(&cache) {
            return Ok(Some(id));
        }
        let changes = cache.code_changes;
        drop(cache);
        let mut bytes = [0u8; WINDOW];
        let length = code::fetch(engine, pc, &mut bytes, true);
        if length == 0 {
            return Ok(None);
        }
        let mut cache = engine.cache.lock();
        if let Some(id) = find(&cache) {
            return Ok(Some(id));
        }
        // Another thread may have changed the code between the fetch and now; what it removed must not come back.
        if cache.code_changes == changes {
            return translate(&mut cache, &bytes[..length]).map(Some);
        }
    }
}

/// Empties the cache.
fn make_room(engine: &Engine, thread: &Thread) {
    /// Milliseconds.
    const LONGEST: u32 = 2000;
    // This thread needs nothing that is there.
    let counted = thread.in_shared_cache.swap(0, Ordering::SeqCst);
    engine.foreign.fetch_sub(counted, Ordering::SeqCst);
    for waited in 0..=LONGEST {
        let world = stop::stop_world(engine);
        // Children of vfork are not stopped with the world. They leave soon, or come here themselves; but one may wait for
        // a thread that waits here.
        if engine.foreign.load(Ordering::SeqCst) == 0 || waited == LONGEST {
            accesses::before_clearing(engine, &world);
            counts::tell_all(engine);
            engine.cache.lock().clear();
            engine.count(Stat::Evictions, 1);
            engine.foreign.fetch_add(counted, Ordering::SeqCst);
            thread.in_shared_cache.store(counted, Ordering::SeqCst);
            drop(world);
            return;
        }
        drop(world);
        sys::futex_wait(&AtomicU32::new(0), 0, 1_000_000, false);
    }
}

/// Finds or makes the fragment at `pc` and sets `next`.
fn enter(engine: &'static Engine, thread: &mut Thread, mut from: From) {
    loop {
        if thread.context.pending.load(Ordering::Acquire) != 0 {
            // The world may have been stopped and the cache emptied: exit numbers mean nothing any more.
            from = From::Nowhere;
            if settle(engine, thread, false) {
                return;
            }
        }
        let pc = thread.context.pc;
        let mode = precise::mode(thread);
        if core::mem::take(&mut thread.signals.step) {
            let mut bytes = [0u8; 16];
            let length = code::fetch(engine, pc, &mut bytes, false);
            let made = engine.cache.lock().translate_once(pc, mode, &bytes[..length]);
            if let Ok(code) = made {
                if leave(thread, code) {
                    return;
                }
                thread.signals.step = true;
                continue;
            }
        }
        let arrival = arrival(engine, from, pc);
        let mut cache = engine.cache.lock();
        if let From::Exit(number) = from
            && cache.exit_target(number).calls == Calls::Surely
        {
            cache.is_called(pc, mode);
        }
        let found = match cache.find(pc, mode) {
            Some(id) => Ok(Some(id)),
            None => {
                drop(cache);
                let begun = sys::tsc();
                let made = make(engine, thread, mode, from);
                thread.stats[Stat::TranslateNanoseconds as usize] += sys::tsc() - begun;
                cache = engine.cache.lock();
                if matches!(made, Ok(Some(id)) if cache.find(pc, mode) != Some(id)) {
                    // Another thread has changed the code since.
                    begin_again(thread, mode);
                    continue;
                }
                made
            }
        };
        counts::begin(&cache, thread);
        match found.and_then(|id| id.map(|id| connect(&mut cache, id, from, arrival)).transpose()) {
            Ok(Some(body)) => {
                drop(cache);
                if leave(thread, body) {
                    return;
                }
                begin_again(thread, mode);
            }
            Ok(None) => {
                drop(cache);
                unmapped(engine, thread, pc);
            }
            Err(Full) => {
                drop(cache);
                make_room(engine, thread);
                from = From::Nowhere;
                begin_again(thread, mode);
            }
        }
    }
}

/// The last step in the engine. False when something has become pending since it was looked for: a thread that goes into
/// a loop of linked code with a signal held back would never look again. From the change of the state on, the handler
/// takes the thread for one in guest code.
fn leave(thread: &mut Thread, code: u64) -> bool {
    thread.context.next = code;
    thread.context.state.store(layout::STATE_LEAVING, Ordering::SeqCst);
    if thread.context.pending.load(Ordering::SeqCst) == 0 {
        return true;
    }
    thread.context.state.store(layout::STATE_ENGINE, Ordering::SeqCst);
    false
}

/// A thread that was about to go on in precise code has to look for it again.
fn begin_again(thread: &mut Thread, mode: Mode) {
    if let Mode::Precise(start) = mode {
        precise::begin_at(thread, start);
    }
}

/// How the guest gets to `pc`.
fn arrival(engine: &Engine, from: From, pc: u64) -> Arrival {
    match from {
        // Whether the call was told of before the thread was interrupted is not known, and does not matter.
        From::Nowhere => Arrival::Jump,
        From::Table(Prefix::Indirect) => Arrival::Call,
        From::Table(Prefix::Return) | From::Check(_) => Arrival::Within,
        From::Exit(number) => {
            let cache = engine.cache.lock();
            let (calls, source) = (cache.exit_target(number).calls, cache.exit_source(number));
            let logs = cache.logs_calls();
            drop(cache);
            match calls {
                Calls::No if logs && !engine.stacks.are_of_one_function(source, pc) => Arrival::Jump,
                Calls::No => Arrival::Within,
                Calls::Perhaps | Calls::Surely => Arrival::Call,
            }
        }
    }
}

/// Lets the next thread that comes the same way find the fragment by itself. The cache address where this one enters it.
fn connect(cache: &mut Cache, id: FragmentId, from: From, arrival: Arrival) -> Result<u64, Full> {
    match from {
        From::Nowhere => (),
        From::Exit(number) => cache.link(number, id, arrival),
        From::Check(number) => cache.link_check(number, id)?,
        From::Table(kind) => cache.ensure_prefix(id, kind)?,
    }
    Ok(cache.body(id, arrival))
}

/// Translates the block at `pc`; `None` when nothing executable is there.
fn make(engine: &Engine, thread: &Thread, mode: Mode, from: From) -> Result<Option<FragmentId>, Full> {
    let pc = thread.context.pc;
    symbols::analyse(engine, pc);
    if let Some(replaced) = heap_calls::replacement(engine, pc) {
        return engine.cache.lock().translate_replaced(pc, mode, replaced).map(Some);
    }
    let logs = calls::are_kept(engine);
    let reached = match from {
        From::Exit(number) => {
            let calls = engine.cache.lock().exit_target(number).calls;
            let call = match calls {
                Calls::No => logs && engine.stacks.is_entry(pc),
                Calls::Perhaps => engine.stacks.is_function_start(pc),
                Calls::Surely => true,
            };
            Reached { through: None, call }
        }
        // A jump within a function does not lead to where one begins.
        From::Table(kind @ Prefix::Indirect) => {
            let call = engine.stacks.is_function_start(pc) || logs && stacks::is_called(engine, thread, pc);
            Reached { through: Some(kind), call }
        }
        From::Table(kind) => Reached { through: Some(kind), call: false },
        From::Nowhere => Reached { through: None, call: logs && engine.stacks.is_entry(pc) },
        From::Check(_) => Reached::default(),
    };
    let peek = |at, to: &mut [u8]| code::peek(engine, at, to);
    find_or_translate(
        engine,
        pc,
        |cache| cache.find(pc, mode),
        |cache, bytes| cache.translate(pc, mode, bytes, reached, &peek),
    )
}

/// The guest has jumped to where nothing executable is.
fn unmapped(engine: &'static Engine, thread: &mut Thread, pc: u64) {
    if pc == process_end::RETURN_TO_ENGINE {
        process_end::returned(engine, thread);
        return;
    }
    if pc == requests::call::RETURN && requests::call::returned(thread) {
        return;
    }
    if pc == strings::resolve::RETURN && strings::resolve::returned(engine, thread) {
        return;
    }
    if let Some(result) = vsyscall(thread, pc) {
        thread.context.regs[0] = result as u64;
        let rsp = thread.context.regs[4];
        thread.context.pc = crate::guest_mem::read_u64(rsp).unwrap_or(0);
        thread.context.regs[4] = rsp.wrapping_add(8);
        return;
    }
    let mapped = engine.space.lock().find(pc).map(|(_, mapping)| mapping.protection);
    // What runs off the end of its code has not jumped.
    let jumped = pc == thread.context.pc;
    const MAPERR: u32 = 1;
    const ACCERR: u32 = 2;
    const FETCH: u64 = 0x14;
    const PRESENT: u64 = 1;
    // Executable, yet unreadable: the file has been cut short.
    if mapped.is_some_and(|protection| protection & 4 != 0) {
        const ADRERR: u32 = 2;
        // Not found: the thread comes here again, now and below.
        let _ = fault(thread, sig::BUS, ADRERR, pc, Some((14, FETCH, pc)));
        return;
    }
    // No page table entry tells of memory that was never touched.
    let touched = mapped.is_some() && crate::guest_mem::read_code(pc, &mut [0]) == 1;
    let trap = (14, if touched { FETCH | PRESENT } else { FETCH }, pc);
    let code = if mapped.is_some() { ACCERR } else { MAPERR };
    if fault(thread, sig::SEGV, code, pc, Some(trap)) && jumped {
        errors::invalid_jump(engine, thread);
    }
}

/// The three entry points of the legacy vsyscall page.
#[allow(unsafe_code, reason = "system calls on guest pointers")]
fn vsyscall(thread: &Thread, pc: u64) -> Option<i64> {
    use crate::sys::{call, nr};
    let a = [thread.context.regs[7], thread.context.regs[6], thread.context.regs[2]];
    let number = match pc {
        0xffff_ffff_ff60_0000 => nr::GETTIMEOFDAY,
        0xffff_ffff_ff60_0400 => nr::TIME,
        0xffff_ffff_ff60_0800 => nr::GETCPU,
        _ => return None,
    };
    // SAFETY: the kernel checks the guest's pointers.
    Some(unsafe { call(number, &a) })
}

/// What the frame of a fault tells besides the siginfo: trap number, error code, address.
pub type Trap = (u64, u64, u64);

/// Sends the thread the signal of a fault that was found without executing the instruction. False when another signal
/// arrived before, which is handled first: the context must lead to the same fault again.
#[must_use]
pub fn fault(thread: &mut Thread, signal: u32, code: u32, address: u64, trap: Option<Trap>) -> bool {
    let mut info = [0; 16];
    info[0] = u64::from(signal);
    info[1] = u64::from(code);
    info[2] = address;
    let found = raise::keep(thread, info);
    if found {
        thread.signals.synthetic = trap;
    }
    found
}

fn special(engine: &'static Engine, thread: &mut Thread, special: Option<Special>) {
    let pc = thread.context.pc;
    const ILLOPN: u32 = 2;
    match special {
        Some(Special::Truncated) => {
            let page = (pc | (crate::space::PAGE - 1)) + 1;
            unmapped(engine, thread, if engine.space.lock().find(pc).is_some() { page } else { pc });
        }
        Some(Special::Unresolved) => {
            engine.cache.lock().resolve_later(thread.context.exit);
            // This time, wherever the pointer leads.
            thread.signals.step = true;
        }
        Some(what @ (Special::ClientRequest | Special::ReplacedAddress | Special::CallOriginal)) => {
            requests::handle(engine, thread, what);
        }
        Some(Special::Watched) => (),
        Some(Special::Undefined) => {
            let _ = fault(thread, sig::ILL, ILLOPN, pc, Some((6, 0, 0)));
        }
        Some(Special::Unsupported) | None => {
            if !fault(thread, sig::ILL, ILLOPN, pc, Some((6, 0, 0))) {
                return;
            }
            let mut text = crate::fatal::Text::new();
            let _ = core::fmt::Write::write_fmt(
                &mut text,
                format_args!(
                    "the instruction at {pc:#x} is not supported (int n, far branch, load of FS or GS, or gather behind one with 32-bit addresses)"
                ),
            );
            if let Some(writer) = &mut thread.writer {
                writer.message(1, text.as_bytes());
            }
        }
    }
}
