//! Which of all that is executed is collected: the options, and the parts in which the engine tells it.
//!
//! Always holds: what a thread told in a part is in the trace before the part's end. Not here: opening and closing the windows
//! (`engine::windows`).

use crate::cli::{Flag, yes_no};
use crate::decode::{Recording, Stream, strings};
use ring::record::{PartEnd, Record, halves};
use ring::shared::{Control, EVENTS_BLOCKS, FLAG_COLLECT_LATER, FLAG_INSTRUMENT_LATER};
use schema::{Bytes, Severity};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

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

    /// Switch collection where FUNCTION is entered, and where it has been left; may be repeated. A name in the symbol table, or
    /// demangled, of C++ with or without parameters; "*" stands for any characters, "?" for one
    #[arg(long, value_name = "FUNCTION")]
    pub toggle_collect: Vec<OsString>,
}

impl Options {
    /// # Errors
    /// Something was asked for that goes with other kinds of events alone, of which these are recorded.
    pub(crate) fn check(&self, events: u32) -> anyhow::Result<()> {
        anyhow::ensure!(
            events & EVENTS_BLOCKS != 0 || self.changed().is_empty(),
            "{}: executed code is counted with --events=instr or --events=blocks only; ask for that, too",
            self.changed().join(" ")
        );
        anyhow::ensure!(
            self.toggle_collect.iter().all(|name| !name.is_empty()),
            "--toggle-collect=: give the name of a function"
        );
        Ok(())
    }

    /// Tells the engines, before the first one starts.
    ///
    /// # Errors
    /// Too many functions, or too long names.
    pub(crate) fn set_up(&self, control: &Control) -> anyhow::Result<()> {
        let written = control.toggles.write(self.toggle_collect.iter().map(|name| name.as_bytes()));
        anyhow::ensure!(
            written,
            "--toggle-collect: at most {} functions, with {} bytes in all; a pattern may stand for many",
            ring::toggles::MOST,
            ring::toggles::BYTES
        );
        Ok(())
    }

    /// Tells of functions that were never entered.
    pub(crate) fn explain(&self, recording: &mut Recording, control: &Control) {
        let entered = control.toggles.entered();
        for (name, bit) in self.toggle_collect.iter().zip(0u32..) {
            if entered & 1 << bit == 0 {
                let text = format!(
                    "--toggle-collect={0}: {0} was never entered; either no function of that name has a symbol, or it is inlined, \
                     not called, or answered by the engine",
                    name.to_string_lossy()
                );
                let time = recording.now();
                recording.trace.remark(Severity::Warning, 0, 0, time, &text);
            }
        }
    }

    /// Whether threads collect from the start.
    fn collects(&self) -> bool {
        self.collect_atstart.map_or(self.toggle_collect.is_empty(), |flag| flag.0)
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
        list.extend(
            self.toggle_collect.iter().map(|name| format!("--toggle-collect={}", name.to_string_lossy())),
        );
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
            self.drop_costs(stream.process, stream.part);
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

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser as _;
    use ring::shared::{FLAG_COLLECT_LATER, FLAG_INSTRUMENT_LATER};

    fn parse(words: &[&str]) -> Cli {
        let all = ["vg-record", "--events=instr"].iter().chain(words).chain(&["p"]);
        Cli::try_parse_from(all).expect("parses")
    }

    #[test]
    fn collection_is_off_at_the_start_where_functions_switch_it() {
        let flags = |words: &[&str]| parse(words).windows.flags();
        assert_eq!(flags(&[]), 0);
        assert_eq!(flags(&["--toggle-collect=f"]), FLAG_COLLECT_LATER);
        assert_eq!(flags(&["--toggle-collect=f", "--collect-atstart=yes"]), 0);
        assert_eq!(
            flags(&["--collect-atstart=no", "--instr-atstart=no"]),
            FLAG_COLLECT_LATER | FLAG_INSTRUMENT_LATER
        );
        let cli = parse(&["--toggle-collect=f(int, char)", "--toggle-collect=g*"]);
        assert_eq!(cli.windows.changed(), ["--toggle-collect=f(int, char)", "--toggle-collect=g*"]);
    }

    #[test]
    fn there_has_to_be_something_to_collect() {
        assert!(parse(&["--toggle-collect=f"]).event_bits().is_ok());
        assert!(parse(&["--toggle-collect="]).event_bits().is_err());
        for option in ["--toggle-collect=f", "--collect-atstart=yes", "--instr-atstart=no"] {
            let cli = Cli::try_parse_from(["vg-record", "--events=alloc", option, "p"]).expect("parses");
            let says = cli.event_bits().unwrap_err().to_string();
            assert!(says.starts_with(option) && says.contains("--events=instr"), "{says}");
        }
    }
}
