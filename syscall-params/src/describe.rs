//! The vocabulary of the table: a call is a number, a name, arguments, and what it does with memory.
//!
//! A line of the table reads `262 newfstatat "fstatat" (dfd:4, file_name, buf) { path file_name; write buf[144] }`:
//! number, the kernel's name, the name in Valgrind's texts where it is another one; arguments with the name in
//! texts where it is no identifier (`kind "type":4`) and the bytes of the register that count (8 unless said);
//! then what happens to memory. An item is a kind, an argument, `+ bytes` into it, `[size]`, `as "text"`:
//!
//! | kind | before | after |
//! |---|---|---|
//! | `read` | addressable and defined | |
//! | `write` | addressable | written |
//! | `path` | a string, addressable and defined to its NUL | |
//! | `mark` | | written |
//!
//! With a `0` behind the kind (`read0`), a null pointer is no check. A size is bytes, an argument, or an
//! argument times bytes. `=> result`, `=> result * 8` and `=> eintr` say what was written where that is not the
//! size: as many as the call returns, or only on interruption.
//! `{ by function }` leaves memory to a function, `{ all by function }` the registers too. An argument that
//! is not there is an error of the compiler.

use crate::visit::Visit;

/// One argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in texts.
    pub name: &'static str,
    /// Low bytes of the register that the kernel looks at: 1 to 8.
    pub size: u8,
}

/// One line of the table.
pub(crate) struct Call {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
    /// The name in texts.
    pub(crate) text: &'static str,
    pub(crate) arguments: &'static [Argument],
    pub(crate) shape: Shape,
}

pub(crate) enum Shape {
    Items(&'static [Item]),
    /// All arguments are read; memory is described by a function.
    By(fn(&mut Visit<'_>)),
    /// The function says which arguments are read, too.
    AllBy(fn(&mut Visit<'_>)),
}

/// What a call does with the memory behind one argument.
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// A null pointer is accepted.
    pub(crate) nullable: bool,
    /// Index of the argument that points there.
    pub(crate) argument: usize,
    /// Bytes behind what the argument points to.
    pub(crate) offset: u64,
    pub(crate) size: Size,
    pub(crate) after: After,
    /// Where it is not `call(argument)`.
    pub(crate) text: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Path,
    Mark,
}

#[derive(Clone, Copy)]
pub(crate) enum Size {
    Bytes(u64),
    /// An argument by index, times bytes.
    Argument(usize, u64),
}

#[derive(Clone, Copy)]
pub(crate) enum After {
    Size,
    /// The result, times bytes; never more than the size.
    Result(u64),
    /// The size, when the call fails with EINTR.
    Interrupted,
}

macro_rules! calls {
    ($($number:literal $name:ident $($text:literal)?
       ($($argument:ident $($shown:literal)? $(: $width:literal)?),* $(,)?) $body:tt)*) => {
        &[$({
            #[allow(non_camel_case_types, dead_code, reason = "the names of the arguments, to be found by items")]
            enum A { $($argument),* }
            $crate::describe::Call {
                number: $number,
                name: stringify!($name),
                text: last!(stringify!($name) $(, $text)?),
                arguments: &[$($crate::describe::Argument {
                    name: last!(stringify!($argument) $(, $shown)?),
                    size: last!(8 $(, $width)?),
                }),*],
                shape: shape!($body),
            }
        }),*]
    };
}

macro_rules! last {
    ($only:expr) => {
        $only
    };
    ($first:expr, $last:expr) => {
        $last
    };
}

macro_rules! shape {
    ({ by $function:path }) => { $crate::describe::Shape::By($function) };
    ({ all by $function:path }) => { $crate::describe::Shape::AllBy($function) };
    ({ $($kind:ident $argument:ident $(+ $offset:literal)? $([$($size:tt)*])? $(as $text:literal)?);* $(;)? }) => {
        $crate::describe::Shape::Items(&[$({
            use $crate::describe::Kind::*;
            let (kind, nullable) = kind!($kind);
            let (size, after) = size!($($($size)*)?);
            $crate::describe::Item {
                kind,
                nullable,
                argument: A::$argument as usize,
                offset: last!(0 $(, $offset)?),
                size,
                after,
                text: last!(None $(, Some($text))?),
            }
        }),*])
    };
}

macro_rules! kind {
    (read) => {
        (Read, false)
    };
    (read0) => {
        (Read, true)
    };
    (write) => {
        (Write, false)
    };
    (write0) => {
        (Write, true)
    };
    (path) => {
        (Path, false)
    };
    (path0) => {
        (Path, true)
    };
    (mark0) => {
        (Mark, true)
    };
}

macro_rules! size {
    () => { size!(0) };
    ($bytes:literal) => { ($crate::describe::Size::Bytes($bytes), $crate::describe::After::Size) };
    ($bytes:literal => eintr) => {
        ($crate::describe::Size::Bytes($bytes), $crate::describe::After::Interrupted)
    };
    ($argument:ident $(* $bytes:literal)?) => {
        ($crate::describe::Size::Argument(A::$argument as usize, last!(1 $(, $bytes)?)), $crate::describe::After::Size)
    };
    ($argument:ident $(* $bytes:literal)? => result $(* $each:literal)?) => {
        (
            $crate::describe::Size::Argument(A::$argument as usize, last!(1 $(, $bytes)?)),
            $crate::describe::After::Result(last!(1 $(, $each)?)),
        )
    };
}
