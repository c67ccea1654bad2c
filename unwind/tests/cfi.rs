//! Hand-made unwind information, code and stacks: each rule form, each fallback, bounds, and corrupt tables.

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use support::*;
use unwind::*;

/// Where the hand-made module lies, its functions 4096 bytes apart, and its stack.
const MODULE: u64 = 0x40_0000;
const BIAS: u64 = 0x10_0000;
const EH_FRAME: u64 = MODULE + 0x10_0000;
const HDR: u64 = MODULE + 0x20_0000;
const STACK: u64 = 0x7fff_0000;

/// Address `offset` in the `n`-th function.
const fn pc(n: u64, offset: u64) -> u64 {
    MODULE + n * 4096 + offset
}

/// A synthetic address space. Words outside of the stack must not be asked for.
#[derive(Default)]
struct Space {
    stack: BTreeMap<u64, Vec<u64>>,
    code: BTreeMap<u64, Vec<u8>>,
    words_read: Cell<usize>,
}

impl Space {
    fn new(words: &[u64]) -> Space {
        Space { stack: BTreeMap::from([(STACK, words.to_vec())]), ..Space::default() }
    }

    fn with_code(mut self, address: u64, bytes: &[u8]) -> Space {
        self.code.insert(address, bytes.to_vec());
        self
    }

    fn find(&self, address: u64) -> Option<(u64, &Vec<u64>)> {
        let (&base, words) = self.stack.range(..=address).next_back()?;
        (address < base + 8 * words.len() as u64).then_some((base, words))
    }
}

impl Memory for Space {
    fn stack(&self, sp: u64) -> Option<Range<u64>> {
        self.find(sp).map(|(base, words)| base..base + 8 * words.len() as u64)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let (base, words) = self.find(address).expect("asked for a word outside of the stack");
        self.words_read.set(self.words_read.get() + 1);
        let (at, shift) = ((address - base) as usize / 8, (address - base) % 8 * 8);
        let low = words[at] >> shift;
        if shift == 0 {
            return Some(low);
        }
        let high = words.get(at + 1).expect("asked for a word that ends outside of the stack");
        Some(low | high << (64 - shift))
    }

    fn code(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some((&base, code)) = self.code.range(..=address).next_back() else { return false };
        let at = (address - base) as usize;
        let Some(found) = code.get(at..at + bytes.len()) else { return false };
        bytes.copy_from_slice(found);
        true
    }
}

/// An FDE of a function: its CIE is a signal frame's or not, and its instructions.
struct Fde<'i> {
    function: u64,
    signal: bool,
    instructions: &'i [u8],
}

fn fde(function: u64, instructions: &[u8]) -> Fde<'_> {
    Fde { function, signal: false, instructions }
}

fn padded(mut body: Vec<u8>) -> Vec<u8> {
    while body.len() % 8 != 4 {
        body.push(0);
    }
    let mut entry = (body.len() as u32).to_le_bytes().to_vec();
    entry.append(&mut body);
    entry
}

/// `.eh_frame` and `.eh_frame_hdr` with these entries. The CIEs say: RA at cfa-8, cfa = rsp+8.
fn tables(entries: &[Fde]) -> (Vec<u8>, Vec<u8>) {
    let mut section = Vec::new();
    let mut cies = [0; 2];
    for (n, augmentation) in [b"zR\0\0", b"zRS\0"].into_iter().enumerate() {
        cies[n] = section.len();
        let mut cie = vec![0, 0, 0, 0, 1];
        cie.extend(&augmentation[..3 + n]);
        // code and data alignment 1 and -8, RA column 16, pointers absolute; def_cfa rsp+8; offset RA cfa-8.
        cie.extend([1, 0x78, 16, 1, 0, 0x0c, 7, 8, 0x90, 1]);
        section.extend(padded(cie));
    }
    let mut table = Vec::new();
    for entry in entries {
        let at = section.len();
        let cie = cies[usize::from(entry.signal)];
        let mut body = ((at + 4 - cie) as u32).to_le_bytes().to_vec();
        body.extend(pc(entry.function, 0).to_le_bytes());
        body.extend(4096u64.to_le_bytes());
        body.push(0);
        body.extend(entry.instructions);
        section.extend(padded(body));
        table.push((pc(entry.function, 0), EH_FRAME + at as u64));
    }
    section.extend([0; 4]);
    table.sort_unstable();
    let relative = |address: u64| (address.wrapping_sub(HDR) as u32).to_le_bytes();
    let mut hdr = vec![1, 0x1b, 0x03, 0x3b];
    hdr.extend((EH_FRAME.wrapping_sub(HDR + 4) as u32).to_le_bytes());
    hdr.extend((table.len() as u32).to_le_bytes());
    for (start, fde) in table {
        hdr.extend(relative(start));
        hdr.extend(relative(fde));
    }
    (section, hdr)
}

