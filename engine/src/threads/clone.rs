//! clone, clone3, fork, vfork.
//!
//! A child that shares memory gets a thread structure of its own and starts in the engine on its engine stack; the
//! guest's stack pointer and TLS are put into its context. A child without shared memory goes on with a copy of
//! everything, and with a ring of its own.
//!
//! # Safety
//! `unsafe` here makes the clone system call and runs the child's first steps.
#![allow(unsafe_code, reason = "clone")]

use super::{adopt, create, current};
use crate::context::{Thread, gpr};
use crate::lock::Mutex;
use crate::signals::{self, Actions, DEFAULT, IGNORE};
use crate::state::{Engine, engine};
use crate::sys::{self, errno, nr};
use crate::syscalls::{Call, Outcome};
use crate::trace::Writer;
use crate::{accesses, calls, counts, guest_mem};
use alloc::boxed::Box;
use core::arch::asm;
use core::sync::atomic::Ordering;
use ring::record::{Kind, Start, header, pair};
use translate::layout::{STATE_ENGINE, STATE_SYSCALL};

/// What clone3 is given, the 88 bytes of version 2.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const ARGUMENTS_BYTES: usize = size_of::<Arguments>();

/// Reads what the guest wants, whichever call it used.
fn wanted(call: &Call) -> Result<Arguments, i64> {
    const SIGCHLD: u64 = 17;
    let a = &call.args;
    Ok(match call.number {
        nr::FORK => Arguments { exit_signal: SIGCHLD, ..Arguments::default() },
        nr::VFORK => Arguments {
            flags: sys::CLONE_VM | sys::CLONE_VFORK,
            exit_signal: SIGCHLD,
            ..Arguments::default()
        },
        nr::CLONE => Arguments {
            flags: a[0] & 0xffff_ff00,
            exit_signal: a[0] & 0xff,
            stack: a[1],
            parent_tid: a[2],
            child_tid: a[3],
            tls: a[4],
            // CLONE_PIDFD of the old call stores to the parent's tid pointer.
            pidfd: a[2],
            ..Arguments::default()
        },
        _ => {
            let size = a[1] as usize;
            if size < 64 {
                return Err(errno::EINVAL);
            }
            if size > 4096 {
                return Err(errno::E2BIG);
            }
            let mut bytes = alloc::vec![0u8; size.max(ARGUMENTS_BYTES)];
            if guest_mem::read(a[0], &mut bytes[..size]) != size {
                return Err(errno::EFAULT);
            }
            if bytes[ARGUMENTS_BYTES..].iter().any(|b| *b != 0) {
                return Err(errno::E2BIG);
            }
            // SAFETY: eleven integers, any value is valid; the vector has at least their size.
            let mut arguments: Arguments = unsafe { bytes.as_ptr().cast::<Arguments>().read_unaligned() };
            // The new call names the lowest address and the size.
            arguments.stack = if arguments.stack != 0 { arguments.stack + arguments.stack_size } else { 0 };
            arguments
        }
    })
}

/// Handles all four calls.
pub fn handle(engine: &'static Engine, thread: &mut Thread, call: &Call) -> Outcome {
    let wanted = match wanted(call) {
        Ok(wanted) => wanted,
        Err(error) => return Outcome::Done(-error),
    };
    if wanted.flags & sys::CLONE_VM != 0 {
        shared_memory(engine, thread, call, &wanted)
    } else {
        fork(engine, thread, call, &wanted)
    }
}

/// The arguments for the kernel: the guest's, with our stack and TLS.
fn for_kernel(wanted: &Arguments, stack: u64, tls: u64) -> Arguments {
    // clone3 takes the lowest address and a size; any size below the top will do.
    let stack_size = if stack != 0 { 4096 } else { 0 };
    let base = stack.saturating_sub(stack_size);
    let mut kernel = Arguments { stack: base, stack_size, ..*wanted };
    if tls != 0 {
        kernel.flags |= sys::CLONE_SETTLS;
        kernel.tls = tls;
    } else {
        kernel.flags &= !sys::CLONE_SETTLS;
        kernel.tls = 0;
    }
    kernel
}

