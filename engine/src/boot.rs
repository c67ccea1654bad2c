//! From the kernel's initial stack to a running guest.
//!
//! The recorder (for the first program) or the engine itself (for the guest's execve) executes the engine image with
//! the guest's arguments and one more variable in front of its environment.
//!
//! # Safety
//! `unsafe` here reads the kernel's initial stack and makes the first mappings.
#![allow(unsafe_code, reason = "the kernel's initial stack, first mappings")]

use crate::cache::Cache;
use crate::context::Thread;
use crate::initial_stack::{self, Inherited, at};
use crate::limits;
use crate::loader::{self, Format, Image};
use crate::lock::Mutex;
use crate::modules::{self, ModuleTable};
use crate::signals::{self, Actions};
use crate::space::{self, PAGE, Space};
use crate::state::{self, Engine, Options};
use crate::sys::{self, errno, nr};
use crate::threads::{self, Registry, clone};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use ring::Shared;
use ring::record::Start;

/// What the variable in front of the environment says.
struct Handover {
    shared_fd: i64,
    personality: u32,
    /// Number of the process, for one that goes on with another program.
    process: Option<u32>,
    /// Its limits.
    limits: limits::Values,
    /// The signals that the program before had blocked; the kernel's mask was another one.
    mask: Option<u64>,
    /// The program, open.
    program_fd: i64,
    path: Vec<u8>,
}

fn parse_number(field: &[u8], radix: u32) -> Option<i64> {
    i64::from_str_radix(core::str::from_utf8(field).ok()?, radix).ok()
}

fn parse_handover(variable: &[u8]) -> Option<Handover> {
    if let Some(rest) = variable.strip_prefix(b"VG_ENGINE=") {
        let mut fields = rest.splitn(3, |b| *b == b',');
        return Some(Handover {
            shared_fd: parse_number(fields.next()?, 10)?,
            personality: parse_number(fields.next()?, 16)? as u32,
            process: None,
            limits: [[limits::INFINITY; 2]; 2],
            mask: None,
            program_fd: -1,
            path: fields.next()?.to_vec(),
        });
    }
    let mut fields = variable.strip_prefix(b"VG_ENGINE_EXEC=")?.splitn(7, |b| *b == b',');
    Some(Handover {
        shared_fd: parse_number(fields.next()?, 10)?,
        personality: parse_number(fields.next()?, 16)? as u32,
        process: Some(parse_number(fields.next()?, 10)? as u32),
        limits: limits::parse(fields.next()?)?,
        mask: Some(u64::from_str_radix(core::str::from_utf8(fields.next()?).ok()?, 16).ok()?),
        program_fd: parse_number(fields.next()?, 10)?,
        path: fields.next()?.to_vec(),
    })
}

/// Reads the initial stack: argc, argv, envp, auxiliary vector.
unsafe fn read_stack(stack: *const u64) -> Inherited {
    let mut inherited = Inherited::default();
    // SAFETY: the kernel's layout: a count, that many pointers, NULL, pointers, NULL, pairs up to a zero key. The
    // strings end with NUL and live as long as the process.
    unsafe {
        let string = |address: u64| CStr::from_ptr(address as *const core::ffi::c_char).to_bytes().to_vec();
        let count = stack.read() as usize;
        let mut at = stack.add(1);
        for i in 0..count {
            inherited.arguments.push(string(at.add(i).read()));
        }
        at = at.add(count + 1);
        while at.read() != 0 {
            inherited.environment.push(string(at.read()));
            at = at.add(1);
        }
        at = at.add(1);
        while at.read() != at::NULL {
            let (key, value) = (at.read(), at.add(1).read());
            match key {
                at::RANDOM => inherited.random = (value as *const [u8; 16]).read_unaligned(),
                at::PLATFORM => inherited.platform = string(value),
                _ => (),
            }
            inherited.auxiliary.push((key, value));
            at = at.add(2);
        }
    }
    inherited
}