fn module(entries: &[Fde], with_hdr: bool) -> Modules {
    let (section, hdr) = tables(entries);
    let section = Section { avma: EH_FRAME, bytes: section.leak() };
    let hdr = Section { avma: HDR, bytes: hdr.leak() };
    let range = MODULE..MODULE + 0x30_0000;
    let module = if with_hdr {
        Module::with_segment(9, range, BIAS, hdr, section)
    } else {
        Module { id: 9, avma: range, bias: BIAS, eh_frame_hdr: None, eh_frame: Some(section) }
    };
    assert!(module.eh_frame.is_some());
    let mut modules = Modules::new();
    modules.add(module).expect("one module");
    modules
}

/// Walks with and without the search table, and interns with and without a history; all must agree.
fn walk(entries: &[Fde], regs: Regs, space: &Space) -> (End, Vec<(u64, bool)>) {
    let mut results = Vec::new();
    for with_hdr in [true, false] {
        let modules = module(entries, with_hdr);
        let mut unwinder = Unwinder::new(8);
        let mut frames = FrameBuf::<32>::new();
        let end = unwinder.walk(&modules, &regs, space, &mut frames);
        results.push((end, pairs(frames.frames())));
        let memory = tree_memory(100);
        let tree = StackTree::new(&memory);
        let ids: Vec<u32> =
            (0..3).map(|_| unwinder.stack(&modules, &regs, space, &tree, 32, |_| {})).collect();
        assert_eq!(ids, [frames.frames().len() as u32; 3]);
        for frame in frames.frames().iter().filter(|frame| frame.module != 0) {
            assert_eq!((frame.module, frame.svma), (9, frame.address - BIAS));
        }
    }
    assert_eq!(results[0], results[1]);
    results.swap_remove(0)
}

fn regs(rip: u64, rsp: u64, rbp: u64) -> Regs {
    Regs::callee_saved(rip, rsp, rbp, 0xb0b, [12, 13, 14, 15])
}

// Functions used below: 0 has the CIE's rule, 1 is `push rbp; mov rbp, rsp`, 9 is the outermost.
const LEAF: Fde = Fde { function: 0, signal: false, instructions: &[] };
const FRAME: Fde = Fde { function: 1, signal: false, instructions: &[0x0c, 6, 16, 0x86, 2] };
const OUTERMOST: Fde = Fde { function: 9, signal: false, instructions: &[0x07, 16] };

#[test]
fn plain_forms() {
    // cfa = rsp+8; then cfa = rbp+16 with rbp at cfa-16; then cfa = rsp+32 with rbp at cfa-24; then undefined
    // RA.
    let third = fde(2, &[0x0e, 32, 0x86, 3]);
    let words = [pc(1, 5), 0, 0, STACK + 99, pc(2, 7), 0, 77, 0, pc(9, 3), 0];
    let space = Space::new(&words);
    let (end, frames) = walk(&[LEAF, FRAME, third, OUTERMOST], regs(pc(0, 1), STACK, STACK + 24), &space);
    assert_eq!(end, End::Outermost);
    assert_eq!(frames, [(pc(0, 1), true), (pc(1, 5), false), (pc(2, 7), false), (pc(9, 3), false)]);
}

#[test]
fn rows_follow_the_pc() {
    // `push`: from byte 1 on cfa = rsp+16, from byte 9 on rsp+8 again (remembered state).
    let function = fde(0, &[0x0a, 0x41, 0x0e, 16, 0x48, 0x0b]);
    let space = Space::new(&[pc(9, 1), pc(9, 2), 0]);
    for (offset, expected) in [(0, 1), (1, 2), (8, 2), (9, 1)] {
        let (_, frames) =
            walk(&[fde(0, function.instructions), OUTERMOST], regs(pc(0, offset), STACK, 0), &space);
        assert_eq!(frames[1], (pc(9, expected), false), "at {offset}");
    }
}

#[test]
fn a_call_at_the_end_of_a_function_belongs_to_it() {
    let words = [pc(1, 4096), 0, STACK + 40, pc(9, 3), 0, 0];
    let (end, frames) =
        walk(&[LEAF, FRAME, OUTERMOST], regs(pc(0, 0), STACK, STACK + 16), &Space::new(&words));
    assert_eq!((end, frames.len()), (End::Outermost, 3));
    assert_eq!(frames[1..], [(pc(1, 4096), false), (pc(9, 3), false)]);
}

