//! One instruction of each kind, with registers whose values tell which were used.

use super::branch::{Artificial, Branch, artificial, branch};
use super::*;
use crate::layout::GUEST_FS;
use alloc::format;
use alloc::string::String;
use iced_x86::{Decoder, DecoderOptions};

/// General register number n holds (n + 1) * 1001: rax 1001, rcx 2002, rsp 5005, rbp 6006, rsi 7007, rdi 8008. Elements of 4
/// bytes of vectors are 16, -17, 18, -19 and so on; of mask registers every other bit is set.
struct Values;

impl Registers for Values {
    fn general(&self, number: u8) -> u64 {
        (u64::from(number) + 1) * 0x1001
    }

    fn base(&self, slot: u32) -> u64 {
        if slot == GUEST_FS { 0x7000_0000 } else { 0x6000_0000 }
    }

    fn vector(&self, _: u8, from: usize) -> u64 {
        let element = |lane: usize| (16 + lane as i32) * if lane.is_multiple_of(2) { 1 } else { -1 };
        u64::from(element(from / 4) as u32) | u64::from(element(from / 4 + 1) as u32) << 32
    }

    fn mask(&self, _: u8) -> u64 {
        0x5555_5555_5555_5555
    }
}

fn decoded(bytes: &[u8]) -> Instruction {
    let insn = Decoder::with_ip(64, bytes, 0x40_0000, DecoderOptions::NONE).decode();
    assert!(!insn.is_invalid() && insn.len() == bytes.len(), "{bytes:x?}");
    insn
}

fn listed(bytes: &[u8]) -> Vec<Reference> {
    let mut list = Vec::new();
    references(&decoded(bytes), &mut InstructionInfoFactory::new(), &mut list);
    list
}

/// Kind, size and address of each; `~`: not plain; `-`: not made with these values.
fn of(bytes: &[u8]) -> String {
    let each = listed(bytes).into_iter().map(|reference| {
        let mark = if reference.is_plain() { "" } else { "~" };
        let kind = match reference.kind {
            Kind::Read => 'r',
            Kind::Write => 'w',
            Kind::Modify => 'm',
        };
        let address = reference.address(&Values).map_or("-".into(), |address| format!("{address:x}"));
        format!("{mark}{kind}{} {address}", reference.size)
    });
    each.collect::<Vec<_>>().join(", ")
}

#[test]
fn operands_are_accesses_of_their_size() {
    // mov eax, [rdi+8]
    assert_eq!(of(&[0x8b, 0x47, 0x08]), "r4 8010");
    // mov [rdi+rcx*4], rax
    assert_eq!(of(&[0x48, 0x89, 0x04, 0x8f]), "w8 10010");
    // add [rdi], eax
    assert_eq!(of(&[0x01, 0x07]), "m4 8008");
    // cmp [rdi], eax
    assert_eq!(of(&[0x39, 0x07]), "r4 8008");
    // cmovs eax, [rdi]
    assert_eq!(of(&[0x0f, 0x48, 0x07]), "r4 8008");
    // mov rax, fs:[rcx+16]
    assert_eq!(of(&[0x64, 0x48, 0x8b, 0x41, 0x10]), "r8 70002012");
    // mov eax, [edi-0x100000]
    assert_eq!(of(&[0x67, 0x8b, 0x87, 0x00, 0x00, 0xf0, 0xff]), "r4 fff08008");
    // mov eax, [rip+0x100]
    assert_eq!(of(&[0x8b, 0x05, 0x00, 0x01, 0x00, 0x00]), "r4 400106");
}

#[test]
fn addresses_alone_are_none() {
    // lea rax, [rdi]
    assert_eq!(of(&[0x48, 0x8d, 0x07]), "");
    // nop dword ptr [rdi]
    assert_eq!(of(&[0x0f, 0x1f, 0x07]), "");
    // prefetcht0 [rdi]
    assert_eq!(of(&[0x0f, 0x18, 0x0f]), "");
    // clflush [rdi]
    assert_eq!(of(&[0x0f, 0xae, 0x3f]), "");
}