/// Ends the process before the guest runs: `status` as a shell would give it.
fn refuse(path: &[u8], reason: &str, status: i32) -> ! {
    let name = alloc::string::String::from_utf8_lossy(path);
    crate::fatal::complain(format_args!("cannot run {name}: {reason}"));
    sys::exit_group(status)
}

/// The image's entry.
///
/// # Safety
/// `stack` is the stack pointer that the kernel gave to the image.
pub unsafe fn boot(stack: *const u64) -> ! {
    // SAFETY: the caller's promise.
    let mut inherited = unsafe { read_stack(stack) };
    let handover = inherited.environment.first().and_then(|variable| parse_handover(variable));
    let Some(handover) = handover else {
        crate::fatal::fail("this program is a part of vg-record and is not started by hand")
    };
    inherited.environment.remove(0);
    // SAFETY: touches no memory.
    unsafe { sys::call(nr::PERSONALITY, &[u64::from(handover.personality)]) };
    signals::set_kernel_mask_at_start();
    let shared = map_shared(handover.shared_fd);
    let image_fd = keep_image(handover.shared_fd, handover.process.is_some());
    let control = shared.control();
    let options = Options {
        events: control.events.load(Ordering::Relaxed),
        flags: control.flags.load(Ordering::Relaxed),
        depth: control.stack_depth.load(Ordering::Relaxed).clamp(1, 500),
        cache_bytes: match control.cache_bytes.load(Ordering::Relaxed) {
            0 => 256 << 20,
            bytes => bytes,
        },
        debug: control.debug.load(Ordering::Relaxed),
        models: crate::accesses::looked_at(control),
    };
    let has = |kind: u32| options.events & kind != 0;
    let calls = has(ring::shared::EVENTS_CALLS);
    let count = (
        has(ring::shared::EVENTS_CLOCK),
        has(ring::shared::EVENTS_BLOCKS),
        calls,
        crate::accesses::are_kept(options.events),
    );
    let check = options.events & ring::shared::EVENTS_SHADOW != 0;
    let follow = check && options.flags & ring::shared::FLAG_VALUES != 0;
    if check && crate::shadow::map(handover.shared_fd, follow).is_err() {
        crate::fatal::fail(
            "no address space for the shadow (is `ulimit -v` set, or vm.overcommit_memory 2?)",
        );
    }
    let track = options.flags & ring::shared::FLAG_DESCRIPTORS != 0;
    let class = |number| {
        let wanted = check && crate::syscalls::marks::is_wanted(number, follow)
            || track && crate::syscalls::descriptors::is_wanted(number);
        crate::syscalls::class(number) | u8::from(wanted)
    };
    let mut cache = match Cache::new(options.cache_bytes, count, options.models, check, follow, class) {
        Ok(cache) => cache,
        Err(_) => crate::fatal::fail("no address space for the code cache"),
    };

    let mut space = Space::new();
    let vdso = crate::vdso::relocate(&mut space);
    let (program, interpreter, execfn) = load_program(&mut space, &mut inherited, &handover);
    let layout = map_stack(&mut space, &inherited, &execfn, &program, interpreter.as_ref(), &vdso);
    set_name(&execfn);
    describe_to_kernel(&program, &space, &layout);

    let windows = crate::windows::Windows::new(control, options.flags, handover.process.is_some());
    if !windows.patterns.is_empty() {
        cache.watch_stack();
    }
    let stubs = cache.stubs().clone();
    let engine = Box::leak(Box::new(Engine {
        shared,
        shared_fd: handover.shared_fd,
        image_fd,
        options,
        space: Mutex::new(space),
        cache: Mutex::new(cache),
        stubs,
        actions: Mutex::new(Actions::new()),
        waiting: signals::waiting::Common::new(),
        threads: Mutex::new(Registry::new()),
        modules: Mutex::new(ModuleTable::new()),
        heap: crate::heap_calls::GuestHeap::new(control),
        client: Mutex::new(crate::client_blocks::ClientBlocks::new()),
        accesses: Mutex::new(crate::accesses::new(control)),
        access_records: AtomicU64::new(0),
        client_memory: Mutex::new(crate::client_memory::ClientMemory::new()),
        strings: Mutex::new(crate::strings::targets::Targets::new()),
        stacks: crate::stacks::Stacks::new(),
        program: program.clone(),
        command: inherited.arguments.join(&0u8),
        personality: AtomicU32::new(handover.personality),
        death_signal_set: AtomicU32::new(0),
        limits: limits::Limits::new(handover.limits),
        has_threads: AtomicBool::new(false),
        stopper: AtomicU32::new(0),
        foreign: AtomicU32::new(0),
        at_first_error: AtomicU32::new(0),
        windows,
        counters: [const { AtomicU64::new(0) }; ring::record::STAT_COUNT],
        started: sys::Moment::now(),
    }));
    state::install(engine);
    let engine = state::engine();

    let mask = handover.mask.unwrap_or_else(|| signals::INHERITED.load(Ordering::Relaxed));
    let Ok(thread) = threads::create(engine, mask) else {
        crate::fatal::fail("no memory for the first thread")
    };
    // SAFETY: made for this kernel thread.
    unsafe { threads::adopt(thread) };
    let thread = threads::current();
    engine.threads.lock().add(thread);
    threads::stop::register();
    let how = if handover.process.is_some() { Start::Exec } else { Start::Root };
    thread.process = handover.process.unwrap_or_else(|| control.next_process.fetch_add(1, Ordering::Relaxed));
    clone::announce_process(engine, thread, 0, how, sys::tsc());
    clone::announce_thread(thread, 0);
    for image in [Some(&program), interpreter.as_ref()].into_iter().flatten() {
        if let Some(mut module) = modules::read_headers(image.start) {
            module.path = image.path.clone();
            module.file = image.file;
            modules::add(engine, module);
        }
    }
    if let Some(module) = vdso {
        modules::add(engine, module);
    }
    thread.descriptors = crate::descriptors::Descriptors::inherited(engine);
    signals::start(&mut engine.actions.lock());
    threads::watcher::start(engine, thread);
    thread.signals.mask = mask;
    signals::set_kernel_mask(signals::kernel_mask(mask));

    thread.context.pc = interpreter.as_ref().unwrap_or(&program).entry;
    thread.context.regs[4] = layout.sp;
    thread.context.flags = 0x202;
    run(engine, thread)
}