#[test]
fn a_realigned_stack() {
    // gcc's DRAP: cfa = *(rbp - 8), rbp at *rbp.
    let drap = fde(2, &[0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0]);
    let words = [pc(2, 9), 0, STACK + 64, STACK + 80, 0, 0, 0, pc(1, 9), 0, 0, 5, pc(9, 1), 0];
    // rbp = STACK+24: *(rbp-8) = cfa = STACK+64, *rbp = the caller's rbp = STACK+80.
    let (end, frames) =
        walk(&[LEAF, drap, FRAME, OUTERMOST], regs(pc(0, 0), STACK, STACK + 24), &Space::new(&words));
    assert_eq!(end, End::Outermost);
    assert_eq!(frames[1..], [(pc(2, 9), false), (pc(1, 9), false), (pc(9, 1), false)]);
}

#[test]
fn the_plt() {
    // breg7 8, breg16 0, lit15, and, lit11, ge, lit3, shl, plus
    let plt = fde(2, &[0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22]);
    let space = Space::new(&[pc(9, 1), pc(9, 2), 0]);
    for (offset, expected) in [(16, 1), (26, 1), (27, 2), (31, 2)] {
        let (end, frames) =
            walk(&[fde(2, plt.instructions), OUTERMOST], regs(pc(2, offset), STACK, 0), &space);
        assert_eq!((end, frames[1]), (End::Outermost, (pc(9, expected), false)), "at {offset}");
    }
}

#[test]
fn registers_that_the_fast_walk_does_not_follow() {
    // The leaf saves rbx at cfa-16; its caller has cfa = rbx+16 (as the dynamic linker's resolver).
    let saves = fde(2, &[0x0e, 16, 0x83, 2]);
    let by_rbx = fde(3, &[0x0c, 3, 16]);
    let words = [STACK + 32, pc(3, 8), 0, 0, 0, pc(9, 4), 0];
    let (end, frames) = walk(&[saves, by_rbx, OUTERMOST], regs(pc(2, 8), STACK, 0), &Space::new(&words));
    assert_eq!((end, frames.len()), (End::Outermost, 3));
    assert_eq!(frames[1..], [(pc(3, 8), false), (pc(9, 4), false)]);

    // cfa = r10 in the innermost frame, where all registers are known; unknown r10 loses the stack.
    let by_r10 = [fde(4, &[0x0c, 10, 0]), OUTERMOST];
    let mut gpr = [0; 16];
    (gpr[4], gpr[10]) = (STACK, STACK + 16);
    let space = Space::new(&[0, pc(9, 4), 0]);
    let (end, frames) = walk(&by_r10, Regs::from_encoding_order(pc(4, 0), &gpr), &space);
    assert_eq!((end, frames[1]), (End::Outermost, (pc(9, 4), false)));
    assert_eq!(walk(&by_r10, regs(pc(4, 0), STACK, 0), &space).0, End::Lost);
}

#[test]
fn odd_register_rules() {
    // The return address in r12 (register rule); then rbp by val_offset, rsp by val_expression (breg7 24).
    let in_r12 = fde(2, &[0x09, 16, 12]);
    let values = fde(3, &[0x14, 6, 1, 0x16, 7, 2, 0x77, 24]);
    let start = Regs::callee_saved(pc(2, 0), STACK, 0, 0, [pc(3, 5), 0, 0, 0]);
    // After the first: sp = STACK+8. There cfa = STACK+16, RA at STACK+8, rbp = cfa-8, sp = STACK+8+24.
    let words = [0, pc(1, 5), pc(9, 9), 0, 0, 0];
    let (end, frames) = walk(&[in_r12, values, FRAME, OUTERMOST], start, &Space::new(&words));
    assert_eq!(frames[1..], [(pc(3, 5), false), (pc(1, 5), false)]);
    // rbp = STACK+8 < sp: cfa = rbp+16 = STACK+24 does not rise above sp = STACK+32.
    assert_eq!(end, End::Lost);
}

/// A ucontext at word 0 with these registers.
fn ucontext(rip: u64, rsp: u64, rbp: u64) -> [u64; 24] {
    let mut words = [0; 24];
    (words[15], words[20], words[21]) = (rbp, rsp, rip);
    words
}

/// glibc's CFI of the restorer, as far as it matters here.
const RESTORER: &[u8] = &[
    0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1, 0x10, 6, 3, 0x77, 0xf8, 0, 0x10, 7, 3, 0x77,
    0xa0, 1,
];

