//! Visiting one line of the table.

use crate::describe::{After, Item, Kind, Shape, Size};
use crate::visit::Visit;

pub(crate) fn call(visit: &mut Visit<'_>) {
    let call = visit.call;
    match call.shape {
        Shape::Items(items) => {
            visit.registers(call.arguments.len());
            for item in items {
                self::item(visit, item);
            }
        }
        Shape::By(function) => {
            visit.registers(call.arguments.len());
            function(visit);
        }
        Shape::AllBy(function) => function(visit),
    }
}

fn item(visit: &mut Visit<'_>, item: &Item) {
    let base = visit.argument(item.argument);
    if base == 0 && item.nullable {
        return;
    }
    let address = base.wrapping_add(item.offset);
    let text = item.text.map_or_else(|| visit.text(item.argument), Into::into);
    let size = size(visit, item.size);
    match item.kind {
        Kind::Read => visit.read(text, address, size),
        Kind::Path => visit.string(text, address),
        Kind::Mark => {
            if visit.result().is_some() || visit.interrupted() {
                visit.mark(address, size);
            }
        }
        Kind::Write => match item.after {
            After::Size => visit.write(text, address, size),
            After::Result(each) => {
                let written = visit.result().unwrap_or(0).saturating_mul(each);
                visit.write_part(text, address, size, written.min(size));
            }
            After::Interrupted => {
                visit.write_part(text, address, size, 0);
                if visit.interrupted() {
                    visit.mark(address, size);
                }
            }
        },
    }
}

fn size(visit: &Visit<'_>, size: Size) -> u64 {
    match size {
        Size::Bytes(bytes) => bytes,
        Size::Argument(argument, each) => visit.count(argument).saturating_mul(each),
    }
}