/// Enters guest code with the state in the thread's context.
pub fn run(engine: &'static Engine, thread: &mut Thread) -> ! {
    thread.context.reason = translate::layout::EXIT_RESUME;
    crate::dispatch::dispatch(&raw mut thread.context);
    enter_cache(engine)
}

/// Goes on at the thread's `next`, with the guest's registers from its context. No frame of the engine's is left.
pub fn enter_cache(engine: &Engine) -> ! {
    // SAFETY: the stub restores the guest's state from the context and never comes back to this frame.
    unsafe { core::arch::asm!("jmp {enter}", enter = in(reg) engine.stubs.enter, options(noreturn)) }
}

fn map_shared(fd: i64) -> Shared {
    let bytes = ring::shared::SHARED_BYTES as u64;
    let flags = sys::MAP_SHARED | sys::MAP_NORESERVE | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: a fixed range of the engine's zone.
    let mapped = unsafe { sys::mmap(space::RINGS, bytes, sys::PROT_READ | sys::PROT_WRITE, flags, fd, 0) };
    if mapped.is_err() {
        crate::fatal::fail("cannot map the memory shared with vg-record (is `ulimit -v` set?)");
    }
    // SAFETY: touches no memory.
    unsafe {
        const F_SETFD: u64 = 2;
        sys::call(nr::FCNTL, &[fd as u64, F_SETFD, 1]);
    }
    // SAFETY: mapped above with that size, never unmapped.
    let shared = unsafe { Shared::new(space::RINGS as usize) };
    if shared.control().magic.load(Ordering::Relaxed) != ring::shared::MAGIC {
        crate::fatal::fail("the memory shared with vg-record is of another version");
    }
    shared
}

