//! Valgrind's client requests: what a program asks when it runs under us, with the numbers of `valgrind.h`,
//! `memcheck.h` and `callgrind.h`.
//!
//! A request that is not known, or that is about something not recorded (memory, without the shadow), is answered as
//! natively: with the default that the program gave. Not here: finding the sequence in code (`translate`), what blocks and
//! memory come to (`client_blocks`, `client_memory`), the scan (`leak`), what is collected (`windows`).

mod blocks;
pub mod call;
mod memory;
mod print;

use crate::context::{Thread, gpr};
use crate::state::Engine;
use crate::threads::stop::stop_world;
use crate::{code, counts, dispatch, errors, guest_mem, leak, shadow, stacks, windows};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use print::VaList;
use ring::record::{PartEnd, Reason};
use translate::Special;

/// Numbers of requests. Tools number theirs from two letters on.
mod number {
    pub(super) const RUNNING_ON_VALGRIND: u64 = 0x1001;
    pub(super) const DISCARD_TRANSLATIONS: u64 = 0x1002;
    pub(super) const CLIENT_CALL0: u64 = 0x1101;
    pub(super) const CLIENT_CALL3: u64 = 0x1104;
    pub(super) const COUNT_ERRORS: u64 = 0x1201;
    pub(super) const GDB_MONITOR_COMMAND: u64 = 0x1202;
    pub(super) const MALLOCLIKE_BLOCK: u64 = 0x1301;
    pub(super) const FREELIKE_BLOCK: u64 = 0x1302;
    pub(super) const CREATE_MEMPOOL: u64 = 0x1303;
    pub(super) const DESTROY_MEMPOOL: u64 = 0x1304;
    pub(super) const MEMPOOL_ALLOC: u64 = 0x1305;
    pub(super) const MEMPOOL_FREE: u64 = 0x1306;
    pub(super) const MEMPOOL_TRIM: u64 = 0x1307;
    pub(super) const MOVE_MEMPOOL: u64 = 0x1308;
    pub(super) const MEMPOOL_CHANGE: u64 = 0x1309;
    pub(super) const MEMPOOL_EXISTS: u64 = 0x130a;
    pub(super) const RESIZEINPLACE_BLOCK: u64 = 0x130b;
    pub(super) const PRINTF: u64 = 0x1401;
    pub(super) const PRINTF_BACKTRACE: u64 = 0x1402;
    pub(super) const PRINTF_BY_REFERENCE: u64 = 0x1403;
    pub(super) const PRINTF_BACKTRACE_BY_REFERENCE: u64 = 0x1404;
    pub(super) const STACK_REGISTER: u64 = 0x1501;
    pub(super) const MAP_IP_TO_SRCLOC: u64 = 0x1701;
    pub(super) const INTERNAL_PRINTF: u64 = 0x3103;
    pub(super) const INTERNAL_PRINTF_BY_REFERENCE: u64 = 0x3104;
    pub(super) const CHANGE_ERR_DISABLEMENT: u64 = 0x1801;
    const MEMCHECK: u64 = (b'M' as u64) << 24 | (b'C' as u64) << 16;
    pub(super) const MAKE_MEM_NOACCESS: u64 = MEMCHECK;
    pub(super) const MAKE_MEM_UNDEFINED: u64 = MEMCHECK + 1;
    pub(super) const MAKE_MEM_DEFINED: u64 = MEMCHECK + 2;
    pub(super) const DISCARD: u64 = MEMCHECK + 3;
    pub(super) const CHECK_MEM_IS_ADDRESSABLE: u64 = MEMCHECK + 4;
    pub(super) const CHECK_MEM_IS_DEFINED: u64 = MEMCHECK + 5;
    pub(super) const DO_LEAK_CHECK: u64 = MEMCHECK + 6;
    pub(super) const COUNT_LEAKS: u64 = MEMCHECK + 7;
    pub(super) const GET_VBITS: u64 = MEMCHECK + 8;
    pub(super) const SET_VBITS: u64 = MEMCHECK + 9;
    pub(super) const CREATE_BLOCK: u64 = MEMCHECK + 10;
    pub(super) const MAKE_MEM_DEFINED_IF_ADDRESSABLE: u64 = MEMCHECK + 11;
    pub(super) const COUNT_LEAK_BLOCKS: u64 = MEMCHECK + 12;
    pub(super) const ENABLE_ADDR_ERROR_REPORTING_IN_RANGE: u64 = MEMCHECK + 13;
    pub(super) const DISABLE_ADDR_ERROR_REPORTING_IN_RANGE: u64 = MEMCHECK + 14;
    const CALLGRIND: u64 = (b'C' as u64) << 24 | (b'T' as u64) << 16;
    pub(super) const DUMP_STATS: u64 = CALLGRIND;
    pub(super) const ZERO_STATS: u64 = CALLGRIND + 1;
    pub(super) const TOGGLE_COLLECT: u64 = CALLGRIND + 2;
    pub(super) const DUMP_STATS_AT: u64 = CALLGRIND + 3;
    pub(super) const START_INSTRUMENTATION: u64 = CALLGRIND + 4;
    pub(super) const STOP_INSTRUMENTATION: u64 = CALLGRIND + 5;
}

