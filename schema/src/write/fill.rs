//! Fills messages from the plain values of the model, one function per struct of `trace.capnp`.
//!
//! The `*_bytes` functions tell about how many bytes the contents take beyond a small fixed part; they only size the
//! memory. Lists fit into 32-bit lengths because the writer refuses messages above 4 MiB before it calls these.

use capnp::{data_list, text_list};

use crate::{codec::Stored, events::EventChunk, model::*, raw::trace_capnp as raw};

mod accesses;
mod code;
mod errors;

pub(super) use accesses::{access_log, access_mark, access_runs};
pub(super) use code::{
    code_lines, context_costs, contexts, costs, executions, jumps, part_end, place_bytes, places,
};
use code::{put_ends, put_field};
pub(super) use errors::{error_bytes, errors};

/// A byte string or text: pointer, contents, padding.
fn blob(length: usize) -> usize {
    16 + length
}

fn blobs<T>(items: &[T], length: impl Fn(&T) -> usize) -> usize {
    items.iter().map(|item| blob(length(item))).sum()
}

fn put_data(mut list: data_list::Builder<'_>, items: &[Bytes]) {
    for (i, item) in items.iter().enumerate() {
        list.set(i as u32, &item.0);
    }
}

fn put_text<'a>(mut list: text_list::Builder<'_>, items: impl Iterator<Item = &'a str>) {
    for (i, item) in items.enumerate() {
        list.set(i as u32, item);
    }
}

pub(super) fn header_bytes(header: &Header) -> usize {
    let Header { tool, argv, cwd, exe, options, machine, .. } = header;
    blobs(argv, |arg| arg.0.len())
        + blobs(options, String::len)
        + [tool.len(), cwd.0.len(), exe.0.len(), machine.host.len(), machine.kernel.len(), machine.cpu.len()]
            .map(blob)
            .iter()
            .sum::<usize>()
}

pub(super) fn header(mut m: raw::header::Builder<'_>, header: &Header) {
    m.set_format_version(FORMAT_VERSION);
    m.set_id(&header.id);
    m.set_tool(&header.tool[..]);
    put_data(m.reborrow().init_argv(header.argv.len() as u32), &header.argv);
    m.set_cwd(&header.cwd.0);
    m.set_exe(&header.exe.0);
    let mut clock = m.reborrow().init_clock();
    clock.set_tsc_hz(header.clock.tsc_hz);
    clock.set_tsc_start(header.clock.tsc_start);
    clock.set_unix_start(header.clock.unix_start);
    put_text(
        m.reborrow().init_options(header.options.len() as u32),
        header.options.iter().map(String::as_str),
    );
    m.set_checks(header.checks);
    let mut machine = m.init_machine();
    machine.set_host(&header.machine.host[..]);
    machine.set_kernel(&header.machine.kernel[..]);
    machine.set_cpu(&header.machine.cpu[..]);
    machine.set_cpus(header.machine.cpus);
    machine.set_page_size(header.machine.page_size);
    machine.set_memory(header.machine.memory);
}

pub(super) fn process_bytes(process: &Process) -> usize {
    blobs(&process.argv, |arg| arg.0.len())
        + blobs(&process.environment, |entry| entry.0.len())
        + blob(process.exe.0.len())
        + blob(process.cwd.0.len())
}

pub(super) fn process(mut m: raw::process::Builder<'_>, process: &Process) {
    m.set_number(process.number);
    m.set_parent(process.parent);
    m.set_pid(process.pid);
    m.set_ppid(process.ppid);
    m.set_how(process.how.number());
    m.set_time(process.time);
    m.set_exe(&process.exe.0);
    put_data(m.reborrow().init_argv(process.argv.len() as u32), &process.argv);
    m.set_cwd(&process.cwd.0);
    put_data(m.init_environment(process.environment.len() as u32), &process.environment);
}

pub(super) fn process_end(mut m: raw::process_end::Builder<'_>, end: &ProcessEnd) {
    m.set_process(end.process);
    m.set_time(end.time);
    m.set_how(end.how.number());
    m.set_value(end.value);
    m.set_instructions(end.instructions);
}