#[test]
fn signal_frames() {
    let words = |frame: u64| {
        let mut words = vec![frame];
        words.extend(ucontext(pc(0, 0), STACK + 30 * 8, 0));
        words.resize(30, 0);
        words.extend([pc(9, 1), 0]);
        words
    };
    // By CFI. The interrupted pc is the first byte of function 0: exact, not the end of the function before
    // it.
    let signal = Fde { function: 2, signal: true, instructions: RESTORER };
    let expected = [(pc(0, 0), true), (pc(9, 1), false)];
    let (end, frames) =
        walk(&[LEAF, signal, OUTERMOST], regs(pc(0, 1), STACK, 0), &Space::new(&words(pc(2, 1))));
    assert_eq!((end, &frames[2..]), (End::Outermost, &expected[..]));
    // By CFI that is not the kernel's: a signal frame with a plain rule.
    let plain = Fde { function: 2, signal: true, instructions: &[] };
    let space = Space::new(&[pc(2, 1), pc(9, 0), 0]);
    let (end, frames) = walk(&[LEAF, plain, OUTERMOST], regs(pc(0, 1), STACK, 0), &space);
    assert_eq!((end, frames[2]), (End::Outermost, (pc(9, 0), true)));
    // By its bytes, with no CFI, in two encodings; and outside of all modules.
    for (at, bytes) in [
        (pc(5, 0), &[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05][..]),
        (pc(5, 0), &[0xb8, 15, 0, 0, 0, 0x0f, 0x05]),
        (0x1000_0000, &[0x90, 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05]),
    ] {
        let start = at + u64::from(bytes[0] == 0x90);
        let space = Space::new(&words(start)).with_code(at, bytes);
        let (end, frames) = walk(&[LEAF, OUTERMOST], regs(pc(0, 1), STACK, 0), &space);
        assert_eq!((end, &frames[2..]), (End::Outermost, &expected[..]), "at {at:x}");
    }
}

#[test]
fn a_signal_frame_leads_to_another_stack() {
    const OTHER: u64 = 0x1_0000;
    let mut words = vec![pc(2, 1)];
    words.extend(ucontext(pc(0, 7), OTHER, 0));
    let mut space = Space::new(&words);
    space.stack.insert(OTHER, vec![pc(9, 1), 0]);
    let signal = Fde { function: 2, signal: true, instructions: RESTORER };
    let (end, frames) = walk(&[LEAF, signal, OUTERMOST], regs(pc(0, 1), STACK, 0), &space);
    assert_eq!(end, End::Outermost);
    assert_eq!(frames[1..], [(pc(2, 1), false), (pc(0, 7), true), (pc(9, 1), false)]);
}

/// Code with calls that end at 16 (rel32), 32 (register), 48 (rip-relative), 64 (SIB and disp32).
fn code_with_calls() -> Vec<u8> {
    let mut code = vec![0x90; 128];
    code[11] = 0xe8;
    code[30..32].copy_from_slice(&[0xff, 0xd0]);
    code[42..44].copy_from_slice(&[0xff, 0x15]);
    code[57..60].copy_from_slice(&[0xff, 0x94, 0x24]);
    code
}

fn guessed(regs: Regs, space: &Space, entries: &[Fde]) -> (End, Vec<(u64, bool)>) {
    let mut frames = FrameBuf::<16>::new();
    let end = Unwinder::new(8).walk(&module(entries, true), &regs, space, &mut frames);
    walk(entries, regs, space);
    (end, frames.frames().iter().map(|frame| (frame.address, frame.guessed)).collect())
}

#[test]
fn without_cfi_by_the_frame_pointer() {
    let words = [1, 2, STACK + 40, pc(5, 32), 0, 0, pc(5, 48), 0];
    let space = Space::new(&words).with_code(pc(5, 0), &code_with_calls());
    let (end, frames) = guessed(regs(pc(5, 70), STACK, STACK + 16), &space, &[OUTERMOST]);
    assert_eq!(frames, [(pc(5, 70), false), (pc(5, 32), true), (pc(5, 48), true)]);
    assert_eq!(end, End::Outermost, "rbp is 0");
}

#[test]
fn without_cfi_by_scanning() {
    // Words that look like code but follow no call are not return addresses.
    for at in [16, 32, 48, 64] {
        let words = [pc(5, 17), pc(5, 33), 12, pc(5, at), pc(9, 1), 0];
        let space = Space::new(&words).with_code(pc(5, 0), &code_with_calls());
        let (_, frames) = guessed(regs(pc(6, 70), STACK, 3), &space, &[OUTERMOST]);
        assert_eq!(frames[..2], [(pc(6, 70), false), (pc(5, at), true)]);
    }
    // Nothing within 64 words.
    let mut words = [0; 80];
    words[64] = pc(5, 16);
    let space = Space::new(&words).with_code(pc(5, 0), &code_with_calls());
    assert_eq!(guessed(regs(pc(6, 70), STACK, 3), &space, &[OUTERMOST]).0, End::Lost);
}

