//! The form of one run again, from its code, for whoever has nothing but that and the logs.
//!
//! What always holds: where a run ends is decided by nothing that lies outside of it, so its form is the same as in the
//! block that it was translated in. Code that is no single run has no form. Not here: how runs are planned (`plan`).

use super::form::Form;
use super::plan::AccessPlan;
use crate::decode::{Block, Limits};
use crate::operand::Tools;
use crate::request;
use alloc::vec::Vec;

/// More bytes than any run has.
const TOO_MANY: usize = 4096;

/// Plans runs from their code.
pub struct Planner {
    plan: AccessPlan,
    tools: Tools,
}

impl Default for Planner {
    fn default() -> Planner {
        Planner { plan: AccessPlan::new(), tools: Tools::new() }
    }
}

impl Planner {
    /// The form of the run that begins at `start` and is all of this code; none, if that is not a run.
    pub fn form(&mut self, start: u64, code: &[u8]) -> Option<Form> {
        let end = start.checked_add(code.len() as u64)?;
        if code.len() >= TOO_MANY {
            return None;
        }
        // What might be the beginning of a request is seen not to be one.
        let mut bytes = Vec::from(code);
        bytes.resize(code.len() + request::BYTES, 0);
        let limits = Limits { instructions: code.len(), segments: 1, checked: false };
        let mut block = Block::decode(&bytes, start, limits);
        block.cut(end);
        self.plan.plan(&block, false, &mut self.tools);
        let mut runs = self.plan.take().into_iter();
        let (form, _) = runs.next()?;
        (form.end == end && runs.next().is_none()).then_some(form)
    }
}
