//! Executed code from Cap'n Proto to plain values. The same rules hold as in the parent module.

use capnp::primitive_list;

use super::{Decoded, bytes, field, rows, same};
use crate::{model::*, raw::trace_capnp as raw};

pub(super) fn executions(m: &raw::executions::Reader<'_>) -> Decoded<Message> {
    let (process, thread, part) = (m.get_process(), m.get_thread(), m.get_part());
    let of = |rows| Message::Executions(Executions { process, thread, part, rows });
    rows(m.get_columns(), m.get_count(), of)
}

pub(super) fn contexts(m: &raw::contexts::Reader<'_>) -> Decoded<Message> {
    let (process, thread, part) = (m.get_process(), m.get_thread(), m.get_part());
    let of = |rows| Message::Contexts(Contexts { process, thread, part, rows });
    rows(m.get_columns(), m.get_count(), of)
}

pub(super) fn part_end(m: &raw::part_end::Reader<'_>) -> Decoded<Message> {
    Ok(Message::PartEnd(PartEnd {
        process: m.get_process(),
        part: m.get_part(),
        zeroed: m.get_zeroed(),
        time: m.get_time(),
        name: bytes("name", m.get_name())?,
    }))
}

pub(super) fn costs(m: &raw::costs::Reader<'_>) -> Decoded<Message> {
    let (process, part) = (m.get_process(), m.get_part());
    rows(m.get_columns(), m.get_count(), |rows| Message::Costs(Costs { process, part, rows }))
}

pub(super) fn context_costs(m: &raw::context_costs::Reader<'_>) -> Decoded<Message> {
    let (process, thread, part) = (m.get_process(), m.get_thread(), m.get_part());
    rows(m.get_columns(), m.get_count(), |rows| {
        Message::ContextCosts(ContextCosts { process, thread, part, rows })
    })
}

pub(super) fn jumps(m: &raw::jumps::Reader<'_>) -> Decoded<Message> {
    let (process, thread, part) = (m.get_process(), m.get_thread(), m.get_part());
    rows(m.get_columns(), m.get_count(), |rows| Message::Jumps(Jumps { process, thread, part, rows }))
}

pub(super) fn code_lines(m: &raw::code_lines::Reader<'_>) -> Decoded<Message> {
    let module = m.get_module();
    rows(m.get_columns(), m.get_count(), |rows| Message::CodeLines(CodeLines { module, rows }))
}

pub(super) fn places(m: &raw::places::Reader<'_>) -> Decoded<Message> {
    let lists = PlaceLists {
        ends: field("ends", m.get_ends())?,
        function: field("function", m.get_function())?,
        raw_name: field("rawName", m.get_raw_name())?,
        file: field("file", m.get_file())?,
        line: field("line", m.get_line())?,
        column: field("column", m.get_column())?,
    };
    Ok(Message::Places(Places { first_id: m.get_first_id(), places: lists.places()? }))
}

/// The lists that symbols and places have in common.
pub(super) struct PlaceLists<'a> {
    pub(super) ends: primitive_list::Reader<'a, u32>,
    pub(super) function: primitive_list::Reader<'a, u32>,
    pub(super) raw_name: primitive_list::Reader<'a, u32>,
    pub(super) file: primitive_list::Reader<'a, u32>,
    pub(super) line: primitive_list::Reader<'a, u32>,
    pub(super) column: primitive_list::Reader<'a, u32>,
}

impl PlaceLists<'_> {
    /// The places of each entry.
    pub(super) fn places(&self) -> Decoded<Vec<Vec<Place>>> {
        let Self { ends, function, raw_name, file, line, column } = self;
        for (name, list) in [("rawName", raw_name), ("file", file), ("line", line), ("column", column)] {
            same(name, list, function.len())?;
        }
        let mut start = 0;
        ends.iter()
            .map(|end| {
                if end < start || end > function.len() {
                    return Err(format!("ends: {end} does not lie in {start}..={}", function.len()));
                }
                let places = (start..end)
                    .map(|i| Place {
                        function: function.get(i),
                        raw_name: raw_name.get(i),
                        file: file.get(i),
                        line: line.get(i),
                        column: column.get(i),
                    })
                    .collect();
                start = end;
                Ok(places)
            })
            .collect()
    }
}