#[test]
fn without_cfi_at_the_edges_of_a_function() {
    let mut code = code_with_calls();
    code[100..104].copy_from_slice(&[0x55, 0x48, 0x89, 0xe5]);
    code[110] = 0xc3;
    // The frame pointer chain would skip a frame at each of these.
    let words = |slot: usize| {
        let mut words = [0; 12];
        words[slot] = pc(5, 16);
        (words[6], words[7]) = (0, pc(5, 48));
        words
    };
    for (offset, slot) in [(100, 0), (101, 1), (110, 0)] {
        let mut words = words(slot);
        if slot == 1 {
            words[0] = STACK + 48;
        }
        let space = Space::new(&words).with_code(pc(5, 0), &code);
        let (end, frames) = guessed(regs(pc(5, offset), STACK, STACK + 48), &space, &[OUTERMOST]);
        assert_eq!(end, End::Outermost);
        assert_eq!(frames[1..], [(pc(5, 16), true), (pc(5, 48), true)], "at {offset}");
    }
    // A call through a null pointer.
    let space = Space::new(&words(0)).with_code(pc(5, 0), &code);
    let (_, frames) = guessed(regs(0, STACK, STACK + 48), &space, &[OUTERMOST]);
    assert_eq!(frames, [(0, false), (pc(5, 16), true), (pc(5, 48), true)]);
}

#[test]
fn stacks_that_end_badly() {
    let entries = || [LEAF, FRAME, OUTERMOST];
    let lost = |regs, words: &[u64]| {
        let (end, frames) = walk(&entries(), regs, &Space::new(words));
        (end, frames.len())
    };
    // The return address lies outside of the stack, the sp too, rbp below the stack, sp does not rise.
    assert_eq!(lost(regs(pc(0, 0), STACK + 8, 0), &[0]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(0, 0), 16, 0), &[0]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(1, 0), STACK, 8), &[0, 0]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(1, 0), STACK + 24, STACK), &[0, pc(9, 0), 0, 0]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(1, 0), STACK, u64::MAX - 15), &[0, 0]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(1, 0), u64::MAX - 7, u64::MAX - 7), &[0, 0]), (End::Lost, 1));
    // Return addresses 0, 1, one in kernel space, one where no code is.
    assert_eq!(lost(regs(pc(0, 0), STACK, 0), &[0]), (End::Outermost, 1));
    assert_eq!(lost(regs(pc(0, 0), STACK, 0), &[1]), (End::Outermost, 1));
    assert_eq!(lost(regs(pc(0, 0), STACK, 0), &[1 << 47]), (End::Lost, 1));
    assert_eq!(lost(regs(pc(0, 0), STACK, 0), &[0x1234_5678]), (End::Lost, 1));
}

