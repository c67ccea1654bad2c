//! One message from Cap'n Proto to the plain values of the model.
//!
//! What always holds: every length comes from a list that lies in the message; anything odd is an error in words that
//! names the field, or [`Message::Skipped`] when a newer writer may have meant it. Getters of lists and blobs are
//! called once each because each call charges the traversal limit. Not here: framing (`read`), columns (`codec`).

use capnp::{data_list, message::ReaderSegments, primitive_list, struct_list, text, text_list};

use crate::{
    codec::{UnpackError, unpack},
    model::*,
    raw::trace_capnp as raw,
    rows::{HEAP_EVENTS, Row},
};

mod accesses;
mod code;
mod errors;

use code::PlaceLists;

/// What is wrong, in words.
type Decoded<T> = Result<T, String>;

/// The number and the contents of a message.
pub(crate) fn message(
    message: &capnp::message::Reader<impl ReaderSegments>,
    skip_events: bool,
) -> Decoded<(u64, Message)> {
    use raw::message::Which;
    let m: raw::message::Reader<'_> = message.get_root().map_err(|error| error.to_string())?;
    let sequence = m.get_seq();
    let which = match m.which() {
        Ok(which) => which,
        Err(capnp::NotInSchema(arm)) => return Ok((sequence, Message::Skipped(Skipped::Arm(arm)))),
    };
    let message = match which {
        Which::Header(m) => header(&field("header", m)?)?,
        Which::Process(m) => process(&field("process", m)?)?,
        Which::ProcessEnd(m) => process_end(&field("processEnd", m)?),
        Which::ThreadStart(m) => thread_start(&field("threadStart", m)?),
        Which::ThreadName(m) => thread_name(&field("threadName", m)?)?,
        Which::ThreadEnd(m) => thread_end(&field("threadEnd", m)?),
        Which::Modules(m) => modules(field("modules", m)?)?,
        Which::ModuleEnd(m) => module_end(&field("moduleEnd", m)?),
        Which::Strings(m) => strings(&field("strings", m)?)?,
        Which::Frames(m) => frames(&field("frames", m)?)?,
        Which::Symbols(m) => symbols(&field("symbols", m)?)?,
        Which::Stacks(m) => stacks(&field("stacks", m)?)?,
        Which::Chunk(m) => chunk(&field("chunk", m)?, skip_events)?,
        Which::SnapshotBegin(m) => snapshot_begin(&field("snapshotBegin", m)?),
        Which::SnapshotBlocks(m) => piece(&field("snapshotBlocks", m)?, Message::SnapshotBlocks)?,
        Which::SnapshotRoots(m) => piece(&field("snapshotRoots", m)?, Message::SnapshotRoots)?,
        Which::SnapshotEdges(m) => piece(&field("snapshotEdges", m)?, Message::SnapshotEdges)?,
        Which::SnapshotEnd(m) => snapshot_end(&field("snapshotEnd", m)?),
        Which::Counters(m) => counters(&field("counters", m)?)?,
        Which::Remark(m) => remark(&field("remark", m)?)?,
        Which::NotFollowed(m) => not_followed(&field("notFollowed", m)?)?,
        Which::Trailer(m) => trailer(&field("trailer", m)?)?,
        Which::Errors(m) => errors::errors(field("errors", m)?)?,
        Which::Executions(m) => code::executions(&field("executions", m)?)?,
        Which::Places(m) => code::places(&field("places", m)?)?,
        Which::PartEnd(m) => code::part_end(&field("partEnd", m)?)?,
        Which::Contexts(m) => code::contexts(&field("contexts", m)?)?,
        Which::Costs(m) => code::costs(&field("costs", m)?)?,
        Which::ContextCosts(m) => code::context_costs(&field("contextCosts", m)?)?,
        Which::Jumps(m) => code::jumps(&field("jumps", m)?)?,
        Which::AccessRuns(m) => accesses::runs(&field("accessRuns", m)?)?,
        Which::AccessLog(_) if skip_events => Message::Skipped(Skipped::AccessLog),
        Which::AccessLog(m) => accesses::log(&field("accessLog", m)?)?,
        Which::AccessMark(m) => accesses::mark(&field("accessMark", m)?)?,
        Which::CodeLines(m) => code::code_lines(&field("codeLines", m)?)?,
    };
    Ok((sequence, message))
}

