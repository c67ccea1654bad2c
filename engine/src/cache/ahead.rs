//! Whether status flags are live where a block's end leads: where they are not, checks and counts may change them.
//!
//! No compiler keeps a flag across a return, but code in assembly may. It shows at the call: what is behind it reads a flag
//! that it has not set. From the first such call on, which is seen before it is made, flags live across returns. Nor does one
//! pass a flag to a function that it does not know, or through a linkage table, where lazy binding would lose it.

use super::{Cache, Full, Peek};
use translate::{Block, Incoming, incoming_flags};

/// Enough for most: functions begin with pushes and moves, then change the stack pointer.
const AHEAD: usize = 64;

impl Cache {
    /// Looks at what the block leads to. Returns the range that it then depends on.
    ///
    /// # Errors
    /// A function returns a flag: what has been translated took for granted that none does. The cache has to be emptied.
    pub(super) fn look_ahead(
        &mut self,
        block: &mut Block<'_>,
        peek: Peek<'_>,
    ) -> Result<Option<(u64, u64)>, Full> {
        if !self.config.counts() && self.config.check_stubs.is_none() {
            return Ok(None);
        }
        let mut bytes = [0; AHEAD];
        let mut look = |at| {
            let length = peek(at, &mut bytes);
            (incoming_flags(&bytes[..length], at), at + length as u64)
        };
        if let Some(behind) = block.returns_to()
            && !self.flags_are_returned
        {
            let known = block.bytes_behind();
            let mut found = incoming_flags(known, behind);
            if found == Incoming::Unknown && known.len() < AHEAD {
                found = look(behind).0;
            }
            if found == Incoming::Read {
                self.flags_are_returned = true;
                if !self.fragments.is_empty() {
                    self.is_stale = true;
                    return Err(Full);
                }
            }
        }
        if block.ends_function() && !self.flags_are_returned {
            block.set_flags_dead_at_end();
        }
        if block.passes_no_flags() {
            // Not so where one is obviously awaited.
            let likely = block.likely_leads_to().map(|target| look(target).0);
            if !matches!(likely, Some(Incoming::Read | Incoming::Returned)) {
                block.set_flags_dead_at_end();
            }
            return Ok(None);
        }
        let Some(target) = block.leads_to() else { return Ok(None) };
        let (found, end) = look(target);
        let dead = match found {
            Incoming::Overwritten | Incoming::Linked => true,
            Incoming::Returned => !self.flags_are_returned,
            Incoming::Read | Incoming::Unknown => false,
        };
        if !dead {
            return Ok(None);
        }
        block.set_flags_dead_at_end();
        Ok(Some((target, end)))
    }
}