#[test]
fn the_stack() {
    // push rax
    assert_eq!(of(&[0x50]), "w8 4ffd");
    // push qword ptr [rsp+8]
    assert_eq!(of(&[0xff, 0x74, 0x24, 0x08]), "r8 500d, w8 4ffd");
    // pop qword ptr [rsp+8]
    assert_eq!(of(&[0x8f, 0x44, 0x24, 0x08]), "r8 5005, w8 5015");
    // pop rax
    assert_eq!(of(&[0x58]), "r8 5005");
    // pushfq
    assert_eq!(of(&[0x9c]), "w8 4ffd");
    // ret
    assert_eq!(of(&[0xc3]), "r8 5005");
    // ret 16
    assert_eq!(of(&[0xc2, 0x10, 0x00]), "r8 5005");
    // leave
    assert_eq!(of(&[0xc9]), "r8 6006");
    // enter 8, 0
    assert_eq!(of(&[0xc8, 0x08, 0x00, 0x00]), "w8 4ffd");
    // enter 8, 2
    assert_eq!(of(&[0xc8, 0x08, 0x00, 0x02]), "w8 4ffd, r8 5ffe, w8 4ff5, w8 4fed");
    // call .
    assert_eq!(of(&[0xe8, 0x00, 0x00, 0x00, 0x00]), "w8 4ffd");
    // call [rsp+8]
    assert_eq!(of(&[0xff, 0x54, 0x24, 0x08]), "r8 500d, w8 4ffd");
    // jmp [rax]
    assert_eq!(of(&[0xff, 0x20]), "r8 1001");
    // jmp rax
    assert_eq!(of(&[0xff, 0xe0]), "");
}

#[test]
fn exchanges() {
    // lock add [rdi], eax
    assert_eq!(of(&[0xf0, 0x01, 0x07]), "r4 8008, m4 8008");
    // xchg [rdi], eax
    assert_eq!(of(&[0x87, 0x07]), "r4 8008, m4 8008");
    // lock xadd [rdi], eax
    assert_eq!(of(&[0xf0, 0x0f, 0xc1, 0x07]), "r4 8008, m4 8008");
    // xadd [rdi], eax
    assert_eq!(of(&[0x0f, 0xc1, 0x07]), "m4 8008");
    // lock cmpxchg [rdi], ecx
    assert_eq!(of(&[0xf0, 0x0f, 0xb1, 0x0f]), "m4 8008");
    // cmpxchg16b [rdi]
    assert_eq!(of(&[0x48, 0x0f, 0xc7, 0x0f]), "m16 8008");
}

#[test]
fn strings() {
    // movsb
    assert_eq!(of(&[0xa4]), "r1 7007, w1 8008");
    // rep movsq
    assert_eq!(of(&[0xf3, 0x48, 0xa5]), "~r8 7007, ~w8 8008");
    // rep stosd
    assert_eq!(of(&[0xf3, 0xab]), "~w4 8008");
    // repe cmpsb
    assert_eq!(of(&[0xf3, 0xa6]), "~r1 8008, ~r1 7007");
    // repne scasb
    assert_eq!(of(&[0xf2, 0xae]), "~r1 8008");
    // rep lodsq
    assert_eq!(of(&[0xf3, 0x48, 0xad]), "r8 7007");
    // addr32 rep stosb
    assert_eq!(of(&[0x67, 0xf3, 0xaa]), "~w1 8008");
    // fs movsb
    assert_eq!(of(&[0x64, 0xa4]), "r1 70007007, w1 8008");
}

#[test]
fn tables_and_bits() {
    // xlatb
    assert_eq!(of(&[0xd7]), "~r1 4005");
    // bt [rdi], rax
    assert_eq!(of(&[0x48, 0x0f, 0xa3, 0x07]), "~r1 8208");
    // lock bts [rdi], eax
    assert_eq!(of(&[0xf0, 0x0f, 0xab, 0x07]), "~r1 8208, ~m1 8208");
    // bt ax, cx
    assert_eq!(of(&[0x66, 0x0f, 0xa3, 0xc8]), "w2 4ee5, ~r1 4ee5");
    // btc eax, ecx
    assert_eq!(of(&[0x0f, 0xbb, 0xc8]), "w4 4ee5, ~m1 4ee5, r4 4ee5");
    // bt dword ptr [rdi], 3
    assert_eq!(of(&[0x0f, 0xba, 0x27, 0x03]), "r4 8008");
}