fn field<T>(name: &str, value: capnp::Result<T>) -> Decoded<T> {
    value.map_err(|error| format!("{name}: {error}"))
}

fn text(name: &str, value: capnp::Result<text::Reader<'_>>) -> Decoded<String> {
    field(name, value).map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}

fn bytes(name: &str, value: capnp::Result<&[u8]>) -> Decoded<Bytes> {
    field(name, value).map(Bytes::from)
}

/// A list of blobs. Its entries may all lie in the same bytes, so that the sum is bounded by the traversal limit
/// and not by the length of the message.
fn all_bytes(name: &str, list: capnp::Result<data_list::Reader<'_>>) -> Decoded<Vec<Bytes>> {
    field(name, list)?.iter().map(|item| bytes(name, item)).collect()
}

fn all_text(name: &str, list: capnp::Result<text_list::Reader<'_>>) -> Decoded<Vec<String>> {
    field(name, list)?.iter().map(|item| text(name, item)).collect()
}

/// Most entries of a list of structs: those of a message of 4 MiB with a pointer each. Entries may have no size at
/// all, so that their number does not follow from the length of the message.
const MAX_ENTRIES: u32 = 1 << 19;

fn entries(name: &str, count: u32) -> Decoded<()> {
    if count > MAX_ENTRIES {
        Err(format!("{name} has {count} entries, more than {MAX_ENTRIES}"))
    } else {
        Ok(())
    }
}

fn header(m: &raw::header::Reader<'_>) -> Decoded<Message> {
    match m.get_format_version() {
        FORMAT_VERSION => {}
        0 => return Err("its header is empty".to_owned()),
        version => {
            return Err(format!(
                "it has format version {version} and this program reads version {FORMAT_VERSION}; use the \
                 programs that came with the vg-record that wrote it"
            ));
        }
    }
    let clock = field("clock", m.get_clock())?;
    let machine = field("machine", m.get_machine())?;
    // An id of another length is still a name: keep what fits.
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(field("id", m.get_id())?) {
        *to = *from;
    }
    Ok(Message::Header(Header {
        id,
        tool: text("tool", m.get_tool())?,
        argv: all_bytes("argv", m.get_argv())?,
        cwd: bytes("cwd", m.get_cwd())?,
        exe: bytes("exe", m.get_exe())?,
        clock: Clock {
            tsc_hz: clock.get_tsc_hz(),
            tsc_start: clock.get_tsc_start(),
            unix_start: clock.get_unix_start(),
        },
        options: all_text("options", m.get_options())?,
        machine: Machine {
            host: text("host", machine.get_host())?,
            kernel: text("kernel", machine.get_kernel())?,
            cpu: text("cpu", machine.get_cpu())?,
            cpus: machine.get_cpus(),
            page_size: machine.get_page_size(),
            memory: machine.get_memory(),
        },
        checks: m.get_checks(),
    }))
}

fn process(m: &raw::process::Reader<'_>) -> Decoded<Message> {
    Ok(Message::Process(Process {
        number: m.get_number(),
        parent: m.get_parent(),
        pid: m.get_pid(),
        ppid: m.get_ppid(),
        how: Start::from_number(m.get_how()),
        time: m.get_time(),
        exe: bytes("exe", m.get_exe())?,
        argv: all_bytes("argv", m.get_argv())?,
        cwd: bytes("cwd", m.get_cwd())?,
        environment: all_bytes("environment", m.get_environment())?,
    }))
}

fn process_end(m: &raw::process_end::Reader<'_>) -> Message {
    Message::ProcessEnd(ProcessEnd {
        process: m.get_process(),
        time: m.get_time(),
        how: End::from_number(m.get_how()),
        value: m.get_value(),
        instructions: m.get_instructions(),
    })
}