#[test]
fn removal_of_a_module_invalidates_its_rules() {
    let space = Space::new(&[pc(9, 1), pc(9, 2), 0]);
    let mut unwinder = Unwinder::new(8);
    let memory = tree_memory(100);
    let tree = StackTree::new(&memory);
    let mut modules = Modules::new();
    let mut ids = Vec::new();
    // The same addresses with other code: cfa = rsp+8, then cfa = rsp+16.
    for (n, cfa) in [8, 16].into_iter().enumerate() {
        let (section, _) = tables(&[fde(0, &[0x0e, cfa]), OUTERMOST]);
        let section = Section { avma: EH_FRAME, bytes: section.leak() };
        let (id, range) = (n as u32 + 1, MODULE..EH_FRAME);
        modules
            .add(Module { id, avma: range, bias: BIAS, eh_frame_hdr: None, eh_frame: Some(section) })
            .expect("room");
        let mut frames = FrameBuf::<8>::new();
        let regs = regs(pc(0, 0), STACK, 0);
        assert_eq!(unwinder.walk(&modules, &regs, &space, &mut frames), End::Outermost);
        assert_eq!(pairs(frames.frames())[1], (pc(9, n as u64 + 1), false));
        assert_eq!(frames.frames()[1].module, id);
        ids.push(unwinder.stack(&modules, &regs, &space, &tree, 8, |_| {}));
        assert!(modules.remove(id) && !modules.remove(id));
        assert_eq!(unwinder.walk(&modules, &regs, &space, &mut frames), End::Lost);
        assert_eq!(frames.frames().iter().map(|frame| frame.module).collect::<Vec<_>>(), [0]);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_table_of_modules() {
    let mut modules = Modules::new();
    let module = |id, avma: Range<u64>| Module { id, avma, bias: 0, eh_frame_hdr: None, eh_frame: None };
    for (id, start) in [(1, 0x3000), (2, 0x1000), (3, 0x5000)] {
        modules.add(module(id, start..start + 0x1000)).expect("free range");
    }
    assert_eq!(modules.add(module(4, 0x3fff..0x4001)), Err(AddError::Overlap(1)));
    assert_eq!(modules.add(module(4, 0..0x10_0000)), Err(AddError::Overlap(2)));
    assert_eq!(modules.add(module(3, 0x8000..0x9000)), Err(AddError::Id(3)));
    assert_eq!(modules.add(module(0, 0x8000..0x9000)), Err(AddError::Id(0)));
    assert_eq!(modules.add(module(4, 0x8000..0x8000)), Err(AddError::Range));
    assert_eq!(modules.add(module(4, 0x8000..u64::MAX)), Err(AddError::Range));
    let at = |modules: &Modules, address| modules.lookup(address).map_or(0, |module| module.id);
    let all = [0xfff, 0x1000, 0x1fff, 0x2000, 0x3000, 0x3fff, 0x4000, 0x5000, 0x6000];
    assert_eq!(all.map(|address| at(&modules, address)), [0, 2, 2, 0, 1, 1, 0, 3, 0]);
    let generation = modules.generation();
    assert!(modules.remove(2) && modules.generation() > generation);
    modules.add(module(4, 0x2000..0x3000)).expect("free range and slot");
    assert_eq!(all.map(|address| at(&modules, address)), [0, 0, 0, 4, 1, 1, 0, 3, 0]);
    assert_eq!(modules.iter().map(|module| module.id).collect::<Vec<_>>(), [4, 1, 3]);
}

#[test]
fn reuse_is_exact_when_any_word_changes() {
    let drap = [0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0];
    let entries = [
        LEAF,
        FRAME,
        fde(2, &drap),
        fde(3, &[0x0e, 16]),
        // rbp saved, cfa by rsp; then rbp saved below sp, as CFI says in epilogues.
        fde(4, &[0x0e, 24, 0x86, 3]),
        fde(5, &[0x86, 3]),
        OUTERMOST,
    ];
    let modules = module(&entries, true);
    let mut random = Random(42);
    let (mut reusing, mut walking) = (Unwinder::new(8), Unwinder::new(8));
    let memory = tree_memory(2_000_000);
    let tree = StackTree::new(&memory);
    const WORDS: u64 = 96;
    let pick = |random: &mut Random, at: u64| match random.below(40) {
        0 | 1 => pc(9, 1),
        2 => 0,
        // Above the word: a frame pointer.
        3..7 => STACK + 8 * (at + random.below(12)),
        _ => pc([0, 0, 0, 0, 3, 3, 4, 1, 2, 5][random.below(10) as usize], 1 + random.below(3)),
    };
    let mut differing = 0;
    for _ in 0..300 {
        let words: Vec<u64> = (0..WORDS).map(|at| pick(&mut random, at)).collect();
        let mut space = Space::new(&words);
        let mut last = 0;
        for _ in 0..100 {
            let words = space.stack.get_mut(&STACK).expect("the stack");
            for _ in 0..random.below(3) {
                let at = random.below(WORDS);
                words[at as usize] = pick(&mut random, at);
            }
            let limit = [4, 12, 200][random.below(3) as usize];
            let sp = STACK + 16 + 8 * random.below(3);
            let regs = regs(pc(0, random.below(2)), sp, sp + 8 * random.below(2));
            let id = reusing.stack(&modules, &regs, &space, &tree, limit, |_| {});
            walking.forget();
            assert_eq!(walking.stack(&modules, &regs, &space, &tree, limit, |_| {}), id);
            differing += u64::from(id != last);
            last = id;
        }
    }
    let Counters { frames, reused, .. } = reusing.counters();
    assert!(differing > 20_000 && reused > 3_000 && frames > 80_000, "{differing} {reused} {frames}");
    assert_eq!(walking.counters().reused, 0);
}

#[test]
fn reuse_sees_what_is_not_a_return_address() {
    let drap = fde(2, &[0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0]);
    // cfa = *(rsp + 8) + 8: hand-written assembly that keeps its old stack pointer.
    let kept_sp = fde(3, &[0x0f, 5, 0x77, 8, 0x06, 0x23, 8]);
    let modules = module(&[LEAF, FRAME, drap, kept_sp, OUTERMOST], true);
    let memory = tree_memory(1000);
    let tree = StackTree::new(&memory);
    let mut unwinder = Unwinder::new(8);
    // The stack, and the address of its outermost frame.
    let mut check = |words: &[u64], rbp: u64, outermost: u64| {
        let space = Space::new(words);
        let id = unwinder.stack(&modules, &regs(pc(0, 0), STACK, rbp), &space, &tree, 32, |_| {});
        let mut node = tree.node(id).expect("a stack");
        while node.parent != 0 {
            node = tree.node(node.parent).expect("its caller");
        }
        assert_eq!(node.address, outermost - BIAS);
    };
    // The word that holds the cfa moves to another return address.
    let realigned = |cfa| [pc(2, 9), 0, cfa, 0, pc(9, 1), pc(9, 2), 0];
    check(&realigned(STACK + 40), STACK + 24, pc(9, 1));
    check(&realigned(STACK + 48), STACK + 24, pc(9, 2));
    // The same in a frame that is evaluated in full.
    let kept = |sp| [pc(3, 9), 0, sp, 0, pc(9, 1), pc(9, 2), 0];
    check(&kept(STACK + 32), 0, pc(9, 1));
    check(&kept(STACK + 40), 0, pc(9, 2));
    // A stack that ended at its bounds, which grow.
    let cut = [pc(1, 9), 0, 0, 0, pc(9, 1), 0];
    check(&cut[..4], STACK + 24, pc(1, 9));
    check(&cut, STACK + 24, pc(9, 1));
}

#[test]
fn bp_matters_only_where_a_rule_reads_it() {
    // rbp saved at the cfa - 16, the cfa by rsp: the caller's rbp is whatever the word holds.
    let saves = fde(4, &[0x0e, 24, 0x86, 2]);
    let modules = module(&[LEAF, FRAME, saves, OUTERMOST], true);
    let memory = tree_memory(1000);
    let tree = StackTree::new(&memory);
    // Frames reused of the second of two stacks with these words and frame pointers.
    let reused = |words: [&[u64]; 2], bp: [u64; 2]| {
        let mut unwinder = Unwinder::new(8);
        let mut ids = [0; 2];
        for ((words, bp), id) in words.into_iter().zip(bp).zip(&mut ids) {
            let space = Space::new(words);
            *id = unwinder.stack(&modules, &regs(pc(0, 0), STACK, bp), &space, &tree, 32, |_| {});
        }
        assert_eq!(ids[0], ids[1]);
        unwinder.counters().reused
    };
    let leaves = [pc(0, 9), pc(0, 9), pc(9, 1)];
    assert_eq!(reused([&leaves, &leaves], [1, 2]), 4);
    // In function 4 the word above the return address is nobody's frame pointer.
    let saving = |bp| [pc(0, 9), pc(4, 9), 7, bp, pc(9, 1), 0];
    assert_eq!(reused([&saving(1), &saving(2)], [3, 4]), 4);
    // Function 1 finds its frame by rbp, which function 4 below it restores.
    let chain = |bp, unused| [pc(4, 9), unused, bp, pc(1, 9), 8, 9, pc(9, 1), 0];
    let at = |words: &[u64; 8]| reused([words, &chain(STACK + 40, 5)], [1, 2]);
    assert_eq!(at(&chain(STACK + 40, 5)), 4);
    assert_eq!(at(&chain(STACK + 40, 6)), 4);
}

/// Tables that are leaked, since modules want them so, and taken back.
struct Corrupt {
    eh_frame: &'static [u8],
    hdr: &'static [u8],
}

impl Corrupt {
    fn new(random: &mut Random, eh_frame: &[u8], hdr: &[u8], flips: u64) -> Corrupt {
        let (mut eh_frame, mut hdr) = (eh_frame.to_vec(), hdr.to_vec());
        for _ in 0..flips {
            let bytes = if random.below(6) == 0 { &mut hdr } else { &mut eh_frame };
            let bit = random.below(bytes.len() as u64 * 8);
            bytes[bit as usize / 8] ^= 1 << (bit % 8);
        }
        // Cut short now and then.
        if random.below(8) == 0 {
            eh_frame.truncate(random.below(eh_frame.len() as u64) as usize);
        }
        Corrupt { eh_frame: eh_frame.leak(), hdr: hdr.leak() }
    }
}

impl Drop for Corrupt {
    fn drop(&mut self) {
        for bytes in [self.eh_frame, self.hdr] {
            // SAFETY: leaked by `new`, as a boxed slice of this length; the modules that used it are gone.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(bytes).cast_mut()) });
        }
    }
}

/// Walks from random pcs of a module over a random stack, with corrupt tables.
fn flip_bits(rounds: u64, functions: u64, eh_frame: &[u8], hdr: &[u8], seed: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut frames_seen, mut nodes) = (0, 0);
    let mut unwinder = Unwinder::new(8);
    let mut modules = Modules::new();
    for round in 1..=rounds {
        let flips = 1 + random.below(3);
        let corrupt = Corrupt::new(&mut random, eh_frame, hdr, flips);
        let section = Section { avma: EH_FRAME, bytes: corrupt.eh_frame };
        let hdr = Section { avma: HDR, bytes: corrupt.hdr };
        let range = MODULE..MODULE + 0x30_0000;
        let module = if random.below(3) == 0 {
            Module { id: 1, avma: range, bias: 0, eh_frame_hdr: None, eh_frame: Some(section) }
        } else {
            Module::with_segment(1, range, 0, hdr, section)
        };
        modules.add(module).expect("one module");
        let pick = |random: &mut Random| match random.below(4) {
            0 => random.next(),
            1 => STACK + 8 * random.below(64),
            _ => MODULE + random.below(functions * 4096),
        };
        let words: Vec<u64> = (0..64).map(|_| pick(&mut random)).collect();
        let code: Vec<u8> = (0..8192).map(|_| random.next() as u8).collect();
        let space = Space::new(&words).with_code(MODULE, &code);
        let memory = tree_memory(200);
        let tree = StackTree::new(&memory);
        unwinder.forget();
        for _ in 0..16 {
            let mut gpr = [0; 16];
            gpr.fill_with(|| pick(&mut random));
            // Now and then unaligned.
            gpr[4] = STACK + random.below(400) / 8 * 8 + random.below(30) / 29;
            let regs = Regs::from_encoding_order(MODULE + random.below(functions * 4096), &gpr);
            let mut frames = FrameBuf::<32>::new();
            unwinder.walk(&modules, &regs, &space, &mut frames);
            frames_seen += frames.frames().len() as u64;
            let id = unwinder.stack(&modules, &regs, &space, &tree, 32, |_| nodes += 1);
            let again = unwinder.stack(&modules, &regs, &space, &tree, 32, |_| nodes += 1);
            assert_eq!(id, again, "round {round}");
        }
        assert!(modules.remove(1));
    }
    (frames_seen, nodes)
}

#[test]
fn corrupt_tables_never_panic() {
    let entries = [
        LEAF,
        FRAME,
        fde(2, &[0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0]),
        fde(3, &[0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22]),
        Fde { function: 4, signal: true, instructions: RESTORER },
        fde(5, &[0x14, 6, 1, 0x16, 7, 2, 0x77, 24, 0x09, 16, 12]),
        fde(6, &[0x0a, 0x41, 0x0e, 16, 0x48, 0x0b, 0x2e, 8, 0x05, 3, 2, 0x12, 6, 2, 0x11, 3, 0x7e]),
        fde(7, &[0x0c, 3, 16, 0x08, 6, 0xc3, 0x06, 6]),
        OUTERMOST,
    ];
    let (eh_frame, hdr) = tables(&entries);
    let (frames, nodes) = flip_bits(4000, 10, &eh_frame, &hdr, 0x5eed);
    assert!(frames > 70_000 && nodes > 50_000, "{frames} {nodes}");
}

/// The tables of this test program itself, with flips in the entries that are used.
#[test]
fn corrupt_real_tables_never_panic() {
    let program = std::fs::read("/proc/self/exe").expect("own program");
    let word = |at: usize| u64::from_le_bytes(program[at..at + 8].try_into().expect("8 bytes")) as usize;
    let half = |at: usize| i32::from_le_bytes(program[at..at + 4].try_into().expect("4 bytes"));
    let count = usize::from(program[56]);
    let header =
        (0..count).map(|n| word(32) + 56 * n).find(|&at| half(at) == 0x6474_e550).expect("PT_GNU_EH_FRAME");
    let (hdr_at, hdr_size) = (word(header + 8), word(header + 32));
    // `.eh_frame` lies as far from `.eh_frame_hdr` in the file as in memory: they share a segment.
    let eh_frame_at = hdr_at + 4 + half(hdr_at + 4) as usize;
    let entries = half(hdr_at + 8) as u64;
    let (hdr, eh_frame) = (&program[hdr_at..hdr_at + hdr_size], &program[eh_frame_at..]);
    let eh_frame = &eh_frame[..eh_frame.len().min(1 << 20)];
    let eh_frame_avma = HDR + (eh_frame_at - hdr_at) as u64;
    // Start of a function, and where its FDE lies in `.eh_frame`.
    let entry = |n: u64| {
        let at = hdr_at + 12 + 8 * n as usize;
        (HDR.wrapping_add(half(at) as u64), half(at + 4) as usize - (eh_frame_at - hdr_at))
    };
    let words: Vec<u64> = (0..64).map(|n| entry(n * entries / 64).0 + 20).collect();
    let space = Space::new(&words);
    let mut random = Random(99);
    let (mut with_flips, mut without) = (0, 0);
    for round in 0..600 {
        let picked: Vec<(u64, usize)> = (0..8).map(|_| entry(random.below(entries))).collect();
        let mut bytes = eh_frame.to_vec();
        if round % 2 == 0 {
            for &(_, fde) in &picked {
                for _ in 0..1 + random.below(4) {
                    if let Some(byte) = bytes.get_mut(fde + random.below(48) as usize) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
        }
        let corrupt = Corrupt { eh_frame: bytes.leak(), hdr: hdr.to_vec().leak() };
        let section = Section { avma: eh_frame_avma, bytes: corrupt.eh_frame };
        let hdr = Section { avma: HDR, bytes: corrupt.hdr };
        let mut modules = Modules::new();
        modules.add(Module::with_segment(1, HDR..HDR + (1 << 30), 0, hdr, section)).expect("one module");
        for &(start, _) in &picked {
            let mut frames = FrameBuf::<32>::new();
            let start = start + random.below(40);
            Unwinder::new(8).walk(&modules, &regs(start, STACK, STACK + 16), &space, &mut frames);
            let counter = if round % 2 == 0 { &mut with_flips } else { &mut without };
            *counter += frames.frames().len();
        }
    }
    assert!(without > 4000 && with_flips > 2400 && with_flips < without, "{with_flips} {without}");
}