#[test]
fn saved_state() {
    // fnstenv [rdi]
    assert_eq!(of(&[0xd9, 0x37]), "w28 8008");
}

#[test]
fn masks_and_elements() {
    // maskmovdqu xmm1, xmm2
    assert_eq!(of(&[0x66, 0x0f, 0xf7, 0xca]), "m16 8008");
    // vmaskmovps ymm1, ymm2, [rdi]
    assert_eq!(
        of(&[0xc4, 0xe2, 0x6d, 0x2c, 0x0f]),
        "~r4 -, ~r4 800c, ~r4 -, ~r4 8014, ~r4 -, ~r4 801c, ~r4 -, ~r4 8024"
    );
    // vmaskmovpd [rdi], xmm2, xmm1
    assert_eq!(of(&[0xc4, 0xe2, 0x69, 0x2f, 0x0f]), "~w8 8008, ~w8 8010");
    // vpgatherdd xmm1, [rdi+xmm2*4], xmm3
    assert_eq!(of(&[0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x97]), "~r4 5005, ~r4 7fc4, ~r4 5005, ~r4 7fbc");
    // vpgatherqd xmm1, [rdi+ymm2*8], xmm3
    assert_eq!(
        of(&[0xc4, 0xe2, 0x65, 0x91, 0x0c, 0xd7]),
        "~r4 5005, ~r4 ffffff6800008098, ~r4 5005, ~r4 ffffff48000080b8"
    );
    // vpgatherdq zmm1{k3}, [rdi+ymm2*8]
    assert_eq!(
        of(&[0x62, 0xf2, 0xfd, 0x4b, 0x90, 0x0c, 0xd7]),
        "~r8 8088, ~r8 -, ~r8 8098, ~r8 -, ~r8 80a8, ~r8 -, ~r8 80b8, ~r8 -"
    );
    // vpscatterdd [rdi+xmm2*4]{k3}, xmm1
    assert_eq!(of(&[0x62, 0xf2, 0x7d, 0x0b, 0xa0, 0x0c, 0x97]), "~w4 8048, ~w4 -, ~w4 8050, ~w4 -");
    // vmovdqu8 [rdi]{k1}, zmm1
    assert_eq!(of(&[0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x0f]), "w64 8008");
}

#[test]
fn pieces_of_operands() {
    // vpaddd zmm1, zmm2, dword ptr [rdi]{1to16}
    assert_eq!(of(&[0x62, 0xf1, 0x6d, 0x58, 0xfe, 0x0f]), "r4 8008");
    // vfmadd132pd xmm1, xmm2, [rdi]
    assert_eq!(of(&[0xc4, 0xe2, 0xe9, 0x98, 0x0f]), "r8 8008, r8 8010");
    // psrlw xmm1, [rdi]
    assert_eq!(of(&[0x66, 0x0f, 0xd1, 0x0f]), "r8 8008");
}

#[test]
fn branches_access_their_target() {
    // vmovddup ymm1, [rdi]
    assert_eq!(of(&[0xc5, 0xff, 0x12, 0x0f]), "r8 8008, r8 8018");
    // je .+2
    assert_eq!(of(&[0x74, 0x00]), "");
    // jrcxz .+2
    assert_eq!(of(&[0xe3, 0x00]), "");
    // loop .+2
    assert_eq!(of(&[0xe2, 0x00]), "");
    // call rax
    assert_eq!(of(&[0xff, 0xd0]), "w8 4ffd");
}