/// Makes the system call in the form that the guest used, so that it works where clone3 is forbidden.
/// In a child with a stack of its own, runs `child` on it and never returns.
///
/// # Safety
/// `stack` is 0 (the child has a copy of this stack) or the top of an unused engine stack.
unsafe fn call_clone(
    call: &Call,
    kernel: &Arguments,
    stack: u64,
    child: unsafe extern "C" fn(*mut Thread) -> !,
    thread: *mut Thread,
) -> i64 {
    let result: i64;
    let arguments = *kernel;
    let (number, a, b, c, d, e) = if call.number == nr::CLONE3 {
        (nr::CLONE3, &raw const arguments as u64, call.args[1].min(ARGUMENTS_BYTES as u64), 0, 0, 0)
    } else {
        let flags = arguments.flags | arguments.exit_signal;
        (nr::CLONE, flags, stack, arguments.parent_tid, arguments.child_tid, arguments.tls)
    };
    // SAFETY: with a new stack the child runs only the instructions below before it calls `child` with registers
    // that the kernel has copied; without, it returns like fork.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "test r12, r12",
            "jz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "and rsp, -16",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number as i64 => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            in("r12") if stack != 0 { child as *const () as u64 } else { 0 },
            in("r13") thread,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// Threads and vfork children.
fn shared_memory(engine: &'static Engine, thread: &mut Thread, call: &Call, wanted: &Arguments) -> Outcome {
    let is_thread = wanted.flags & sys::CLONE_THREAD != 0;
    engine.has_threads.store(true, Ordering::Relaxed);
    let child = match create(engine, thread.signals.mask) {
        Ok(child) => child,
        Err(_) => return Outcome::Done(-errno::ENOMEM),
    };
    // SAFETY: a fresh structure that nobody else knows yet; the context is copied field by field.
    let stack = unsafe {
        let context = &mut (*child).context;
        context.guest_fs =
            if wanted.flags & sys::CLONE_SETTLS != 0 { wanted.tls } else { thread.context.guest_fs };
        context.guest_gs = thread.context.guest_gs;
        context.regs = thread.context.regs;
        context.xmm = thread.context.xmm;
        context.flags = thread.context.flags;
        context.pc = thread.context.pc;
        context.regs[gpr::RAX] = 0;
        context.regs[gpr::RCX] = context.pc;
        context.regs[gpr::R11] = context.flags;
        if wanted.stack != 0 {
            context.regs[gpr::RSP] = wanted.stack;
        }
        (*child).process = thread.process;
        (*child).foreign = !is_thread;
        let files = wanted.flags & sys::CLONE_FILES != 0;
        (*child).descriptors = thread.descriptors.as_ref().map(|known| known.of_child(files));
        // A child with the parent's stack is suspended with it, so it keeps the alternate stack; a thread has none.
        if wanted.flags & sys::CLONE_VFORK != 0 {
            (*child).signals.alternate = thread.signals.alternate;
        }
        if !is_thread && let Some(window) = &thread.window {
            (*child).window = Some(window.of_child());
            let on = window.counts();
            crate::calls::collect(engine, &mut *child, on);
        }
        if !is_thread {
            // It shares the models, whose costs are the parent's.
            crate::calls::never_costs(&mut *child);
        }
        if wanted.flags & sys::CLONE_SIGHAND == 0 {
            let actions = child_actions(engine, thread, wanted.flags);
            (*child).own_actions = Some(Box::new(Mutex::new(actions)));
        } else if let Some(own) = &thread.own_actions {
            (*child).own_actions = Some(Box::new(Mutex::new(Actions { guest: own.lock().guest })));
        }
        context.engine_rsp
    };
    let kernel = for_kernel(wanted, stack, child as u64);
    // Nothing may arrive in the child before it is set up; it takes the parent's mask with it.
    signals::set_kernel_mask(u64::MAX);
    if is_thread {
        engine.threads.lock().add(child);
    } else if wanted.flags & sys::CLONE_VFORK != 0 {
        // SAFETY: nobody else knows the structure yet.
        unsafe { (*child).in_shared_cache.store(1, Ordering::SeqCst) };
        engine.foreign.fetch_add(1, Ordering::SeqCst);
    }
    if wanted.flags & sys::CLONE_VFORK != 0 {
        thread.context.state.store(STATE_SYSCALL, Ordering::SeqCst);
    }
    // SAFETY: the child's engine stack is fresh.
    let result = unsafe { call_clone(call, &kernel, stack, start, child) };
    thread.context.state.store(STATE_ENGINE, Ordering::SeqCst);
    if result < 0 && is_thread {
        engine.threads.lock().remove(child);
    }
    if wanted.flags & sys::CLONE_VFORK != 0 {
        // SAFETY: the structure of a child that has left, or never was.
        let counted = unsafe { (*child).in_shared_cache.swap(0, Ordering::SeqCst) };
        engine.foreign.fetch_sub(counted, Ordering::SeqCst);
    }
    // A vfork child has left its memory when its parent goes on; a thread offers its own.
    if result < 0 || wanted.flags & sys::CLONE_VFORK != 0 {
        // SAFETY: nobody uses the child's structure any more.
        unsafe {
            let memory = (*child).memory.0;
            core::ptr::drop_in_place(child);
            engine.threads.lock().recycle(memory);
        }
    }
    if !thread.signals.is_held() {
        signals::set_kernel_mask(signals::kernel_mask(thread.signals.mask));
    }
    Outcome::Done(result)
}

/// A thread of the engine's own, with a table of descriptors of its own; it begins in `run`, with all signals blocked as
/// they are here.
///
/// # Errors
/// The kernel's error number.
///
/// # Safety
/// `thread` was made by [`create`] and belongs to no kernel thread; `run` adopts it.
pub(super) unsafe fn engine_thread(
    thread: *mut Thread,
    run: unsafe extern "C" fn(*mut Thread) -> !,
) -> Result<(), i64> {
    const CLONE_FS: u64 = 0x200;
    const CLONE_SYSVSEM: u64 = 0x4_0000;
    let flags = sys::CLONE_VM | CLONE_FS | sys::CLONE_SIGHAND | sys::CLONE_THREAD | CLONE_SYSVSEM;
    let wanted = Arguments { flags, ..Arguments::default() };
    // SAFETY: the caller's promise: nobody uses the thread's stack.
    let result = unsafe {
        let stack = (*thread).context.engine_rsp;
        let kernel = for_kernel(&wanted, stack, thread as u64);
        call_clone(&Call { number: nr::CLONE, args: [0; 6] }, &kernel, stack, run, thread)
    };
    sys::result(result).map(|_| ())
}

fn child_actions(engine: &Engine, thread: &Thread, flags: u64) -> Actions {
    let mut actions = Actions { guest: thread.actions(engine).lock().guest };
    if flags & sys::CLONE_CLEAR_SIGHAND != 0 {
        for action in actions.guest.iter_mut().filter(|action| action.handler != IGNORE) {
            *action = signals::Action { handler: DEFAULT, ..signals::Action::default() };
        }
    }
    actions
}

/// First steps of a thread or vfork child, on its engine stack, FS being its context.
unsafe extern "C" fn start(thread: *mut Thread) -> ! {
    let engine = engine();
    // SAFETY: the structure was made for this kernel thread.
    unsafe { adopt(thread) };
    let thread = current();
    if thread.foreign {
        let parent = thread.process;
        let process = engine.shared.control().next_process.fetch_add(1, Ordering::Relaxed);
        thread.process = process;
        reinstall_if_cleared(thread);
        announce_process(engine, thread, parent, Start::Vfork, sys::tsc());
    } else {
        open_ring(engine, thread);
    }
    announce_thread(thread, 0);
    signals::set_kernel_mask(signals::kernel_mask(thread.signals.mask));
    // What waits for any thread may be this one's.
    thread.context.pending.store(1, Ordering::Release);
    crate::boot::run(engine, thread)
}

/// With CLONE_CLEAR_SIGHAND the kernel has forgotten the engine's handlers too.
fn reinstall_if_cleared(thread: &Thread) {
    if let Some(own) = &thread.own_actions {
        let actions = own.lock();
        for (action, signal) in actions.guest.iter().zip(1u32..) {
            let _ = signals::install(signal, action);
        }
    }
}

/// fork and its like: the child has a copy of all memory, and only this thread.
fn fork(engine: &'static Engine, thread: &mut Thread, call: &Call, wanted: &Arguments) -> Outcome {
    let parent = thread.process;
    let process = engine.shared.control().next_process.fetch_add(1, Ordering::Relaxed);
    let kernel = for_kernel(wanted, 0, 0);
    let before = sys::tsc();
    signals::set_kernel_mask(u64::MAX);
    // What the child takes on is what has been told.
    calls::work_through(engine, thread);
    let frozen = engine.heap.get().map(|heap| heap.lock_all());
    let descriptors = thread.descriptors.as_ref().map(|known| known.table());
    if let Some(table) = &descriptors {
        table.acquire();
    }
    engine.acquire_all();
    accesses::forks(engine, thread, process);
    // SAFETY: without a stack of its own the child returns here with a copy of this one.
    let result = unsafe { call_clone(call, &kernel, 0, start, core::ptr::null_mut()) };
    engine.release_all();
    if let Some(table) = &descriptors {
        table.release();
    }
    drop(frozen);
    if result == 0 {
        thread.tid.store(sys::gettid(), Ordering::Relaxed);
        thread.pid = sys::getpid();
        thread.process = process;
        engine.threads.lock().keep_only(thread);
        engine.stopper.store(0, Ordering::Relaxed);
        engine.foreign.store(0, Ordering::Relaxed);
        thread.stop_asked.store(0, Ordering::Relaxed);
        thread.stop_sent.store(0, Ordering::Relaxed);
        thread.nudged.store(0, Ordering::Relaxed);
        // Signals that wait are the parent's alone.
        thread.signals.set_held(false);
        thread.signals.blocked = signals::waiting::Waiting::new();
        while engine.waiting.take(u64::MAX).is_some() {}
        for counter in &engine.counters {
            counter.store(0, Ordering::Relaxed);
        }
        engine.cache.lock().counters = [0; 4];
        if counts::are_kept(engine) {
            counts::forget(thread);
        }
        accesses::forked(engine);
        calls::forget(engine, thread);
        engine.windows.forget_parts();
        thread.restart_stats();
        crate::heap_calls::after_fork(engine, thread);
        crate::stacks::after_fork(thread);
        super::stop::register();
        if wanted.flags & sys::CLONE_CLEAR_SIGHAND != 0 {
            let actions = child_actions(engine, thread, wanted.flags);
            *engine.actions.lock() = actions;
            for (action, signal) in engine.actions.lock().guest.iter().zip(1u32..) {
                let _ = signals::install(signal, action);
            }
        }
        if wanted.flags & sys::CLONE_SETTLS != 0 {
            calls::changes_bases(engine, thread, |context| context.guest_fs = wanted.tls);
        }
        if wanted.stack != 0 {
            thread.context.regs[gpr::RSP] = wanted.stack;
        }
        announce_process(engine, thread, parent, Start::Fork, before);
        announce_thread(thread, 0);
        super::watcher::start(engine, thread);
    }
    if !thread.signals.is_held() {
        signals::set_kernel_mask(signals::kernel_mask(thread.signals.mask));
    }
    Outcome::Done(result)
}

fn open_ring(engine: &Engine, thread: &mut Thread) {
    let tid = thread.tid.load(Ordering::Relaxed);
    thread.writer = Writer::open(engine.shared, thread.process, thread.pid, tid);
}

/// Opens the first ring of a new process and tells the recorder about it. `tsc` is its start; for a fork a time before
/// it, so that what the parent does next comes later.
pub fn announce_process(engine: &Engine, thread: &mut Thread, parent: u32, how: Start, tsc: u64) {
    open_ring(engine, thread);
    let ppid = {
        // SAFETY: touches no memory.
        unsafe { sys::call(nr::GETPPID, &[]) as u32 }
    };
    let first_module = engine.modules.lock().iter().count() as u32 + 1;
    let first = pair(engine.stacks.nodes() as u32 + 1, first_module);
    let fixed = [tsc, pair(thread.process, parent), pair(thread.pid, ppid), how as u64, first];
    let (path, command, directory) = crate::boot::identity(engine);
    if let Some(writer) = &mut thread.writer {
        writer.push_strings(Kind::ProcessStart, &fixed, &[&path, &command, &directory, b""]);
    }
}

/// The first record of a thread.
pub fn announce_thread(thread: &mut Thread, parent: u32) {
    let tid = thread.tid.load(Ordering::Relaxed);
    let part = if thread.foreign { 0 } else { engine().windows.part() };
    if let Some(writer) = &mut thread.writer {
        writer.push(&[header(Kind::ThreadStart, 4), sys::tsc(), pair(tid, parent), u64::from(part)]);
    }
}
