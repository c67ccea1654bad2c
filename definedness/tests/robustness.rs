//! No input makes a step panic, and a step allocates nothing: random bytes as instructions, in random states.

use definedness::{Guest, Registers, Rules, Shadow};
use iced_x86::{Decoder, DecoderOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[path = "oracle/rng.rs"]
#[allow(dead_code, reason = "the oracle uses more of it")]
mod rng;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Anything<'a>(&'a [u64; 64]);

impl Guest for Anything<'_> {
    fn gpr(&self, number: usize) -> u64 {
        // A small count, so that repeated string instructions end.
        if number == 1 { self.0[1] & 0xff } else { self.0[number] }
    }
    fn rflags(&self) -> u64 {
        self.0[17]
    }
    fn vector(&self, number: usize) -> [u64; 8] {
        self.0[number..number + 8].try_into().unwrap()
    }
    fn mask(&self, number: usize) -> u64 {
        self.0[20 + number]
    }
    fn mmx(&self, number: usize) -> u64 {
        self.0[32 + number]
    }
    fn x87_top(&self) -> usize {
        self.0[18] as usize % 8
    }
    fn fs_base(&self) -> u64 {
        self.0[19]
    }
    fn gs_base(&self) -> u64 {
        self.0[28]
    }
    fn state_components(&self) -> u64 {
        0xe7
    }
    fn state_in_use(&self) -> u64 {
        self.0[29]
    }
    fn read(&self, _: u64, bytes: &mut [u8]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = self.0[30 + i % 32] as u8;
        }
    }
}

struct Somewhere(u8);

impl Shadow for Somewhere {
    fn load(&mut self, _: u64, v: &mut [u8]) -> u64 {
        v.fill(self.0);
        7
    }
    fn store(&mut self, _: u64, _: &[u8], _: u64) {}
}

#[test]
fn random_instructions() {
    let rounds = if std::env::var_os("VG_LONG").is_some() { 20_000_000 } else { 200_000 };
    let mut rng = rng::Rng::new(42);
    let mut rules = Rules::new();
    let mut words = [0; 64];
    let mut done = 0;
    for round in 0..rounds {
        if round % 8 == 0 {
            words.fill_with(|| rng.value());
        }
        let mut bytes = [0u8; 16];
        bytes.fill_with(|| rng.next() as u8);
        match rng.below(4) {
            0 => bytes[0] = 0x62,
            1 => bytes[0] = [0xc4, 0xc5][rng.below(2) as usize],
            2 => bytes[0] = 0x0f,
            _ => {}
        }
        let mut decoder = Decoder::with_ip(64, &bytes, 0x1000, DecoderOptions::NONE);
        let insn = decoder.decode();
        let mut registers = Registers::default();
        let density = rng.below(3);
        let mut some = || match density {
            0 => 0,
            1 => rng.next() & rng.next() & rng.next(),
            _ => u64::MAX,
        };
        registers.gpr.fill_with(&mut some);
        registers.vector.iter_mut().for_each(|v| v.fill_with(&mut some));
        registers.mask.fill_with(&mut some);
        registers.x87.fill_with(|| [some(), some() & 0xffff]);
        registers.flags.0 = some() as u16 & 0x3ff;
        let before = ALLOCATIONS.with(Cell::get);
        let mut reports = 0u64;
        rules.step(&insn, &Anything(&words), &mut Somewhere(some() as u8), &mut registers, &mut |_| {
            reports += 1
        });
        assert_eq!(ALLOCATIONS.with(Cell::get), before, "{bytes:02x?} allocates");
        assert!(registers.x87.iter().all(|v| v[1] <= 0xffff), "{bytes:02x?}");
        assert!(registers.flags.0 <= 0x3ff, "{bytes:02x?}");
        done += u64::from(!insn.is_invalid());
    }
    assert!(done > rounds / 8, "{done} of {rounds} were instructions");
}