#[test]
fn registers_of_a_saved_state() {
    // fxsave [rdi]
    let list = of(&[0x0f, 0xae, 0x07]);
    assert!(
        list.starts_with("w160 8008, w8 8020, w16 80a8, w16 80b8") && list.ends_with("w16 8198"),
        "{list}"
    );
    // xsave [rdi]: eax asks for the upper halves of the registers, 1 << 2, or not.
    let list = listed(&[0x0f, 0xae, 0x27]);
    let count = |when| list.iter().filter(|reference| reference.when == when).count();
    assert_eq!([count(When::Always), count(When::Component(2)), count(When::Component(4))], [3, 16, 16]);
    assert_eq!(list[18].place, Place::Sum(Address::at(7, 576)));
    // xrstor [rdi] reads the header first.
    assert!(of(&[0x0f, 0xae, 0x2f]).starts_with("r8 8208, r8 8210, r8 8218, r160 8008, r8 8020"));
}

#[test]
fn rounds_go_on_by_count_and_by_zf() {
    let rounds = |bytes: &[u8]| match listed(bytes)[0].when {
        When::Round(rounds) => Some((rounds.narrow, rounds.while_zero)),
        _ => None,
    };
    // rep movsq; addr32 rep stosb; repe cmpsb; repne scasb; movsb; rep lodsq
    assert_eq!(rounds(&[0xf3, 0x48, 0xa5]), Some((false, None)));
    assert_eq!(rounds(&[0x67, 0xf3, 0xaa]), Some((true, None)));
    assert_eq!(rounds(&[0xf3, 0xa6]), Some((false, Some(true))));
    assert_eq!(rounds(&[0xf2, 0xae]), Some((false, Some(false))));
    assert_eq!(rounds(&[0xa4]), None);
    assert_eq!(rounds(&[0xf3, 0x48, 0xad]), None);
}

#[test]
fn no_round_without_a_count() {
    struct Zero;
    impl Registers for Zero {
        fn general(&self, number: u8) -> u64 {
            if number == 1 { 1 << 32 } else { 0 }
        }
        fn base(&self, _: u32) -> u64 {
            0
        }
        fn vector(&self, _: u8, _: usize) -> u64 {
            0
        }
        fn mask(&self, _: u8) -> u64 {
            0
        }
    }
    // rep stosb; addr32 rep stosb: only ecx is 0.
    assert_eq!(listed(&[0xf3, 0xaa])[0].address(&Zero), Some(0));
    assert_eq!(listed(&[0x67, 0xf3, 0xaa])[0].address(&Zero), None);
}

#[test]
fn kinds_of_branches() {
    let of = |bytes: &[u8]| branch(&decoded(bytes));
    // je; jrcxz; loop
    for bytes in [[0x74, 0x00], [0xe3, 0x00], [0xe2, 0x00]] {
        assert_eq!(of(&bytes), Some(Branch::Conditional));
    }
    // jmp rax; jmp [rax]; call rax
    for bytes in [[0xff, 0xe0], [0xff, 0x20], [0xff, 0xd0]] {
        assert_eq!(of(&bytes), Some(Branch::Indirect));
    }
    // ret; call; jmp; nop; syscall
    for bytes in [&[0xc3][..], &[0xe8, 0, 0, 0, 0], &[0xeb, 0], &[0x90], &[0x0f, 0x05]] {
        assert_eq!(of(bytes), None);
    }
}

#[test]
fn branches_that_only_valgrind_has() {
    let of = |bytes: &[u8]| artificial(&decoded(bytes));
    // lock add [rdi], eax; xchg [rdi], eax; lock xadd [rdi], eax
    for bytes in [&[0xf0, 0x01, 0x07][..], &[0x87, 0x07], &[0xf0, 0x0f, 0xc1, 0x07]] {
        assert_eq!(of(bytes), Some(Artificial::Exchange));
    }
    // rep movsb; repe cmpsb
    assert_eq!(of(&[0xf3, 0xa4]), Some(Artificial::Rounds));
    assert_eq!(of(&[0xf3, 0xa6]), Some(Artificial::ComparingRounds));
    // add [rdi], eax; xchg ecx, eax; xadd [rdi], eax; lock cmpxchg [rdi], ecx; movsb; repz ret
    for bytes in [
        &[0x01, 0x07][..],
        &[0x87, 0xc8],
        &[0x0f, 0xc1, 0x07],
        &[0xf0, 0x0f, 0xb1, 0x0f],
        &[0xa4],
        &[0xf3, 0xc3],
    ] {
        assert_eq!(of(bytes), None);
    }
}
