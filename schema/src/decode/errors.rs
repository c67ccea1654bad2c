//! Errors from Cap'n Proto to plain values. The same rules hold as in the parent module.

use capnp::struct_list;

use super::{Decoded, bytes, field, text};
use crate::{model::*, raw::trace_capnp as raw};

/// Most errors of a message: a few more than fit into 4 MiB. An entry of no size at all would take memory that the
/// message's length does not justify.
const MAX_ERRORS: u32 = 1 << 15;

pub(super) fn errors(list: struct_list::Reader<'_, raw::error::Owned>) -> Decoded<Message> {
    if list.len() > MAX_ERRORS {
        return Err(format!("errors has {} entries, more than {MAX_ERRORS}", list.len()));
    }
    list.iter().map(|m| error(&m)).collect::<Decoded<_>>().map(Message::Errors)
}

fn error(m: &raw::error::Reader<'_>) -> Decoded<Error> {
    let about = m.has_about().then(|| address_info(&field("about", m.get_about())?)).transpose()?;
    let origin = m.has_origin().then(|| origin(&field("origin", m.get_origin())?)).transpose()?;
    let descriptor =
        m.has_descriptor().then(|| descriptor(&field("descriptor", m.get_descriptor())?)).transpose()?;
    Ok(Error {
        number: m.get_number(),
        process: m.get_process(),
        thread: m.get_thread(),
        kind: ErrorKind::from_number(m.get_kind()),
        count: m.get_count(),
        time: m.get_time(),
        instructions: m.get_instructions(),
        flags: m.get_flags(),
        size: m.get_size(),
        stack: m.get_stack(),
        address: m.get_address(),
        about,
        origin,
        text: text("text", m.get_text())?,
        other_address: m.get_other_address(),
        value: m.get_value(),
        wanted: m.get_wanted(),
        given: m.get_given(),
        descriptor,
    })
}

fn address_info(m: &raw::address_info::Reader<'_>) -> Decoded<AddressInfo> {
    Ok(AddressInfo {
        kind: AddressKind::from_number(m.get_kind()),
        start: m.get_start(),
        size: m.get_size(),
        offset: m.get_offset(),
        family: Family::from_number(m.get_family()),
        allocated: m.get_allocated(),
        freed: m.get_freed(),
        allocated_by: m.get_allocated_by(),
        freed_by: m.get_freed_by(),
        thread: m.get_thread(),
        frame: m.get_frame(),
        text: text("text", m.get_text())?,
        module: m.get_module(),
        protection: m.get_protection(),
        line: m.get_line(),
        file: m.get_file(),
        part: text("part", m.get_part())?,
        part_offset: m.get_part_offset(),
    })
}

fn origin(m: &raw::origin::Reader<'_>) -> Decoded<Origin> {
    Ok(Origin { kind: OriginKind::from_number(m.get_kind()), stack: m.get_stack() })
}

fn descriptor(m: &raw::descriptor::Reader<'_>) -> Decoded<Descriptor> {
    Ok(Descriptor {
        number: m.get_number(),
        kind: DescriptorKind::from_number(m.get_kind()),
        name: bytes("name", m.get_name())?,
        opened: m.get_opened(),
        closed: m.get_closed(),
        inherited: m.get_inherited(),
    })
}
