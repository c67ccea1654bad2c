//! Rows (heap events, blocks, roots, edges, executed code, its jumps and its lines) to columns and back.
//!
//! Owns the column ids that `trace.capnp` lists at `Chunk`, `SnapshotPiece`, `Executions`, `Jumps` and `CodeLines`, and which
//! rows have which column. Not here: how a column is encoded (`column`) or stored (`codec`).

use crate::{
    column::Shape,
    model::{Block, Edge, Family, HeapEvent, Op, Root},
};

mod code;

/// Most rows in a message that a reader accepts.
pub(crate) const MAX_ROWS: usize = 65536;

/// Rows at which a writer cuts pieces of snapshots, executions and lines.
pub(crate) const ROWS: usize = 32768;

/// `Chunk.kind` of heap events.
pub(crate) const HEAP_EVENTS: u16 = 1;

/// A column of a row type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Rows cannot be read without it. Columns that are absent otherwise hold 0.
    pub(crate) required: bool,
}

const fn spec(id: u16, name: &'static str, shape: Shape, required: bool) -> Spec {
    Spec { id, name, shape, required }
}

/// Why rows cannot be made from columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    #[error("column {column} holds {value}, which is too great")]
    Value { column: &'static str, value: u64 },
    #[error("column {column} has {values} values for {rows} rows")]
    Count { column: &'static str, values: usize, rows: usize },
    #[error("row {row} has no instruction")]
    NoInstruction { row: usize },
    #[error("row {row} tells {passed} jumps of {executed} that were not taken")]
    Passed { row: usize, passed: u64, executed: u64 },
    #[error("rva {after:#x} comes after {before:#x}")]
    Order { before: u64, after: u64 },
}

/// Decoded columns, in the order of the row type's specs; `None` for absent ones.
pub(crate) struct Columns<'a> {
    pub(crate) specs: &'static [Spec],
    pub(crate) values: &'a [Option<Vec<u64>>],
}

impl Columns<'_> {
    /// Column number `i`, which must have `rows` values when it is there.
    fn column(&self, i: usize, rows: usize) -> Result<Cells<'_>, RowError> {
        let column = self.specs[i].name;
        match self.values.get(i).and_then(Option::as_deref) {
            Some(values) if values.len() != rows => {
                Err(RowError::Count { column, values: values.len(), rows })
            }
            values => Ok(Cells { column, values: values.map(<[u64]>::iter) }),
        }
    }
}

/// The values of one column, one after the other; zeros when the column is absent.
struct Cells<'a> {
    column: &'static str,
    values: Option<std::slice::Iter<'a, u64>>,
}

impl Cells<'_> {
    fn next(&mut self) -> u64 {
        self.values.as_mut().and_then(Iterator::next).copied().unwrap_or(0)
    }

    fn next_as<T: TryFrom<u64>>(&mut self) -> Result<T, RowError> {
        let value = self.next();
        T::try_from(value).map_err(|_| RowError::Value { column: self.column, value })
    }
}

/// A type whose values are stored as columns.
pub(crate) trait Row: Sized {
    /// Its columns.
    const SPECS: &'static [Spec];

    /// Makes `count` rows.
    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError>;
}

/// A type whose values are turned into columns when they are written. Heap events are columns from the start: see
/// `events`.
pub(crate) trait Piece: Row {
    /// Appends the values of column number `i` of all rows.
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>);
}

