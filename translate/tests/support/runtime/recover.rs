//! The guest's state wherever its thread is interrupted, by the rules of [`layout`].
//!
//! As the engine does it (`signals::recover` there).

use super::super::frames::{self, Innermost};
use super::super::puppet::{Regs, get_gprs};
use super::super::space::Space;
use super::{CHECK_STUBS, FLAGS, Runtime, State};
use translate::layout::{self, Fix, MapEntry};

impl Runtime {
    /// Where the check, or the look at a model, goes on in whose stub, or in the code that those share, `rip` lies.
    pub(super) fn resumes_at(&self, rip: u64) -> Option<u64> {
        let stubs = self.base() + CHECK_STUBS;
        if (stubs..stubs + self.checks.len() as u64 * layout::CHECK_STUB_BYTES).contains(&rip) {
            let code = self
                .region
                .bytes(rip - (rip - stubs) % layout::CHECK_STUB_BYTES, layout::CHECK_STUB_BYTES as usize);
            return Some(layout::check_resume(code.try_into().unwrap()));
        }
        let shared = self.stubs.store_fix(rip).is_some() || self.is_answered(rip);
        shared.then(|| self.slot(layout::CONTINUE))
    }

    /// Whether cache address `pc` lies in the switch between engine and cache, where the context holds the state
    /// or the dispatcher is about to see it, or in the code that searches for lines, which looks for what is pending itself.
    pub fn in_switch(&self, pc: u64) -> bool {
        self.at_dispatcher(pc)
            || (self.stubs.switch_start..self.stubs.switch_end).contains(&pc)
            || (self.stubs.access_start..self.stubs.access_end).contains(&pc) && !self.is_answered(pc)
    }

    /// Whether a thread that is interrupted there is where `CONTINUE` leads.
    fn is_answered(&self, pc: u64) -> bool {
        (self.stubs.access_epilogue..self.stubs.access_answered).contains(&pc)
    }

    /// Whether cache address `pc` lies in a fragment or prefix.
    pub fn in_cache(&self, pc: u64) -> bool {
        self.maps.iter().any(|(start, end, _)| (*start..=*end).contains(&pc))
    }

    /// The guest's state at an arbitrary stop, by the rules of [`layout`].
    pub fn recover(&self, space: &Space, regs: &Regs) -> State {
        let mut state = State {
            regs: get_gprs(regs),
            pc: regs.rip,
            flags: regs.eflags & FLAGS,
            fs_base: self.slot(layout::GUEST_FS),
            gs_base: self.slot(layout::GUEST_GS),
        };
        let mut in_stub = None;
        let stubs = self.base() + CHECK_STUBS;
        if (stubs..stubs + self.checks.len() as u64 * layout::CHECK_STUB_BYTES).contains(&state.pc) {
            let offset = (state.pc - stubs) % layout::CHECK_STUB_BYTES;
            let code = self.region.bytes(state.pc - offset, layout::CHECK_STUB_BYTES as usize);
            in_stub = Some(if offset < layout::CHECK_STUB_SAVED { Fix::NONE } else { Fix::SCRATCH_R11 });
            state.pc = layout::check_resume(code.try_into().unwrap());
        }
        if let Some(fix) = self.stubs.store_fix(state.pc) {
            in_stub = Some(fix);
            state.pc = self.slot(layout::CONTINUE);
        }
        if self.is_answered(state.pc) {
            state.pc = self.slot(layout::CONTINUE);
        }
        let entry = self.position(state.pc).unwrap_or_else(|| panic!("{:#x} is in no fragment", state.pc));
        state.pc = entry.guest;
        self.apply(space, &mut state, in_stub.unwrap_or(entry.fix));
        state
    }

    fn position(&self, pc: u64) -> Option<&MapEntry> {
        let (start, _, map) = self.maps.iter().find(|(start, end, _)| (*start..*end).contains(&pc))?;
        let offset = (pc - start) as u32;
        map.iter().rev().find(|entry| entry.cache <= offset)
    }

    /// The innermost frame at cache address `pc`, without what would have to be taken back there.
    pub fn innermost(&self, pc: u64) -> Innermost {
        let left = self.position(pc).and_then(|entry| entry.fix.left());
        frames::innermost(&self.memory, left, self.counted())
    }

    fn apply(&self, space: &Space, state: &mut State, fix: Fix) {
        let (log, homes) = (fix.log(), fix.homes());
        let fix = fix.without_log();
        let returned_to = |rsp: u64| space.region.u64(rsp.wrapping_sub(8));
        match fix {
            Fix::R11_TO_R11 => state.pc = state.regs[11],
            Fix::R11_TO_TARGET | Fix::RCX_R11_TO_TARGET | Fix::RCX_IN_R11_TO_TARGET => {
                state.pc = self.slot(layout::TARGET)
            }
            Fix::R11_TO_STACK | Fix::RCX_R11_TO_STACK | Fix::RCX_IN_R11_TO_STACK => {
                state.pc = returned_to(state.regs[4])
            }
            Fix::UNPUSH | Fix::UNPUSH_R11 => state.regs[4] = state.regs[4].wrapping_add(8),
            _ => (),
        }
        for &(place, register) in fix.scratch() {
            state.regs[register as usize] = self.slot(layout::SCRATCH + 8 * place as u32);
        }
        state.flags = fix.flags(state.flags, self.slot(layout::SCRATCH + 24));
        if fix.rcx_is_spilled() {
            state.regs[1] = self.slot(layout::SPILL);
        }
        if fix.rcx_is_in_r11() {
            state.regs[1] = state.regs[11];
        }
        if let Some(register) = fix.in_r11() {
            state.regs[register as usize] = self.slot(layout::R11);
        }
        if let Some(register) = fix.spilled() {
            state.regs[register as usize] = self.slot(layout::SPILL);
        }
        if let Some(rsi) = fix.string_source(state.regs[6], state.fs_base, state.gs_base) {
            state.regs[6] = rsi;
        }
        if let Some(register) = log {
            state.regs[register as usize] = self.slot(layout::LOG_HOME);
        }
        for (register, home) in homes.zip((layout::HOMES..).step_by(8)) {
            state.regs[register as usize] = self.slot(home);
        }
    }
}
