//! Storage of columns in messages: compression, checksum, and the limits that hold before memory is taken.
//!
//! What always holds: a column that comes out has the number of values that its message names, at most
//! [`MAX_ROWS`]; nothing is decompressed before its checksum and its size limit are checked. Not here: encodings
//! (`column`), meaning (`rows`).

use capnp::struct_list;

use crate::{
    column::{self, ColumnError, Layout, Shape, Value},
    events::{EachColumn, EventChunk},
    model::HeapEvent,
    raw::trace_capnp::column as raw_column,
    rows::{Columns, MAX_ROWS, Piece, Row, RowError, Spec},
};

/// How columns are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Not at all.
    None,
    /// lz4: fast, for pipes.
    #[default]
    Lz4,
    /// zstd level 1: small, for files.
    Zstd,
}

const NONE: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;

/// Columns with fewer bytes are not worth a compressor's overhead.
const MIN_COMPRESSED: usize = 64;

/// Greatest size of a decompressed column, whatever its number of values.
const MAX_RAW: usize = 64 << 20;

/// Most bytes that `values` values can need in any encoding: a run is 10 bytes of value and up to 5 of length.
const fn raw_limit(values: usize) -> usize {
    let limit = 16 * values + 64;
    if limit < MAX_RAW { limit } else { MAX_RAW }
}

/// A column ready to be stored.
#[derive(Debug)]
pub(crate) struct Stored {
    id: u16,
    layout: Layout,
    codec: u8,
    values: u32,
    raw_bytes: u32,
    data: Vec<u8>,
}

impl Stored {
    /// Bytes that it takes in a message, at most.
    pub(crate) fn bytes(&self) -> usize {
        // 5 words of data and one pointer, the data rounded up.
        56 + self.data.len()
    }

    pub(crate) fn store(&self, mut column: raw_column::Builder<'_>) {
        column.set_id(self.id);
        column.set_encoding(self.layout.encoding);
        column.set_codec(self.codec);
        column.set_shift(self.layout.shift);
        column.set_values(self.values);
        column.set_raw_bytes(self.raw_bytes);
        column.set_base(self.layout.base);
        column.set_crc32(crc32fast::hash(&self.data));
        column.set_data(&self.data);
    }
}

/// Columns with fewer bytes are always tried: what was learnt from others may not hold.
const LEAST_TELLING: usize = 4096;

/// How many large columns are stored as they are after one that did not shrink to half: then
/// compressing costs more than writing the bytes.
const PAUSE: u8 = 15;

/// Most columns whose memory is kept: those of a chunk.
const MOST_SPARE: usize = HeapEvent::SPECS.len();

/// Turns rows into stored columns; keeps its buffers and its zstd state.
pub(crate) struct Packer {
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    values: Vec<u64>,
    raw: Vec<u8>,
    /// Memory of columns that were written.
    spare: Vec<Vec<u8>>,
    /// For each column of heap events: how many are still to be stored without a try.
    pauses: [u8; HeapEvent::SPECS.len()],
}

impl Packer {
    pub(crate) fn new(codec: Codec) -> Self {
        // Without a compressor (no memory) columns are stored as they are, which every reader understands.
        let zstd = if codec == Codec::Zstd { zstd::bulk::Compressor::new(1).ok() } else { None };
        let pauses = [0; HeapEvent::SPECS.len()];
        Self { codec, zstd, values: Vec::new(), raw: Vec::new(), spare: Vec::new(), pauses }
    }

    /// The columns of heap events, without optional ones that hold only zeros.
    pub(crate) fn pack_events(&mut self, events: &EventChunk) -> Vec<Stored> {
        struct Pack<'a>(&'a mut Packer, Vec<Stored>);
        impl EachColumn for Pack<'_> {
            fn column<T: Value>(&mut self, i: usize, values: &[T]) {
                let Self(packer, columns) = self;
                let spec = HeapEvent::SPECS[i];
                let Some(layout) = packer.encode(spec, values) else { return };
                // Times and addresses have noise in their low bits: compressing gains less than it takes.
                let worth_it = spec.shape != Shape::Near && packer.pauses[i] == 0;
                let column = packer.store(spec, layout, values.len(), worth_it);
                let raw_bytes = column.raw_bytes as usize;
                if raw_bytes >= LEAST_TELLING {
                    packer.pauses[i] = match packer.pauses[i] {
                        0 if column.data.len() * 2 > raw_bytes => PAUSE,
                        pause => pause.saturating_sub(1),
                    };
                }
                columns.push(column);
            }
        }
        let mut pack = Pack(self, Vec::with_capacity(HeapEvent::SPECS.len()));
        events.columns(&mut pack);
        pack.1
    }

    /// The columns of some rows, without optional ones that hold only zeros.
    pub(crate) fn pack<T: Piece>(&mut self, rows: &[T]) -> Vec<Stored> {
        let mut columns = Vec::with_capacity(T::SPECS.len());
        let mut values = std::mem::take(&mut self.values);
        for (i, spec) in T::SPECS.iter().enumerate() {
            values.clear();
            T::values(rows, i, &mut values);
            if let Some(layout) = self.encode(*spec, &values) {
                columns.push(self.store(*spec, layout, values.len(), true));
            }
        }
        self.values = values;
        columns
    }

    /// A column that is no field of rows.
    pub(crate) fn pack_alone(&mut self, values: &[u64]) -> Stored {
        const ALONE: Spec = Spec { id: 0, name: "", shape: Shape::Rare, required: true };
        self.raw.clear();
        let layout = column::encode(values, ALONE.shape, &mut self.raw);
        self.store(ALONE, layout, values.len(), true)
    }

    /// Takes back columns that were written: their memory serves the next ones.
    pub(crate) fn take_back(&mut self, columns: Vec<Stored>) {
        let room = MOST_SPARE.saturating_sub(self.spare.len());
        self.spare.extend(columns.into_iter().map(|column| column.data).take(room));
    }

    /// Encodes a column into `raw`; `None` when it is optional and holds only zeros.
    fn encode<T: Value>(&mut self, spec: Spec, values: &[T]) -> Option<Layout> {
        let zero = values.first().is_none_or(|first| *first == T::default());
        if !spec.required && zero && column::is_constant(values) {
            return None;
        }
        self.raw.clear();
        Some(column::encode(values, spec.shape, &mut self.raw))
    }

    /// The column in `raw`, compressed when that was asked for and helps.
    fn store(&mut self, spec: Spec, layout: Layout, values: usize, compress: bool) -> Stored {
        let raw_bytes = self.raw.len() as u32;
        let (codec, data) = compress.then(|| self.compress()).flatten().unwrap_or_else(|| {
            let next = self.spare.pop().unwrap_or_default();
            (NONE, std::mem::replace(&mut self.raw, next))
        });
        Stored { id: spec.id, layout, codec, values: values as u32, raw_bytes, data }
    }

    /// What is in `raw`, compressed; `None` when that does not help.
    fn compress(&mut self) -> Option<(u8, Vec<u8>)> {
        if self.raw.len() < MIN_COMPRESSED {
            return None;
        }
        let (codec, data) = match (self.codec, &mut self.zstd) {
            (Codec::Lz4, _) => (LZ4, lz4_flex::block::compress(&self.raw)),
            (Codec::Zstd, Some(zstd)) => (ZSTD, zstd.compress(&self.raw).ok()?),
            _ => return None,
        };
        (data.len() < self.raw.len()).then_some((codec, data))
    }
}

