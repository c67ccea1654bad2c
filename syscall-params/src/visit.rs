//! One pass over what a call reads and writes, before it or after it.
//!
//! What always holds: a description is written once and visited in both phases. Before the call, registers,
//! reads and writes become checks; after it, writes become marks and the rest is silent. A size of 0 is
//! neither. What a description reads from memory itself goes through [`Visit::u32`] and its kin, which fail
//! where the memory is not readable; the check of those bytes has been made before and says so.

use crate::Memory;
use crate::describe::Call;
use crate::parameter::Parameter;

/// The kernel's `EINTR`, as a result.
const INTERRUPTED: i64 = -4;

/// What must hold before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The low `size` bytes (1 to 8) of argument `index` (0 to 5) are looked at: they must be defined.
    Register { parameter: Parameter, index: usize, size: usize },
    /// `size` bytes at `address`; of a string, at most that many, up to its NUL.
    Memory { parameter: Parameter, need: Need, address: u64, size: u64 },
}

/// What must hold of memory before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The kernel reads it: addressable and defined.
    Read,
    /// The same, up to and with the first NUL byte.
    String,
    /// The kernel writes to it: addressable.
    Write,
}

/// Numbers that the kernel may overwrite in a call, as they were before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    numbers: [u64; 2],
}

impl Default for Kept {
    /// Nothing known: no limit to what is found after the call.
    fn default() -> Kept {
        Kept { numbers: [u64::MAX; 2] }
    }
}

enum Phase<'a> {
    Before { registers: bool, check: &'a mut dyn FnMut(Check) },
    After { result: i64, written: &'a mut dyn FnMut(u64, u64) },
}

pub(crate) struct Visit<'a> {
    pub(crate) call: &'static Call,
    arguments: &'a [u64; 6],
    pub(crate) memory: &'a dyn Memory,
    phase: Phase<'a>,
    kept: Kept,
}

impl<'a> Visit<'a> {
    pub(crate) fn before(
        call: &'static Call,
        arguments: &'a [u64; 6],
        memory: &'a dyn Memory,
        registers: bool,
        check: &'a mut dyn FnMut(Check),
    ) -> Visit<'a> {
        let phase = Phase::Before { registers, check };
        Visit { call, arguments, memory, phase, kept: Kept::default() }
    }

    pub(crate) fn after(
        call: &'static Call,
        arguments: &'a [u64; 6],
        result: i64,
        kept: &Kept,
        memory: &'a dyn Memory,
        written: &'a mut dyn FnMut(u64, u64),
    ) -> Visit<'a> {
        Visit { call, arguments, memory, phase: Phase::After { result, written }, kept: *kept }
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }

    pub(crate) fn is_before(&self) -> bool {
        matches!(self.phase, Phase::Before { .. })
    }

    /// What the call returned, when it did not fail.
    pub(crate) fn result(&self) -> Option<u64> {
        match self.phase {
            Phase::After { result, .. } if !(-4095..0).contains(&result) => Some(result as u64),
            _ => None,
        }
    }

    /// The error that the call failed with, as a negative number.
    pub(crate) fn error(&self) -> Option<i64> {
        match self.phase {
            Phase::After { result, .. } if (-4095..0).contains(&result) => Some(result),
            _ => None,
        }
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.error() == Some(INTERRUPTED)
    }

    /// An argument, whole.
    pub(crate) fn argument(&self, index: usize) -> u64 {
        self.arguments.get(index).copied().unwrap_or(0)
    }

    /// An argument that is an `int` or `unsigned int`.
    pub(crate) fn argument32(&self, index: usize) -> u32 {
        self.argument(index) as u32
    }

    /// An argument as a count: one of 32 bits that is negative counts nothing, since the kernel refuses it.
    pub(crate) fn count(&self, index: usize) -> u64 {
        let size = self.call.arguments.get(index).map_or(8, |argument| argument.size);
        if size > 4 {
            return self.argument(index);
        }
        let count = self.argument32(index);
        if count > i32::MAX as u32 { 0 } else { u64::from(count) }
    }

    /// `call(argument)`.
    pub(crate) fn text(&self, index: usize) -> Parameter {
        let name = self.call.arguments.get(index).map_or("", |argument| argument.name);
        Parameter::argument(self.call.text, name)
    }

    /// The first `count` arguments are read.
    pub(crate) fn registers(&mut self, count: usize) {
        if !matches!(self.phase, Phase::Before { registers: true, .. }) {
            return;
        }
        for index in 0..count {
            self.register(index);
        }
    }

    /// Argument `index` is read.
    pub(crate) fn register(&mut self, index: usize) {
        let Some(argument) = self.call.arguments.get(index) else { return };
        self.register_as(Parameter::argument(self.call.text, argument.name), index, argument.size);
    }

    /// The low `size` bytes of argument `index` are read, under another name.
    pub(crate) fn register_as(&mut self, parameter: Parameter, index: usize, size: u8) {
        if let Phase::Before { registers: true, check } = &mut self.phase {
            check(Check::Register { parameter, index, size: usize::from(size) });
        }
    }

    pub(crate) fn read(&mut self, parameter: impl Into<Parameter>, address: u64, size: u64) {
        self.check(parameter.into(), Need::Read, address, size);
    }

    pub(crate) fn string(&mut self, parameter: impl Into<Parameter>, address: u64) {
        self.check(parameter.into(), Need::String, address, u64::MAX);
    }

    /// A string that the kernel reads at most `size` bytes of.
    pub(crate) fn string_within(&mut self, parameter: impl Into<Parameter>, address: u64, size: u64) {
        self.check(parameter.into(), Need::String, address, size);
    }

    /// `size` bytes that the kernel writes when the call succeeds.
    pub(crate) fn write(&mut self, parameter: impl Into<Parameter>, address: u64, size: u64) {
        self.write_part(parameter, address, size, size);
    }

    /// `size` bytes that the kernel may write, of which the first `written` were when the call succeeded.
    pub(crate) fn write_part(
        &mut self,
        parameter: impl Into<Parameter>,
        address: u64,
        size: u64,
        written: u64,
    ) {
        self.check(parameter.into(), Need::Write, address, size);
        if self.result().is_some() {
            self.mark(address, written);
        }
    }

    /// Bytes that the kernel has written, whatever the call's result; nothing before the call.
    pub(crate) fn mark(&mut self, address: u64, size: u64) {
        if let Phase::After { written, .. } = &mut self.phase
            && size != 0
            && address != 0
        {
            written(address, size);
        }
    }

    fn check(&mut self, parameter: Parameter, need: Need, address: u64, size: u64) {
        if let Phase::Before { check, .. } = &mut self.phase
            && size != 0
        {
            check(Check::Memory { parameter, need, address, size });
        }
    }

    /// A number that the kernel may overwrite, as it was before the call: 0 or 1 names its place.
    pub(crate) fn keep(&mut self, place: usize, number: u64) -> u64 {
        let before = self.is_before();
        let Some(kept) = self.kept.numbers.get_mut(place) else { return number };
        if before {
            *kept = number;
        }
        *kept
    }

    pub(crate) fn u8(&self, address: u64) -> Option<u8> {
        self.bytes::<1>(address).map(|[byte]| byte)
    }

    pub(crate) fn u16(&self, address: u64) -> Option<u16> {
        self.bytes(address).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&self, address: u64) -> Option<u32> {
        self.bytes(address).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }

    fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // Not beyond the end of the address space, whatever the implementation does there.
        address.checked_add(N as u64)?;
        self.memory.read(address, &mut bytes).then_some(bytes)
    }
}