/// Ids of registered stacks; Valgrind's begin at 1 too, the main stack being 0.
static NEXT_STACK: AtomicU32 = AtomicU32::new(1);
/// Whether COUNT_LEAKS was remarked upon.
static COUNT_TOLD: AtomicU32 = AtomicU32::new(0);

/// Sees to one of Valgrind's sequences; the thread's pc is its first byte.
pub fn handle(engine: &'static Engine, thread: &mut Thread, what: Special) {
    let behind = thread.context.pc.wrapping_add(Special::BYTES);
    match what {
        // No function is ever replaced by one of the program's own wrappers, so none has an original.
        Special::ReplacedAddress => thread.context.regs[gpr::RAX] = 0,
        Special::CallOriginal => return call_original(thread, behind),
        _ => {
            let mut words = [0u8; 48];
            if guest_mem::read(thread.context.regs[gpr::RAX], &mut words) == words.len() {
                let arguments: [u64; 6] = core::array::from_fn(|i| {
                    words[8 * i..8 * i + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
                });
                let request = Request { engine, thread, arguments };
                match request.answer(behind) {
                    Answer::Value(value) => thread.context.regs[gpr::RDX] = value,
                    Answer::Default => (),
                    Answer::Elsewhere => return,
                }
            }
        }
    }
    thread.context.pc = behind;
}

/// `call *%rax`. An allocation function is still answered by the engine: its own heap would be unknown to the recording.
fn call_original(thread: &mut Thread, behind: u64) {
    let sp = thread.context.regs[gpr::RSP].wrapping_sub(8);
    if !guest_mem::write_u64(sp, behind) {
        const MAPERR: u32 = 1;
        // Not found when another signal came first: the request is made again.
        let _ = dispatch::fault(thread, crate::signals::sig::SEGV, MAPERR, sp, None);
        return;
    }
    thread.context.regs[gpr::RSP] = sp;
    thread.context.pc = thread.context.regs[gpr::RAX];
}

/// What a request comes to.
enum Answer {
    /// This goes to rdx.
    Value(u64),
    /// What was in rdx stays.
    Default,
    /// The thread goes on elsewhere.
    Elsewhere,
}

struct Request<'a> {
    engine: &'static Engine,
    thread: &'a mut Thread,
    /// The number, then up to five arguments.
    arguments: [u64; 6],
}