impl Row for HeapEvent {
    const SPECS: &'static [Spec] = &[
        spec(1, "op", Shape::Few, true),
        spec(2, "time", Shape::Near, false),
        spec(3, "instr", Shape::Near, false),
        spec(4, "thread", Shape::Few, false),
        spec(5, "address", Shape::Near, true),
        spec(6, "stack", Shape::Small, false),
        spec(7, "family", Shape::Few, false),
        spec(8, "size", Shape::Small, true),
        spec(9, "align", Shape::Few, false),
        spec(10, "oldAddress", Shape::Near, true),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut ops = columns.column(0, count)?;
        let ops: Vec<Op> =
            (0..count).map(|_| ops.next_as().map(Op::from_number)).collect::<Result<_, _>>()?;
        let frees = ops.iter().filter(|op| **op == Op::Free).count();
        let moves = ops.iter().filter(|op| **op == Op::Realloc).count();
        let mut time = columns.column(1, count)?;
        let mut instructions = columns.column(2, count)?;
        let mut thread = columns.column(3, count)?;
        let mut address = columns.column(4, count)?;
        let mut stack = columns.column(5, count)?;
        let mut family = columns.column(6, count)?;
        let mut size = columns.column(7, count - frees)?;
        let mut align = columns.column(8, count - frees)?;
        let mut old_address = columns.column(9, moves)?;
        ops.into_iter()
            .map(|op| {
                let sized = op != Op::Free;
                Ok(HeapEvent {
                    op,
                    time: time.next(),
                    instructions: instructions.next(),
                    thread: thread.next_as()?,
                    address: address.next(),
                    stack: stack.next_as()?,
                    family: Family::from_number(family.next_as()?),
                    size: if sized { size.next() } else { 0 },
                    align_log2: if sized { align.next_as()? } else { 0 },
                    old_address: if op == Op::Realloc { old_address.next() } else { 0 },
                })
            })
            .collect()
    }
}

impl Row for Block {
    const SPECS: &'static [Spec] = &[
        spec(1, "address", Shape::Near, true),
        spec(2, "size", Shape::Small, true),
        spec(3, "stack", Shape::Small, false),
        spec(4, "family", Shape::Few, false),
        spec(5, "align", Shape::Few, false),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut address = columns.column(0, count)?;
        let mut size = columns.column(1, count)?;
        let mut stack = columns.column(2, count)?;
        let mut family = columns.column(3, count)?;
        let mut align = columns.column(4, count)?;
        (0..count)
            .map(|_| {
                Ok(Block {
                    address: address.next(),
                    size: size.next(),
                    stack: stack.next_as()?,
                    family: Family::from_number(family.next_as()?),
                    align_log2: align.next_as()?,
                })
            })
            .collect()
    }
}

impl Piece for Block {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| row.address)),
            1 => out.extend(rows.iter().map(|row| row.size)),
            2 => out.extend(rows.iter().map(|row| u64::from(row.stack))),
            3 => out.extend(rows.iter().map(|row| u64::from(row.family.number()))),
            _ => out.extend(rows.iter().map(|row| u64::from(row.align_log2))),
        }
    }
}

impl Row for Root {
    const SPECS: &'static [Spec] = &[
        spec(1, "where", Shape::Near, true),
        spec(2, "block", Shape::Near, true),
        spec(3, "flags", Shape::Few, true),
        spec(4, "thread", Shape::Few, false),
        spec(5, "offset", Shape::Small, false),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut location = columns.column(0, count)?;
        let mut block = columns.column(1, count)?;
        let mut flags = columns.column(2, count)?;
        let mut thread = columns.column(3, count)?;
        let mut offset = columns.column(4, count)?;
        (0..count)
            .map(|_| {
                Ok(Root {
                    location: location.next(),
                    block: block.next_as()?,
                    flags: flags.next_as()?,
                    thread: thread.next_as()?,
                    offset: offset.next(),
                })
            })
            .collect()
    }
}

impl Piece for Root {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| row.location)),
            1 => out.extend(rows.iter().map(|row| u64::from(row.block))),
            2 => out.extend(rows.iter().map(|row| u64::from(row.flags))),
            3 => out.extend(rows.iter().map(|row| u64::from(row.thread))),
            _ => out.extend(rows.iter().map(|row| row.offset)),
        }
    }
}

impl Row for Edge {
    const SPECS: &'static [Spec] = &[
        spec(1, "source", Shape::Near, true),
        spec(2, "target", Shape::Near, true),
        spec(3, "offset", Shape::Small, true),
        spec(4, "flags", Shape::Few, true),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut source = columns.column(0, count)?;
        let mut target = columns.column(1, count)?;
        let mut offset = columns.column(2, count)?;
        let mut flags = columns.column(3, count)?;
        (0..count)
            .map(|_| {
                Ok(Edge {
                    source: source.next_as()?,
                    target: target.next_as()?,
                    offset: offset.next(),
                    flags: flags.next_as()?,
                })
            })
            .collect()
    }
}

impl Piece for Edge {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.source))),
            1 => out.extend(rows.iter().map(|row| u64::from(row.target))),
            2 => out.extend(rows.iter().map(|row| row.offset)),
            _ => out.extend(rows.iter().map(|row| u64::from(row.flags))),
        }
    }
}
