//! Fills messages about executed code. The same rules hold as in the parent module.

use capnp::primitive_list;

use super::columns;
use crate::{codec::Stored, model::*, raw::trace_capnp as raw};

/// What fills messages that are a few numbers, the last one that of the rows, and the rows' columns.
macro_rules! of_columns {
    ($($name:ident: $($set:ident),+;)+) => {$(
        pub(in crate::write) fn $name(
            mut m: raw::$name::Builder<'_>,
            [$($set),+]: [u32; [$(stringify!($set)),+].len()],
            stored: &[Stored],
        ) {
            $(m.$set($set);)+
            columns(m.init_columns(stored.len() as u32), stored);
        }
    )+};
}

of_columns! {
    executions: set_process, set_thread, set_part, set_count;
    jumps: set_process, set_thread, set_part, set_count;
    contexts: set_process, set_thread, set_part, set_count;
    costs: set_process, set_part, set_count;
    context_costs: set_process, set_thread, set_part, set_count;
    code_lines: set_module, set_count;
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
