//! execve and execveat: a path and two arrays of strings.
//!
//! What always holds: an array is followed to its null pointer, to the first entry that cannot be read, or to
//! [`STRINGS_MAX`] strings.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// Far beyond what fits: the kernel allows arguments a quarter of the stack's limit, at most 6 MiB in all.
const STRINGS_MAX: u64 = 1 << 20;

pub(crate) fn execve(visit: &mut Visit<'_>) {
    visit.string("execve(filename)", visit.argument(0));
    arguments(visit, "execve", visit.argument(1), visit.argument(2));
}

pub(crate) fn execveat(visit: &mut Visit<'_>) {
    visit.string("execveat(filename)", visit.argument(1));
    arguments(visit, "execveat", visit.argument(2), visit.argument(3));
}

fn arguments(visit: &mut Visit<'_>, call: &'static str, arguments: u64, environment: u64) {
    if !visit.is_before() {
        return;
    }
    // Linux takes a null pointer for an empty array, with a warning in the kernel's log.
    let whole = Parameter::argument(call, "argv");
    visit.read(whole, arguments, 8);
    if let Some(first) = visit.u64(arguments)
        && first != 0
    {
        visit.string(Parameter::argument(call, "argv[0]"), first);
        strings(visit, arguments.wrapping_add(8), whole, Parameter::argument(call, "argv[i]"));
    }
    if environment != 0 {
        let (whole, each) = (Parameter::argument(call, "envp"), Parameter::argument(call, "envp[i]"));
        strings(visit, environment, whole, each);
    }
}

fn strings(visit: &mut Visit<'_>, array: u64, whole: Parameter, each: Parameter) {
    for index in 0..STRINGS_MAX {
        let at = array.wrapping_add(index * 8);
        visit.read(whole, at, 8);
        match visit.u64(at) {
            Some(string) if string != 0 => visit.string(each, string),
            _ => return,
        }
    }
}
