//! Fills messages about executed code. The same rules hold as in the parent module.

use capnp::primitive_list;

use super::columns;
use crate::{codec::Stored, model::*, raw::trace_capnp as raw};

pub(in crate::write) fn executions(
    mut m: raw::executions::Builder<'_>,
    [process, thread, part, count]: [u32; 4],
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_thread(thread);
    m.set_part(part);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(in crate::write) fn jumps(
    mut m: raw::jumps::Builder<'_>,
    (process, thread, part): (u32, u32, u32),
    count: u32,
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_thread(thread);
    m.set_part(part);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(in crate::write) fn contexts(
    mut m: raw::contexts::Builder<'_>,
    [process, thread, part, count]: [u32; 4],
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_thread(thread);
    m.set_part(part);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(in crate::write) fn costs(
    mut m: raw::costs::Builder<'_>,
    (process, part): (u32, u32),
    count: u32,
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_part(part);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(in crate::write) fn context_costs(
    mut m: raw::context_costs::Builder<'_>,
    (process, thread, part): (u32, u32, u32),
    count: u32,
    stored: &[Stored],
) {
    m.set_process(process);
    m.set_thread(thread);
    m.set_part(part);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

pub(in crate::write) fn part_end(mut m: raw::part_end::Builder<'_>, end: &PartEnd) {
    m.set_process(end.process);
    m.set_part(end.part);
    m.set_zeroed(end.zeroed);
    m.set_time(end.time);
    m.set_name(&end.name.0);
}

pub(in crate::write) fn place_bytes(place: &[Place]) -> usize {
    4 + 20 * place.len()
}

pub(in crate::write) fn places(mut m: raw::places::Builder<'_>, first_id: u32, places: &[Vec<Place>]) {
    m.set_first_id(first_id);
    let end = put_ends(m.reborrow().init_ends(places.len() as u32), places.iter());
    let entries = || places.iter().flatten();
    put_field(m.reborrow().init_function(end), entries(), |place| place.function);
    put_field(m.reborrow().init_raw_name(end), entries(), |place| place.raw_name);
    put_field(m.reborrow().init_file(end), entries(), |place| place.file);
    put_field(m.reborrow().init_line(end), entries(), |place| place.line);
    put_field(m.init_column(end), entries(), |place| place.column);
}

pub(in crate::write) fn code_lines(
    mut m: raw::code_lines::Builder<'_>,
    module: u32,
    count: u32,
    stored: &[Stored],
) {
    m.set_module(module);
    m.set_count(count);
    columns(m.init_columns(stored.len() as u32), stored);
}

/// Puts where each entry's places end; gives the number of all places.
pub(super) fn put_ends<'p>(
    mut list: primitive_list::Builder<'_, u32>,
    entries: impl Iterator<Item = &'p Vec<Place>>,
) -> u32 {
    let mut end = 0;
    for (i, places) in entries.enumerate() {
        end += places.len() as u32;
        list.set(i as u32, end);
    }
    end
}

/// Puts one field of all places.
pub(super) fn put_field<'p>(
    mut list: primitive_list::Builder<'_, u32>,
    places: impl Iterator<Item = &'p Place>,
    field: fn(&Place) -> u32,
) {
    for (i, place) in places.enumerate() {
        list.set(i as u32, field(place));
    }
}