fn thread_start(m: &raw::thread_start::Reader<'_>) -> Message {
    Message::ThreadStart(ThreadStart {
        number: m.get_number(),
        process: m.get_process(),
        tid: m.get_tid(),
        parent: m.get_parent(),
        time: m.get_time(),
    })
}

fn thread_name(m: &raw::thread_name::Reader<'_>) -> Decoded<Message> {
    Ok(Message::ThreadName(ThreadName { thread: m.get_thread(), name: bytes("name", m.get_name())? }))
}

fn thread_end(m: &raw::thread_end::Reader<'_>) -> Message {
    Message::ThreadEnd(ThreadEnd {
        thread: m.get_thread(),
        time: m.get_time(),
        instructions: m.get_instructions(),
    })
}

fn modules(list: struct_list::Reader<'_, raw::module::Owned>) -> Decoded<Message> {
    entries("modules", list.len())?;
    let module = |m: raw::module::Reader<'_>| {
        Ok(Module {
            id: m.get_id(),
            process: m.get_process(),
            path: bytes("path", m.get_path())?,
            build_id: field("buildId", m.get_build_id())?.to_vec(),
            start: m.get_start(),
            size: m.get_size(),
            bias: m.get_bias(),
            time: m.get_time(),
            flags: m.get_flags(),
        })
    };
    list.iter().map(module).collect::<Decoded<_>>().map(Message::Modules)
}

fn module_end(m: &raw::module_end::Reader<'_>) -> Message {
    Message::ModuleEnd(ModuleEnd { module: m.get_module(), time: m.get_time() })
}

fn strings(m: &raw::strings::Reader<'_>) -> Decoded<Message> {
    let bytes = field("bytes", m.get_bytes())?;
    let mut start = 0;
    let strings = field("ends", m.get_ends())?
        .iter()
        .map(|end| {
            let string = bytes.get(start..end as usize);
            let string =
                string.ok_or_else(|| format!("ends: {end} does not lie in {start}..={}", bytes.len()))?;
            start = end as usize;
            Ok(String::from_utf8_lossy(string).into_owned())
        })
        .collect::<Decoded<_>>()?;
    Ok(Message::Strings(Strings { first_id: m.get_first_id(), strings }))
}

