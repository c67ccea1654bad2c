//! Where the shadow lies and how checks name it: what a wrong choice costs on this processor.
//!
//! `cargo bench -p translate --bench placement`. Two rules are held: the distance of the shadow is no round number
//! (`engine::shadow`), and a check's displacement is not the access's (`layout::SHADOW_BIAS`). Prints nanoseconds a round
//! of twelve accesses; the line of the engine's choice should be within twice the one without checks.
#![allow(unsafe_code, reason = "measures single instructions; the shadow is a mapping of its own")]

use std::arch::asm;
use std::time::Instant;
use translate::layout::SHADOW_BIAS;

const ROUNDS: u64 = 10_000_000;
const BYTES: usize = 1 << 16;
const BIAS: i32 = SHADOW_BIAS as i32;
/// What the engine uses.
const DISTANCE: u64 = (1 << 45) + 0x1234_5840;

macro_rules! counter {
    ($at:literal) => {
        concat!(
            "cmp qword ptr gs:[{p} + ",
            $at,
            " + {bias}], 0\n jne 3f\n",
            "add qword ptr [{p} + ",
            $at,
            "], 24\n",
            "cmp qword ptr gs:[{p} + ",
            $at,
            " + {bias}], 0\n jne 3f\n",
            "mov {u}, [{p} + ",
            $at,
            "]\n add {t}, {u}\n"
        )
    };
}

macro_rules! store {
    ($at:literal) => {
        concat!(
            "mov qword ptr gs:[{p} + ",
            $at,
            " + {bias}], 0\n",
            "mov [{p} + ",
            $at,
            "], {t}\n /* {u} */\n"
        )
    };
}

macro_rules! rounds {
    ($name:ident, $one:ident) => {
        fn $name<const BIAS: i32>(p: *mut u8) {
            // SAFETY: touches 104 bytes from `p` on, which main has mapped, and the shadow of them, by GS, mapped too.
            unsafe {
                asm!(
                    "2:",
                    $one!("8"),
                    $one!("16"),
                    $one!("24"),
                    $one!("32"),
                    $one!("40"),
                    $one!("48"),
                    $one!("56"),
                    $one!("64"),
                    $one!("72"),
                    $one!("80"),
                    $one!("88"),
                    $one!("96"),
                    "dec {n}",
                    "jnz 2b",
                    "3:",
                    p = in(reg) p,
                    n = inout(reg) ROUNDS => _,
                    t = inout(reg) 0u64 => _,
                    u = out(reg) _,
                    bias = const BIAS,
                );
            }
        }
    };
}

rounds!(counters, counter);
rounds!(stores, store);

macro_rules! unchecked {
    ($at:literal) => {
        concat!(
            "add qword ptr [{p} + ",
            $at,
            " + 0 * {bias}], 24\n",
            "mov {u}, [{p} + ",
            $at,
            "]\n add {t}, {u}\n"
        )
    };
}

rounds!(plain, unchecked);

/// Maps memory at a fixed address, in place of what was there for the same purpose.
fn map(at: u64) -> *mut u8 {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: far from all that a program without address space tricks has mapped.
    let got = unsafe { libc::mmap(at as *mut libc::c_void, BYTES, protection, flags, -1, 0) };
    assert_eq!(got as u64, at, "cannot map {at:#x}");
    // SAFETY: mapped just now. Written, so that each page is one of its own.
    unsafe { got.cast::<u8>().write_bytes(0, BYTES) };
    got.cast()
}

fn set_gs(base: u64) {
    const ARCH_SET_GS: u64 = 0x1001;
    // SAFETY: nothing else in this process uses GS.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
    assert_eq!(result, 0);
}

fn nanoseconds(run: fn(*mut u8), p: *mut u8) -> f64 {
    let once = || {
        let start = Instant::now();
        run(p);
        start.elapsed().as_secs_f64() * 1e9 / ROUNDS as f64
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}

fn main() {
    let guest = map(0x0ffe_fff0_0000);
    let p = guest.wrapping_add(BYTES / 2);
    println!("without checks: counters {:.2} ns a round", nanoseconds(plain::<0>, p));
    for (name, distance) in
        [("a round number", 1 << 45), ("half a page more", (1 << 45) + 0x840), ("the engine's", DISTANCE)]
    {
        map((guest as u64 + distance) & !0xfff);
        for (bias, counters, stores) in [
            (0, counters::<0> as fn(*mut u8), stores::<0> as fn(*mut u8)),
            (BIAS, counters::<BIAS>, stores::<BIAS>),
        ] {
            set_gs(distance.wrapping_sub(bias as u64));
            println!(
                "distance {name:17} displacement {bias:+5}: counters {:7.2}, stores {:6.2}",
                nanoseconds(counters, p),
                nanoseconds(stores, p)
            );
        }
    }
}
