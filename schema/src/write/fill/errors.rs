//! Fills error messages. The same rules hold as in the parent module.

use super::blob;
use crate::{model::*, raw::trace_capnp as raw};

pub(in crate::write) fn error_bytes(error: &Error) -> usize {
    // The fixed parts of the four structs and their pointers.
    let about = error.about.as_ref().map_or(0, |about| 120 + blob(about.text.len()) + blob(about.part.len()));
    let descriptor = error.descriptor.as_ref().map_or(0, |descriptor| 32 + blob(descriptor.name.0.len()));
    160 + blob(error.text.len()) + about + descriptor
}

pub(in crate::write) fn errors(
    mut list: capnp::struct_list::Builder<'_, raw::error::Owned>,
    errors: &[Error],
) {
    for (i, entry) in errors.iter().enumerate() {
        error(list.reborrow().get(i as u32), entry);
    }
}

fn error(mut m: raw::error::Builder<'_>, error: &Error) {
    m.set_number(error.number);
    m.set_process(error.process);
    m.set_thread(error.thread);
    m.set_kind(error.kind.number());
    m.set_count(error.count);
    m.set_time(error.time);
    m.set_instructions(error.instructions);
    m.set_flags(error.flags);
    m.set_size(error.size);
    m.set_stack(error.stack);
    m.set_address(error.address);
    m.set_other_address(error.other_address);
    m.set_value(error.value);
    m.set_wanted(error.wanted);
    m.set_given(error.given);
    if !error.text.is_empty() {
        m.set_text(&error.text[..]);
    }
    if let Some(about) = &error.about {
        address_info(m.reborrow().init_about(), about);
    }
    if let Some(origin) = error.origin {
        let mut m = m.reborrow().init_origin();
        m.set_kind(origin.kind.number());
        m.set_stack(origin.stack);
    }
    if let Some(descriptor) = &error.descriptor {
        let mut m = m.init_descriptor();
        m.set_number(descriptor.number);
        m.set_kind(descriptor.kind.number());
        m.set_name(&descriptor.name.0);
        m.set_opened(descriptor.opened);
        m.set_closed(descriptor.closed);
        m.set_inherited(descriptor.inherited);
    }
}

fn address_info(mut m: raw::address_info::Builder<'_>, about: &AddressInfo) {
    m.set_kind(about.kind.number());
    m.set_start(about.start);
    m.set_size(about.size);
    m.set_offset(about.offset);
    m.set_family(about.family.number());
    m.set_allocated(about.allocated);
    m.set_freed(about.freed);
    m.set_allocated_by(about.allocated_by);
    m.set_freed_by(about.freed_by);
    m.set_thread(about.thread);
    m.set_frame(about.frame);
    if !about.text.is_empty() {
        m.set_text(&about.text[..]);
    }
    m.set_module(about.module);
    m.set_protection(about.protection);
    m.set_line(about.line);
    m.set_file(about.file);
    if !about.part.is_empty() {
        m.set_part(&about.part[..]);
    }
    m.set_part_offset(about.part_offset);
}
