//! The wording of findings: the plain-English line and the line in Valgrind's words.
//!
//! Both are single lines without a terminator. Programs and people search for Valgrind's line, so that it is never
//! changed; the plain line may be. Not here: layout.

use crate::classify::{HEURISTICS, State};
use crate::findings::Listed;
use crate::records::Count;
use report::format::{counted, grouped};
use report::stack::Frame;

fn allocated(user: Option<&Frame<'_>>) -> String {
    match user {
        Some(frame) if frame.function.is_empty() => format!("allocated by {}", frame.place()),
        Some(frame) => format!("allocated in {}", frame.place()),
        None => "allocated at an unknown place".to_owned(),
    }
}

/// `128 bytes`, `384 bytes in 3 blocks`.
pub(crate) fn amount(count: Count) -> String {
    let bytes = counted(count.bytes, "byte", "bytes");
    match count.blocks {
        1 => bytes,
        blocks => format!("{bytes} in {} blocks", grouped(blocks)),
    }
}

/// `16 bytes allocated in f (a.c:3)`.
pub(crate) fn amount_from(count: Count, user: Option<&Frame<'_>>) -> String {
    format!("{} {}", amount(count), allocated(user))
}

/// What happened, in plain English, with the first frame of the user's own code.
pub(crate) fn plain(listed: &Listed<'_>) -> String {
    let record = &listed.record;
    let subject = amount_from(Count { bytes: record.direct, blocks: record.blocks }, listed.user.as_ref());
    let one = record.direct == 1 && record.blocks == 1;
    let (is, was) = if one { ("is", "was") } else { ("are", "were") };
    match record.kind {
        State::Definite => {
            let mut text = format!("{subject} {is} never freed");
            if record.indirect > 0 {
                let them = if record.blocks == 1 { "the block keeps" } else { "they keep" };
                text += &format!(", nor are {} that {them}", counted(record.indirect, "byte", "bytes"));
            }
            text + &cycle(record.in_cycle, record.blocks, record.cycle_blocks)
        }
        State::Indirect => format!("{subject} {is} kept only by blocks that are never freed"),
        State::Possible => {
            format!(
                "{subject} may be lost: only pointers into the middle of a block lead to {}",
                them(record.blocks)
            )
        }
        State::Reachable => {
            let mut text =
                format!("{subject} {was} not freed, but the program still points to {}", them(record.blocks));
            let names: Vec<_> = (0..HEURISTICS.names.len())
                .filter(|i| record.heuristics >> i & 1 == 1)
                .map(|i| HEURISTICS.names[i])
                .collect();
            if !names.is_empty() {
                text += &format!(" (by the heuristic {})", names.join(" and "));
            }
            text
        }
    }
}

fn them(blocks: u64) -> &'static str {
    if blocks == 1 { "it" } else { "them" }
}

fn cycle(in_cycle: u64, blocks: u64, cycle_blocks: u64) -> String {
    let size = grouped(cycle_blocks);
    let some = grouped(in_cycle);
    match (in_cycle, cycle_blocks) {
        (0, _) => String::new(),
        (1, 1) if blocks == 1 => ": the block points to itself".to_owned(),
        (1, _) if blocks == 1 => {
            format!(": the block is in a cycle of {size} blocks that point to each other")
        }
        (_, 1) if in_cycle == blocks => ": each block points to itself".to_owned(),
        (_, 1) => format!(": {some} of them point to themselves"),
        _ if in_cycle == blocks => {
            format!(": each is in a cycle of at most {size} blocks that point to each other")
        }
        _ => format!(": {some} of them are in cycles of at most {size} blocks that point to each other"),
    }
}

/// Valgrind's words for what became of blocks.
pub(crate) fn valgrind_kind(kind: State) -> &'static str {
    match kind {
        State::Definite => "definitely lost",
        State::Indirect => "indirectly lost",
        State::Possible => "possibly lost",
        State::Reachable => "still reachable",
    }
}

/// `88 (8 direct, 80 indirect) bytes in 1 blocks are definitely lost in loss record 13 of 14`.
pub(crate) fn valgrind(listed: &Listed<'_>, records: usize) -> String {
    let record = &listed.record;
    let bytes = if record.indirect > 0 {
        format!(
            "{} ({} direct, {} indirect)",
            grouped(record.bytes()),
            grouped(record.direct),
            grouped(record.indirect)
        )
    } else {
        grouped(record.direct)
    };
    format!(
        "{bytes} bytes in {} blocks are {} in loss record {} of {}",
        grouped(record.blocks),
        valgrind_kind(record.kind),
        grouped(record.number as u64),
        grouped(records as u64)
    )
}
