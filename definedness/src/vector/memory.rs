//! Masked moves, gathers and scatters: elements that the mask excludes are not touched.
//!
//! A mask bit that is undefined is reported and then taken as it is.

use crate::operand::Step;
use crate::state::Access;
use crate::wide::{Wide, ZERO};
use iced_x86::{Mnemonic, Register};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Vmaskmovps | Vpmaskmovd => masked(s, 32),
        Vmaskmovpd | Vpmaskmovq => masked(s, 64),
        Maskmovdqu | Vmaskmovdqu | Maskmovq => masked_bytes(s),
        Vgatherdps | Vpgatherdd => gather(s, 32, 32),
        Vgatherqps | Vpgatherqd => gather(s, 32, 64),
        Vgatherdpd | Vpgatherdq => gather(s, 64, 32),
        Vgatherqpd | Vpgatherqq => gather(s, 64, 64),
        Vscatterdps | Vpscatterdd => scatter(s, 32, 32),
        Vscatterqps | Vpscatterqd => scatter(s, 32, 64),
        Vscatterdpd | Vpscatterdq => scatter(s, 64, 32),
        Vscatterqpd | Vpscatterqq => scatter(s, 64, 64),
        _ => return false,
    }
    true
}

/// Lanes whose top mask bit is set.
fn chosen(s: &mut Step<'_>, mask: &Wide, width: u32, count: usize) -> u64 {
    let top = |lane: usize| mask.lane(lane, width).field(width - 1, 1);
    s.report_mask((0..count).any(|lane| top(lane).v != 0));
    s.origin = 0;
    (0..count).filter(|&lane| top(lane).a != 0).map(|lane| 1 << lane).sum()
}

fn masked(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let element = width as usize / 8;
    let count = size / element;
    let mask = s.wide(1, size);
    let lanes = chosen(s, &mask, width, count);
    let store = s.is_memory(0);
    let address = if lanes == 0 {
        0
    } else if store {
        s.address(0, size, Access::Store)
    } else {
        s.address(2, size, Access::Load)
    };
    let mut r = if store { s.wide(2, size) } else { ZERO };
    for lane in (0..count).filter(|lane| lanes >> lane & 1 != 0) {
        let at = lane * element..(lane + 1) * element;
        let place = address.wrapping_add(at.start as u64);
        if store {
            s.store(place, &r.v[at]);
        } else {
            s.load_v(place, &mut r.v[at]);
        }
    }
    if !store {
        s.write_wide(0, &r, size);
    }
}

/// Bytes of operand 1 to where rdi points, by the mask in operand 2.
fn masked_bytes(s: &mut Step<'_>) {
    let size = s.length();
    let mask = s.wide(2, size);
    let lanes = chosen(s, &mask, 8, size);
    if lanes == 0 {
        return;
    }
    let address = s.address(0, size, Access::Store);
    let data = s.wide(1, size);
    for lane in (0..size).filter(|lane| lanes >> lane & 1 != 0) {
        s.store(address.wrapping_add(lane as u64), &data.v[lane..=lane]);
    }
}

/// The address of an element, reported if base or index are undefined.
fn element_address(s: &mut Step<'_>, op: u32, lane: usize, data: u32, index: u32, access: Access) -> u64 {
    let register = s.insn.memory_index();
    let v = s.registers.vector[register.number()];
    let bit = lane * index as usize;
    let undefined = v[bit / 64] >> (bit % 64) & crate::bits::ones(index) != 0;
    if undefined {
        let origin = s.registers.origin.vector[register.number()];
        s.report_address(access, data as usize / 8, origin);
    }
    let base = s.insn.memory_base();
    if base != Register::None && !base.is_ip() {
        let number = base.number();
        // Once is enough for the base.
        if s.registers.gpr[number] & crate::bits::ones(base.size() as u32 * 8) != 0 && lane == 0 {
            let origin = s.registers.origin.gpr[number];
            s.report_address(access, data as usize / 8, origin);
        }
    }
    s.raw_address(op, lane)
}

fn count(s: &Step<'_>, register: Register, data: u32, index: u32) -> usize {
    let indexes = s.insn.memory_index().size() * 8 / index as usize;
    indexes.min(register.size() * 8 / data as usize)
}

fn gather(s: &mut Step<'_>, data: u32, index: u32) {
    let destination = s.register(0);
    let size = destination.size();
    let n = count(s, destination, data, index);
    let masked_by_k = s.insn.has_op_mask();
    let lanes = if masked_by_k {
        let mask = s.write_mask().bits.cut(n as u32);
        s.report_mask(mask.v != 0);
        mask.a
    } else {
        let mask = s.wide(2, size);
        chosen(s, &mask, data, n)
    };
    s.origin = 0;
    let old = s.wide(0, size);
    let element = data as usize / 8;
    let mut r = ZERO;
    for lane in 0..n {
        let at = lane * element..(lane + 1) * element;
        if lanes >> lane & 1 == 0 {
            r.v[at.clone()].copy_from_slice(&old.v[at]);
            continue;
        }
        let address = element_address(s, 1, lane, data, index, Access::Load);
        s.load_v(address, &mut r.v[at]);
    }
    s.write_wide(0, &r, size);
    // The mask ends up all clear.
    if masked_by_k {
        s.write_register(s.insn.op_mask(), 0);
    } else {
        s.write_wide(2, &ZERO, size);
    }
}

fn scatter(s: &mut Step<'_>, data: u32, index: u32) {
    let source = s.register(1);
    let n = count(s, source, data, index);
    let mask = s.write_mask().bits.cut(n as u32);
    s.report_mask(mask.v != 0);
    s.origin = 0;
    let w = s.wide(1, source.size());
    let element = data as usize / 8;
    for lane in (0..n).filter(|lane| mask.a >> lane & 1 != 0) {
        let address = element_address(s, 0, lane, data, index, Access::Store);
        s.store(address, &w.v[lane * element..(lane + 1) * element]);
    }
    s.write_register(s.insn.op_mask(), 0);
}
