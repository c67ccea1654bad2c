//! Which of all that is executed is collected: the options, and the parts in which the engine tells it.
//!
//! Always holds: what a thread told in a part is in the trace before the part's end. Not here: opening and closing the windows
//! (`engine::windows`).

use crate::cli::{Flag, yes_no};
use crate::decode::{Recording, Stream, strings};
use ring::record::{PartEnd, Record, halves};
use ring::shared::{EVENTS_BLOCKS, FLAG_COLLECT_LATER, FLAG_INSTRUMENT_LATER};
use schema::Bytes;

/// The options.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Collect costs of executed code from the start, or only once the program asks for it (CALLGRIND_TOGGLE_COLLECT)
    /// [default: yes; no with --toggle-collect]
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub collect_atstart: Option<Flag>,

    /// The same for all threads at once, with CALLGRIND_START_INSTRUMENTATION and CALLGRIND_STOP_INSTRUMENTATION
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = yes_no, hide_default_value = true)]
    pub instr_atstart: Flag,
}

impl Options {
    /// # Errors
    /// Something was asked for that goes with other kinds of events alone, of which these are recorded.
    pub(crate) fn check(&self, events: u32) -> anyhow::Result<()> {
        anyhow::ensure!(
            events & EVENTS_BLOCKS != 0 || self.changed().is_empty(),
            "{}: executed code is counted with --events=calls or --events=blocks only; ask for that, too",
            self.changed().join(" ")
        );
        Ok(())
    }

    /// Whether threads collect from the start.
    fn collects(&self) -> bool {
        self.collect_atstart.is_none_or(|flag| flag.0)
    }

    /// `FLAG_*` bits of the control block.
    pub(crate) fn flags(&self) -> u32 {
        let later = |at_start: bool, flag| if at_start { 0 } else { flag };
        later(self.collects(), FLAG_COLLECT_LATER) | later(self.instr_atstart.0, FLAG_INSTRUMENT_LATER)
    }

    /// Those that differ from their defaults.
    pub(crate) fn changed(&self) -> Vec<String> {
        let mut list = Vec::new();
        if let Some(Flag(on)) = self.collect_atstart {
            list.push(format!("--collect-atstart={}", if on { "yes" } else { "no" }));
        }
        if !self.instr_atstart.0 {
            list.push("--instr-atstart=no".to_owned());
        }
        list
    }
}

impl Recording {
    /// A part ends for the thread of a ring.
    pub(crate) fn part_end(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let (ends, begins) = halves(record.word(2));
        let zeroed = record.word(3) == PartEnd::Zeroed as u64;
        if zeroed {
            self.drop_counts(stream.process, stream.thread, stream.part);
        }
        self.write_counts(stream.process, stream.thread, stream.part);
        self.end_contexts(stream, zeroed);
        let time = self.time(stream, record.word(1));
        if self.parts.insert((stream.process, ends)) {
            let name = Bytes(strings(record, 4).swap_remove(0));
            let end = schema::PartEnd { process: stream.process, part: ends, zeroed, time, name };
            self.trace.put(|writer| writer.part_end(&end));
        }
        stream.part = begins;
        true
    }
}