/// Keeps the engine's own file open, next to the shared memory's descriptor, for the guest's execve. After one it is
/// open already (`inherited`): the guest may have lowered its limit of descriptors, so that no new one could be had.
fn keep_image(shared_fd: i64, inherited: bool) -> i64 {
    let wanted = shared_fd - 1;
    const F_SETFD: u64 = 2;
    const FD_CLOEXEC: u64 = 1;
    // SAFETY: touches no memory.
    if inherited && unsafe { sys::call(nr::FCNTL, &[wanted as u64, F_SETFD, FD_CLOEXEC]) } == 0 {
        return wanted;
    }
    let name = b"/proc/self/exe\0";
    // SAFETY: the kernel reads the name.
    unsafe {
        let fd =
            sys::call(nr::OPENAT, &[sys::AT_FDCWD, name.as_ptr() as u64, sys::O_PATH | sys::O_CLOEXEC, 0]);
        if fd < 0 {
            crate::fatal::fail("cannot open /proc/self/exe (is /proc mounted?)");
        }
        if fd != wanted {
            sys::call(nr::DUP3, &[fd as u64, wanted as u64, sys::O_CLOEXEC]);
            loader::close(fd);
        }
    }
    wanted
}

/// Opens and maps the program, its script interpreter and its dynamic linker, as execve does.
fn load_program(
    space: &mut Space,
    inherited: &mut Inherited,
    handover: &Handover,
) -> (Image, Option<Image>, Vec<u8>) {
    let mut path = handover.path.clone();
    let mut fd = handover.program_fd;
    for _ in 0..6 {
        if fd < 0 {
            fd = match loader::open(&path) {
                Ok(fd) => fd,
                Err(errno::ENOENT) => refuse(&path, "no such file", 127),
                Err(errno::EACCES) => {
                    refuse(&path, "it must be readable to be recorded (permission denied)", 126)
                }
                Err(_) => refuse(&path, "it cannot be opened", 126),
            };
        }
        match loader::format(fd) {
            Format::Script(name, argument) => {
                loader::close(fd);
                fd = -1;
                // argv[0] gives way to: interpreter, its argument, the script's path.
                let mut front = alloc::vec![name.clone()];
                front.extend(argument);
                front.push(path);
                let rest = inherited.arguments.iter().skip(1).cloned();
                inherited.arguments = front.into_iter().chain(rest).collect();
                path = name;
            }
            Format::Elf => return load_elf(space, fd, &path, handover),
            Format::Foreign => refuse(&path, "not a 64-bit x86 ELF program or a script with #!", 126),
        }
    }
    refuse(&path, "too many levels of script interpreters", 126)
}

fn load_elf(space: &mut Space, fd: i64, path: &[u8], handover: &Handover) -> (Image, Option<Image>, Vec<u8>) {
    let real = modules::path_of(fd);
    let program = match loader::load(space, fd, &real, false) {
        Ok(image) => image,
        Err(errno::ENOMEM) => refuse(path, "its addresses collide with the recorder's", 126),
        Err(_) => refuse(path, "its ELF headers are damaged", 126),
    };
    loader::close(fd);
    let interpreter = program.interpreter.clone().map(|name| {
        let fd = match loader::open(&name) {
            Ok(fd) => fd,
            Err(_) => refuse(&name, "the program's dynamic linker cannot be opened", 127),
        };
        let real = modules::path_of(fd);
        let image = match loader::load(space, fd, &real, true) {
            Ok(image) => image,
            Err(_) => refuse(&name, "the program's dynamic linker cannot be loaded", 126),
        };
        loader::close(fd);
        image
    });
    space.brk = (program.end, program.end);
    (program, interpreter, handover.path.clone())
}

