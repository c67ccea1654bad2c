//! The engine image: entry point, the memory functions that compiled code calls, allocator and panic handler.
//!
//! Invariant: nothing here or below uses libc, thread-local storage or vector registers beyond SSE2: the stubs
//! save exactly those.
#![no_std]
#![no_main]

mod memory;

use core::arch::naked_asm;
use core::panic::PanicInfo;
use engine::own_heap::OwnHeap;

#[global_allocator]
static HEAP: OwnHeap = OwnHeap;

/// Where the kernel starts the image: the initial stack is the only argument.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {start}", "ud2", start = sym start)
}

unsafe extern "C" fn start(stack: *const u64) -> ! {
    // SAFETY: _start passes the stack pointer that the kernel gave, before anything was changed on it.
    unsafe { engine::boot::boot(stack) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    engine::fatal::panicked(info)
}

/// Referenced by the precompiled core library, never called: the image aborts on panic.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    engine::fatal::fail("unwinding inside the engine")
}