pub(super) fn thread_start(mut m: raw::thread_start::Builder<'_>, start: &ThreadStart) {
    m.set_number(start.number);
    m.set_process(start.process);
    m.set_tid(start.tid);
    m.set_parent(start.parent);
    m.set_time(start.time);
}

pub(super) fn thread_name(mut m: raw::thread_name::Builder<'_>, name: &ThreadName) {
    m.set_thread(name.thread);
    m.set_name(&name.name.0);
}

pub(super) fn thread_end(mut m: raw::thread_end::Builder<'_>, end: &ThreadEnd) {
    m.set_thread(end.thread);
    m.set_time(end.time);
    m.set_instructions(end.instructions);
}

pub(super) fn module_bytes(module: &Module) -> usize {
    64 + blob(module.path.0.len()) + blob(module.build_id.len())
}

pub(super) fn modules(mut list: capnp::struct_list::Builder<'_, raw::module::Owned>, modules: &[Module]) {
    for (i, module) in modules.iter().enumerate() {
        let mut m = list.reborrow().get(i as u32);
        m.set_id(module.id);
        m.set_process(module.process);
        m.set_path(&module.path.0);
        m.set_build_id(&module.build_id);
        m.set_start(module.start);
        m.set_size(module.size);
        m.set_bias(module.bias);
        m.set_time(module.time);
        m.set_flags(module.flags);
    }
}

pub(super) fn module_end(mut m: raw::module_end::Builder<'_>, end: &ModuleEnd) {
    m.set_module(end.module);
    m.set_time(end.time);
}

pub(super) fn strings<S: AsRef<str>>(mut m: raw::strings::Builder<'_>, first_id: u32, strings: &[S]) {
    m.set_first_id(first_id);
    let lengths = strings.iter().map(|string| string.as_ref().len());
    let mut bytes = m.reborrow().init_bytes(lengths.sum::<usize>() as u32);
    for string in strings {
        let (here, rest) = bytes.split_at_mut(string.as_ref().len());
        here.copy_from_slice(string.as_ref().as_bytes());
        bytes = rest;
    }
    let mut ends = m.init_ends(strings.len() as u32);
    let mut end = 0;
    for (i, string) in strings.iter().enumerate() {
        end += string.as_ref().len() as u32;
        ends.set(i as u32, end);
    }
}

pub(super) fn frames(mut m: raw::frames::Builder<'_>, first_id: u32, frames: &[Frame]) {
    let count = frames.len() as u32;
    m.set_first_id(first_id);
    let mut module = m.reborrow().init_module(count);
    for (i, frame) in frames.iter().enumerate() {
        module.set(i as u32, frame.module);
    }
    let mut rva = m.reborrow().init_rva(count);
    for (i, frame) in frames.iter().enumerate() {
        rva.set(i as u32, frame.rva);
    }
    let mut flags = m.init_flags(count);
    for (i, frame) in frames.iter().enumerate() {
        flags.set(i as u32, u8::from(frame.exact) | u8::from(frame.guessed) << 1);
    }
}

pub(super) fn symbol_bytes(symbols: &FrameSymbols) -> usize {
    8 + 20 * symbols.places.len()
}

pub(super) fn symbols(mut m: raw::symbols::Builder<'_>, symbols: &[FrameSymbols]) {
    let mut frame = m.reborrow().init_frame(symbols.len() as u32);
    for (i, entry) in symbols.iter().enumerate() {
        frame.set(i as u32, entry.frame);
    }
    let end =
        put_ends(m.reborrow().init_ends(symbols.len() as u32), symbols.iter().map(|entry| &entry.places));
    let places = || symbols.iter().flat_map(|entry| &entry.places);
    put_field(m.reborrow().init_function(end), places(), |place| place.function);
    put_field(m.reborrow().init_raw_name(end), places(), |place| place.raw_name);
    put_field(m.reborrow().init_file(end), places(), |place| place.file);
    put_field(m.reborrow().init_line(end), places(), |place| place.line);
    put_field(m.init_column(end), places(), |place| place.column);
}