/// Why stored columns do not give rows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// Not an error of the trace: something newer than this build.
    #[error("column {0} is missing or stored in a way that this build does not know")]
    Unknown(u16),
    #[error("it has {0} rows, more than {MAX_ROWS}")]
    Rows(u32),
    #[error("column {id} ({name}): {why}")]
    Column { id: u16, name: &'static str, why: String },
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Message(#[from] capnp::Error),
}

/// Makes `count` rows from stored columns.
pub(crate) fn unpack<T: Row>(
    columns: struct_list::Reader<'_, raw_column::Owned>,
    count: u32,
) -> Result<Vec<T>, UnpackError> {
    let rows = usize::try_from(count).ok().filter(|&rows| rows <= MAX_ROWS);
    let rows = rows.ok_or(UnpackError::Rows(count))?;
    let mut values: Vec<Option<Vec<u64>>> = vec![None; T::SPECS.len()];
    // An optional column that cannot be read leaves zeros, as for a column that is not there.
    for column in columns {
        let id = column.get_id();
        let Some(i) = T::SPECS.iter().position(|spec| spec.id == id) else { continue };
        let name = T::SPECS[i].name;
        let error = |why: String| UnpackError::Column { id, name, why };
        if column.get_encoding() > column::encoding::LAST || column.get_codec() > ZSTD {
            continue;
        }
        if values[i].is_some() {
            return Err(error("it is there twice".to_owned()));
        }
        values[i] = Some(unpack_column(column, rows).map_err(error)?);
    }
    if let Some(i) = T::SPECS.iter().zip(&values).position(|(spec, values)| spec.required && values.is_none())
    {
        return Err(UnpackError::Unknown(T::SPECS[i].id));
    }
    Ok(T::rows(&Columns { specs: T::SPECS, values: &values }, rows)?)
}

/// The values of a column that is no field of rows, at most so many; none when they are stored in a way that this build does not know.
pub(crate) fn unpack_alone(column: raw_column::Reader<'_>, most: usize) -> Result<Option<Vec<u64>>, String> {
    if column.get_encoding() > column::encoding::LAST || column.get_codec() > ZSTD {
        return Ok(None);
    }
    unpack_column(column, most).map(Some)
}

fn unpack_column(column: raw_column::Reader<'_>, rows: usize) -> Result<Vec<u64>, String> {
    let values = column.get_values() as usize;
    if values > rows {
        return Err(format!("it has {values} values for {rows} rows"));
    }
    let raw_bytes = column.get_raw_bytes() as usize;
    if raw_bytes > raw_limit(values) {
        return Err(format!("{raw_bytes} bytes are too many for {values} values"));
    }
    let data = column.get_data().map_err(|error| error.to_string())?;
    let checksum = crc32fast::hash(data);
    if checksum != column.get_crc32() {
        return Err(format!("its checksum is {checksum:08x}, not {:08x}", column.get_crc32()));
    }
    let decompressed;
    let raw = match column.get_codec() {
        NONE => data,
        LZ4 => {
            decompressed = lz4_flex::block::decompress(data, raw_bytes).map_err(|error| error.to_string())?;
            &decompressed
        }
        _ => {
            decompressed = zstd::bulk::decompress(data, raw_bytes).map_err(|error| error.to_string())?;
            &decompressed
        }
    };
    if raw.len() != raw_bytes {
        return Err(format!("it has {} bytes and names {raw_bytes}", raw.len()));
    }
    let layout =
        Layout { encoding: column.get_encoding(), shift: column.get_shift(), base: column.get_base() };
    column::decode(layout, raw, values).map_err(|error: ColumnError| error.to_string())
}