impl Request<'_> {
    fn answer(mut self, behind: u64) -> Answer {
        use number as n;
        let [number, a, b, c, d, _] = self.arguments;
        match number {
            // Nested once, as in Valgrind. A program that asks chooses longer timeouts, no pools of its own, or checks
            // that it has for such tools: what its authors want under a replacement of Valgrind, too.
            n::RUNNING_ON_VALGRIND => Answer::Value(1),
            n::DISCARD_TRANSLATIONS => {
                code::discard(self.engine, a, a.saturating_add(b));
                Answer::Default
            }
            n::CLIENT_CALL0..=n::CLIENT_CALL3 => {
                let count = (number - n::CLIENT_CALL0) as usize;
                let arguments = [self.thread_number(), b, c, d];
                match call::begin(self.thread, a, &arguments[..=count], behind) {
                    true => Answer::Elsewhere,
                    false => Answer::Default,
                }
            }
            n::COUNT_ERRORS => Answer::Value(errors::count()),
            n::CHANGE_ERR_DISABLEMENT => {
                let disabled = &mut self.thread.errors_disabled;
                *disabled = if a == 1 { disabled.saturating_add(1) } else { disabled.saturating_sub(1) };
                Answer::Default
            }
            n::GDB_MONITOR_COMMAND => self.monitor(a),
            n::PRINTF | n::PRINTF_BY_REFERENCE | n::INTERNAL_PRINTF | n::INTERNAL_PRINTF_BY_REFERENCE => {
                self.print(a, b, false)
            }
            n::PRINTF_BACKTRACE | n::PRINTF_BACKTRACE_BY_REFERENCE => self.print(a, b, true),
            n::STACK_REGISTER => Answer::Value(u64::from(NEXT_STACK.fetch_add(1, Ordering::Relaxed))),
            n::MAP_IP_TO_SRCLOC => {
                // Names are the recorder's business; an empty string says that the line is not known.
                guest_mem::write(b, &[0]);
                Answer::Value(0)
            }
            n::DO_LEAK_CHECK => {
                self.leak_check();
                Answer::Value(0)
            }
            n::COUNT_LEAKS | n::COUNT_LEAK_BLOCKS => self.count_leaks([a, b, c, d]),
            n::MALLOCLIKE_BLOCK..=n::RESIZEINPLACE_BLOCK if self.engine.heap.get().is_some() => self.blocks(),
            n::MAKE_MEM_NOACCESS..=n::DISABLE_ADDR_ERROR_REPORTING_IN_RANGE if shadow::is_on() => {
                self.memory()
            }
            n::DUMP_STATS..=n::STOP_INSTRUMENTATION if counts::are_kept(self.engine) => {
                self.collection();
                Answer::Value(0)
            }
            _ => Answer::Default,
        }
    }

    /// Of what is executed, which is collected from here on.
    fn collection(&mut self) {
        use number as n;
        const LONGEST: usize = 500;
        let [number, name, ..] = self.arguments;
        let (engine, thread) = (self.engine, &mut *self.thread);
        match number {
            n::TOGGLE_COLLECT => windows::toggle(engine, thread),
            n::START_INSTRUMENTATION => windows::instrument(engine, thread, true),
            n::STOP_INSTRUMENTATION => windows::instrument(engine, thread, false),
            n::ZERO_STATS => windows::end_part(engine, thread, PartEnd::Zeroed, b""),
            n::DUMP_STATS_AT => {
                let name = guest_mem::read_string(name, LONGEST).unwrap_or_default();
                windows::end_part(engine, thread, PartEnd::Dumped, &name);
            }
            _ => windows::end_part(engine, thread, PartEnd::Dumped, b""),
        }
    }

    /// Valgrind numbers threads from 1, the first one, without gaps.
    fn thread_number(&self) -> u64 {
        let me: *const Thread = self.thread;
        let threads = self.engine.threads.lock();
        threads.iter().position(|thread| core::ptr::eq(thread, me)).map_or(1, |at| at as u64 + 1)
    }

    fn leak_check(&mut self) {
        // The child of a vfork is not stopped with its parent, whose memory this is.
        if !self.thread.foreign {
            let world = stop_world(self.engine);
            leak::snapshot(self.engine, self.thread, &world, Reason::Client);
        }
    }

    /// The engine does not classify: `vg-leaks` does.
    fn count_leaks(&mut self, results: [u64; 4]) -> Answer {
        for at in results {
            let _ = guest_mem::write_u64(at, 0);
        }
        if COUNT_TOLD.swap(1, Ordering::Relaxed) == 0 {
            self.remark(
                "VALGRIND_COUNT_LEAKS is answered with zeros while recording: ask vg-leaks --snapshot=N about the snapshots that VALGRIND_DO_LEAK_CHECK takes",
            );
        }
        Answer::Value(0)
    }

    fn remark(&mut self, text: &str) {
        if let Some(writer) = &mut self.thread.writer {
            writer.message(1, text.as_bytes());
        }
    }

    /// A command for Valgrind's gdbserver: 0 when it was one. Leak checks only.
    fn monitor(&mut self, command: u64) -> Answer {
        let command = guest_mem::read_string(command, 4096).unwrap_or_default();
        if !command.starts_with(b"leak_check") {
            return Answer::Value(1);
        }
        self.leak_check();
        Answer::Value(0)
    }

    /// Returns the number of bytes printed.
    fn print(&mut self, format: u64, list: u64, backtrace: bool) -> Answer {
        const LONGEST: usize = 8192;
        let Some(format) = guest_mem::read_string(format, LONGEST) else { return Answer::Value(0) };
        let Some(mut list) = VaList::read(list) else { return Answer::Value(0) };
        let mut text = print::format(&format, &mut list);
        let length = text.len() as u64;
        if backtrace {
            self.backtrace(&mut text);
        }
        if let Some(writer) = &mut self.thread.writer {
            writer.client_text(&text);
            writer.flush();
        }
        Answer::Value(length)
    }

    /// The stack as addresses in modules: names are not known here.
    fn backtrace(&mut self, text: &mut Vec<u8>) {
        let stack = stacks::here(self.engine, self.thread);
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        let modules = self.engine.modules.lock();
        for (place, (module, address)) in
            ["at", "by"].into_iter().chain(core::iter::repeat("by")).zip(self.engine.stacks.frames(stack))
        {
            let module = modules.iter().find(|known| known.id == module);
            let line = match module {
                Some(module) => alloc::format!(
                    "   {place} {:#x} ({}+{address:#x})\n",
                    address.wrapping_add(module.bias),
                    alloc::string::String::from_utf8_lossy(&module.path)
                ),
                None => alloc::format!("   {place} {address:#x}\n"),
            };
            text.extend_from_slice(line.as_bytes());
        }
    }
}