fn map_stack(
    space: &mut Space,
    inherited: &Inherited,
    execfn: &[u8],
    program: &Image,
    interpreter: Option<&Image>,
    vdso: &Option<modules::Module>,
) -> initial_stack::Layout {
    const RLIMIT_STACK: u64 = 3;
    let mut limit = [0u64; 2];
    // SAFETY: the kernel writes two words.
    unsafe { sys::call(nr::GETRLIMIT, &[RLIMIT_STACK, limit.as_mut_ptr() as u64]) };
    let bytes: usize = inherited.arguments.iter().chain(&inherited.environment).map(|s| s.len() + 9).sum();
    let needed = bytes as u64 + (128 << 10);
    let size = limit[0].min(64 << 20).max(needed).next_multiple_of(PAGE);
    let protection =
        sys::PROT_READ | sys::PROT_WRITE | if program.executable_stack { sys::PROT_EXEC } else { 0 };
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE | sys::MAP_STACK;
    let start = space::STACK_TOP - size;
    if loader::map(space, start, size, protection, flags, -1, 0, None).is_err() {
        crate::fatal::fail("no memory for the main stack");
    }
    space.stack = (start, space::STACK_TOP);
    let vdso = vdso.as_ref().map_or(0, |module| module.start);
    match initial_stack::build(space::STACK_TOP, inherited, execfn, program, interpreter, vdso) {
        Some(layout) => layout,
        None => crate::fatal::fail("the arguments and the environment do not fit on the main stack"),
    }
}

/// The kernel shows the engine's file as the process's name; this makes it the guest's.
fn set_name(execfn: &[u8]) {
    const PR_SET_NAME: u64 = 15;
    let base = execfn.rsplit(|b| *b == b'/').next().unwrap_or(execfn);
    let mut name = [0u8; 16];
    let length = base.len().min(15);
    name[..length].copy_from_slice(&base[..length]);
    // SAFETY: the kernel reads 16 bytes.
    unsafe { sys::call(nr::PRCTL, &[PR_SET_NAME, name.as_ptr() as u64]) };
}

/// Tells the kernel where the guest's arguments, environment and auxiliary vector lie, for /proc. Without effect
/// where the kernel does not allow it.
fn describe_to_kernel(program: &Image, space: &Space, layout: &initial_stack::Layout) {
    const PR_SET_MM: u64 = 35;
    const PR_SET_MM_MAP: u64 = 14;
    // struct prctl_mm_map; the last word is the size of the auxiliary vector and no file (-1).
    let map = [
        program.start,
        program.end,
        program.start,
        program.end,
        space.brk.0,
        space.brk.1,
        layout.sp,
        layout.arguments.0,
        layout.arguments.1,
        layout.environment.0,
        layout.environment.1,
        layout.auxiliary.0,
        layout.auxiliary.1 & 0xffff_ffff | u64::from(u32::MAX) << 32,
    ];
    // SAFETY: the kernel reads the structure and the vector.
    unsafe {
        let bytes = 8 * map.len() as u64;
        sys::call(nr::PRCTL, &[PR_SET_MM, PR_SET_MM_MAP, map.as_ptr() as u64, bytes]);
    }
}

/// Path, command line (arguments separated by NUL) and working directory of this process.
pub fn identity(engine: &Engine) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut directory = alloc::vec![0u8; 4096];
    // SAFETY: the kernel writes at most the buffer's length.
    let length = unsafe { sys::call(nr::GETCWD, &[directory.as_mut_ptr() as u64, directory.len() as u64]) };
    directory.truncate((length.max(1) - 1) as usize);
    (engine.program.path.clone(), engine.command.clone(), directory)
}