pub(super) fn stacks(mut m: raw::stacks::Builder<'_>, first_id: u32, nodes: &[StackNode]) {
    m.set_first_id(first_id);
    let mut parent = m.reborrow().init_parent(nodes.len() as u32);
    for (i, node) in nodes.iter().enumerate() {
        parent.set(i as u32, node.parent);
    }
    let mut frame = m.init_frame(nodes.len() as u32);
    for (i, node) in nodes.iter().enumerate() {
        frame.set(i as u32, node.frame);
    }
}

pub(super) fn column_bytes(columns: &[Stored]) -> usize {
    columns.iter().map(Stored::bytes).sum()
}

fn columns(mut list: capnp::struct_list::Builder<'_, raw::column::Owned>, columns: &[Stored]) {
    for (i, column) in columns.iter().enumerate() {
        column.store(list.reborrow().get(i as u32));
    }
}

pub(super) fn chunk(mut m: raw::chunk::Builder<'_>, events: &EventChunk, stored: &[Stored]) {
    let (first, last) = events.times();
    m.set_kind(crate::rows::HEAP_EVENTS);
    m.set_process(events.process());
    m.set_count(events.len() as u32);
    m.set_first_time(first);
    m.set_last_time(last);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(super) fn snapshot_begin(mut m: raw::snapshot_begin::Builder<'_>, begin: &SnapshotBegin) {
    m.set_process(begin.process);
    m.set_snapshot(begin.snapshot);
    m.set_reason(begin.reason.number());
    m.set_time(begin.time);
}

pub(super) fn snapshot_piece(
    mut m: raw::snapshot_piece::Builder<'_>,
    process: u32,
    snapshot: u32,
    count: u32,
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_snapshot(snapshot);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(super) fn snapshot_end(mut m: raw::snapshot_end::Builder<'_>, end: &SnapshotEnd) {
    m.set_process(end.process);
    m.set_snapshot(end.snapshot);
    m.set_blocks(end.blocks);
    m.set_roots(end.roots);
    m.set_edges(end.edges);
    m.set_scanned(end.scanned);
}

pub(super) fn counters_bytes(counters: &Counters) -> usize {
    blobs(&counters.values, |(name, _)| name.len() + 8)
}

pub(super) fn counters(mut m: raw::counters::Builder<'_>, counters: &Counters) {
    let count = counters.values.len() as u32;
    m.set_process(counters.process);
    put_text(m.reborrow().init_names(count), counters.values.iter().map(|(name, _)| name.as_str()));
    let mut values = m.init_values(count);
    for (i, (_, value)) in counters.values.iter().enumerate() {
        values.set(i as u32, *value);
    }
}

pub(super) fn remark(mut m: raw::remark::Builder<'_>, remark: &Remark) {
    m.set_severity(remark.severity.number());
    m.set_code(remark.code);
    m.set_process(remark.process);
    m.set_time(remark.time);
    m.set_text(&remark.text[..]);
}

pub(super) fn not_followed(mut m: raw::not_followed::Builder<'_>, child: &NotFollowed) {
    m.set_process(child.process);
    m.set_time(child.time);
    m.set_pid(child.pid);
    m.set_reason(&child.reason[..]);
}

pub(super) fn trailer_bytes(trailer: &Trailer) -> usize {
    blobs(&trailer.lost, |lost| lost.reason.len() + 24)
}

pub(super) fn trailer(mut m: raw::trailer::Builder<'_>, trailer: &Trailer) {
    m.set_time(trailer.time);
    m.set_how(trailer.how.number());
    m.set_value(trailer.value);
    m.set_complete(trailer.complete);
    m.set_messages(trailer.messages);
    m.set_events(trailer.events);
    let mut lost = m.init_lost(trailer.lost.len() as u32);
    for (i, entry) in trailer.lost.iter().enumerate() {
        let mut m = lost.reborrow().get(i as u32);
        m.set_process(entry.process);
        m.set_events(entry.events);
        m.set_reason(&entry.reason[..]);
    }
}