/// Checks that a list has as many values as the first list of its message.
fn same<T>(name: &str, list: &primitive_list::Reader<'_, T>, count: u32) -> Decoded<()>
where
    T: capnp::private::layout::PrimitiveElement,
{
    if list.len() == count {
        return Ok(());
    }
    Err(format!("{name} has {} values, not {count}", list.len()))
}

fn frames(m: &raw::frames::Reader<'_>) -> Decoded<Message> {
    let module = field("module", m.get_module())?;
    let rva = field("rva", m.get_rva())?;
    let flags = field("flags", m.get_flags())?;
    same("rva", &rva, module.len())?;
    same("flags", &flags, module.len())?;
    let frames = (module.iter().zip(rva.iter()).zip(flags.iter()))
        .map(|((module, rva), flags)| Frame { module, rva, exact: flags & 1 != 0, guessed: flags & 2 != 0 })
        .collect();
    Ok(Message::Frames(Frames { first_id: m.get_first_id(), frames }))
}

fn symbols(m: &raw::symbols::Reader<'_>) -> Decoded<Message> {
    let frame = field("frame", m.get_frame())?;
    let lists = PlaceLists {
        ends: field("ends", m.get_ends())?,
        function: field("function", m.get_function())?,
        raw_name: field("rawName", m.get_raw_name())?,
        file: field("file", m.get_file())?,
        line: field("line", m.get_line())?,
        column: field("column", m.get_column())?,
    };
    same("ends", &lists.ends, frame.len())?;
    let symbols =
        (frame.iter().zip(lists.places()?)).map(|(frame, places)| FrameSymbols { frame, places }).collect();
    Ok(Message::Symbols(symbols))
}

fn stacks(m: &raw::stacks::Reader<'_>) -> Decoded<Message> {
    let parent = field("parent", m.get_parent())?;
    let frame = field("frame", m.get_frame())?;
    same("frame", &frame, parent.len())?;
    let nodes =
        (parent.iter().zip(frame.iter())).map(|(parent, frame)| StackNode { parent, frame }).collect();
    Ok(Message::Stacks(Stacks { first_id: m.get_first_id(), nodes }))
}

/// Rows from columns; what a newer writer stored in its own way is skipped.
fn rows<T: Row>(
    columns: capnp::Result<struct_list::Reader<'_, raw::column::Owned>>,
    count: u32,
    give: impl FnOnce(Vec<T>) -> Message,
) -> Decoded<Message> {
    match unpack(field("columns", columns)?, count) {
        Ok(rows) => Ok(give(rows)),
        Err(UnpackError::Unknown(column)) => Ok(Message::Skipped(Skipped::Column { column, rows: count })),
        Err(error) => Err(error.to_string()),
    }
}

fn chunk(m: &raw::chunk::Reader<'_>, skip_events: bool) -> Decoded<Message> {
    let (process, count) = (m.get_process(), m.get_count());
    if m.get_kind() != HEAP_EVENTS {
        return Ok(Message::Skipped(Skipped::ChunkKind(m.get_kind())));
    }
    if skip_events {
        return Ok(Message::Skipped(Skipped::Events { process, rows: count }));
    }
    rows(m.get_columns(), count, |events| {
        let (first_time, last_time) = (m.get_first_time(), m.get_last_time());
        Message::Events(EventBatch { process, first_time, last_time, events })
    })
}

fn snapshot_begin(m: &raw::snapshot_begin::Reader<'_>) -> Message {
    Message::SnapshotBegin(SnapshotBegin {
        process: m.get_process(),
        snapshot: m.get_snapshot(),
        reason: Reason::from_number(m.get_reason()),
        time: m.get_time(),
    })
}

fn piece<T: Row>(
    m: &raw::snapshot_piece::Reader<'_>,
    give: fn(SnapshotPiece<T>) -> Message,
) -> Decoded<Message> {
    let (process, snapshot) = (m.get_process(), m.get_snapshot());
    rows(m.get_columns(), m.get_count(), |rows| give(SnapshotPiece { process, snapshot, rows }))
}

fn snapshot_end(m: &raw::snapshot_end::Reader<'_>) -> Message {
    Message::SnapshotEnd(SnapshotEnd {
        process: m.get_process(),
        snapshot: m.get_snapshot(),
        blocks: m.get_blocks(),
        roots: m.get_roots(),
        edges: m.get_edges(),
        scanned: m.get_scanned(),
    })
}

fn counters(m: &raw::counters::Reader<'_>) -> Decoded<Message> {
    let names = all_text("names", m.get_names())?;
    let values = field("values", m.get_values())?;
    same("values", &values, names.len() as u32)?;
    Ok(Message::Counters(Counters {
        process: m.get_process(),
        values: names.into_iter().zip(values.iter()).collect(),
    }))
}

fn remark(m: &raw::remark::Reader<'_>) -> Decoded<Message> {
    Ok(Message::Remark(Remark {
        severity: Severity::from_number(m.get_severity()),
        code: m.get_code(),
        process: m.get_process(),
        time: m.get_time(),
        text: text("text", m.get_text())?,
    }))
}

fn not_followed(m: &raw::not_followed::Reader<'_>) -> Decoded<Message> {
    Ok(Message::NotFollowed(NotFollowed {
        process: m.get_process(),
        time: m.get_time(),
        pid: m.get_pid(),
        reason: text("reason", m.get_reason())?,
    }))
}

fn trailer(m: &raw::trailer::Reader<'_>) -> Decoded<Message> {
    let lost = |m: raw::lost::Reader<'_>| {
        let reason = text("reason", m.get_reason())?;
        Ok(Lost { process: m.get_process(), events: m.get_events(), reason })
    };
    let all_lost = field("lost", m.get_lost())?;
    entries("lost", all_lost.len())?;
    Ok(Message::Trailer(Trailer {
        time: m.get_time(),
        how: End::from_number(m.get_how()),
        value: m.get_value(),
        complete: m.get_complete(),
        messages: m.get_messages(),
        events: m.get_events(),
        lost: all_lost.iter().map(lost).collect::<Decoded<_>>()?,
    }))
}
