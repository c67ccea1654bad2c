//! Column encodings: a sequence of `u64` values to bytes and back.
//!
//! Owns the encodings that `trace.capnp` lists at `Column`. What always holds: what [`encode`] makes, [`decode`] gives
//! back; [`decode`] reads hostile bytes without panic, never makes more values than it was asked for and rejects
//! bytes that make fewer or that go on behind the last value. Not here: compression and checksums (`codec`), which
//! column means what (`rows`).

mod blocks;

use blocks::{BLOCK, Stored};

/// Why a column cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColumnError {
    #[error("its bytes end in the middle of a value")]
    Short,
    #[error("it has bytes behind its last value")]
    Long,
    #[error("a number has more than 64 bits")]
    Overflow,
    #[error("a run of values is longer than the column")]
    Run,
    #[error("it shifts values by {0} bits, or packs them into so many")]
    Shift(u8),
}

/// Numbers of the encodings.
pub(crate) mod encoding {
    pub(crate) const RAW: u8 = 0;
    pub(crate) const BLOCKS: u8 = 1;
    pub(crate) const DELTA: u8 = 2;
    pub(crate) const DELTA_ZIGZAG: u8 = 3;
    pub(crate) const RUNS: u8 = 4;
    pub(crate) const BITS: u8 = 5;
    pub(crate) const EACH: u8 = 6;
    /// The greatest that this build knows.
    pub(crate) const LAST: u8 = EACH;
}

/// How the values of a column usually look; picks the encodings that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Near to the value before: times, addresses, indices.
    Near,
    /// Mostly small, or near to the value before: sizes, stacks.
    Small,
    /// Few different values, often many times in sequence: kinds, threads.
    Few,
    /// Mostly tiny, now and then great: differences from what was expected.
    Rare,
}

/// A number of any width that is stored in columns.
pub(crate) trait Value:
    Copy + PartialOrd + Default + std::ops::BitOr<Output = Self> + std::ops::BitXor<Output = Self>
{
    /// As 64 bits.
    fn wide(self) -> u64;
}

macro_rules! values {
    ($($int:ty)*) => {$(
        impl Value for $int {
            fn wide(self) -> u64 {
                u64::from(self)
            }
        }
    )*};
}
values!(u8 u32 u64);

/// Whether all values are the same: in pieces without an exit in between, which the compiler makes vectors of.
pub(crate) fn is_constant<T: Value>(values: &[T]) -> bool {
    let Some(&first) = values.first() else { return true };
    let differs = |piece: &[T]| piece.iter().fold(T::default(), |all, &value| all | (value ^ first));
    values.chunks(64).all(|piece| differs(piece) == T::default())
}

/// What a reader needs to decode a column beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) encoding: u8,
    pub(crate) shift: u8,
    pub(crate) base: u64,
}

/// Appends the encoded values to `out`.
pub(crate) fn encode<T: Value>(values: &[T], shape: Shape, out: &mut Vec<u8>) -> Layout {
    let Some(&first) = values.first() else {
        return Layout { encoding: encoding::RAW, shift: 0, base: 0 };
    };
    if is_constant(values) {
        return encode_run(first.wide(), values.len(), out);
    }
    match shape {
        Shape::Near => encode_near(values, out),
        Shape::Small if differences_are_shorter(values) => encode_near(values, out),
        Shape::Small => {
            blocks::put(values, Stored::Plain, 0, out);
            Layout { encoding: encoding::BLOCKS, shift: 0, base: 0 }
        }
        Shape::Rare => {
            values.iter().for_each(|value| put_uvarint(out, value.wide()));
            Layout { encoding: encoding::EACH, shift: 0, base: 0 }
        }
        Shape::Few => {
            let all = values.iter().fold(T::default(), |all, &value| all | value);
            let width = 64 - all.wide().leading_zeros() as usize;
            // A run takes its value and, mostly, one byte for its length.
            if count_runs(values) * (width.div_ceil(7) + 1) <= (values.len() * width).div_ceil(8) {
                encode_runs(values, out)
            } else {
                encode_bits(values, width, out)
            }
        }
    }
}

/// Runs of equal values; there is one at least. In pieces that a byte can count, for vectors of bytes.
fn count_runs<T: Value>(values: &[T]) -> usize {
    let ends = |(values, next): (&[T], &[T])| {
        values.iter().zip(next).fold(0u8, |ends, (value, next)| ends + u8::from(value != next))
    };
    let next = values.get(1..).unwrap_or_default();
    1 + values.chunks(128).zip(next.chunks(128)).map(ends).map(usize::from).sum::<usize>()
}

/// Whether the differences take fewer bits than the values, by what a part of them takes.
fn differences_are_shorter<T: Value>(values: &[T]) -> bool {
    let (mut plain, mut near) = (0, 0);
    for pair in values.windows(2).step_by(15) {
        let (before, value) = (pair[0].wide(), pair[1].wide());
        plain += 64 - value.leading_zeros();
        near += 64 - zigzag(value.wrapping_sub(before) as i64).leading_zeros();
    }
    near < plain
}

fn encode_near<T: Value>(values: &[T], out: &mut Vec<u8>) -> Layout {
    // Not all values are equal, so at least one bit is set somewhere. Most columns show their lowest bit soon.
    let mut all = 0;
    for piece in values.chunks(64) {
        all |= piece.iter().fold(T::default(), |all, &value| all | value).wide();
        if all & 1 != 0 {
            break;
        }
    }
    let shift = all.trailing_zeros() as u8;
    let base = values[0].wide() >> shift;
    let (encoding, stored) = if values.is_sorted() {
        (encoding::DELTA, Stored::Difference)
    } else {
        (encoding::DELTA_ZIGZAG, Stored::Folded)
    };
    blocks::put(values, stored, shift, out);
    Layout { encoding, shift, base }
}

fn encode_run(value: u64, length: usize, out: &mut Vec<u8>) -> Layout {
    put_uvarint(out, value);
    put_uvarint(out, length as u64);
    Layout { encoding: encoding::RUNS, shift: 0, base: 0 }
}

fn encode_runs<T: Value>(values: &[T], out: &mut Vec<u8>) -> Layout {
    for run in values.chunk_by(|a, b| a == b) {
        put_uvarint(out, run[0].wide());
        put_uvarint(out, run.len() as u64);
    }
    Layout { encoding: encoding::RUNS, shift: 0, base: 0 }
}

fn encode_bits<T: Value>(values: &[T], width: usize, out: &mut Vec<u8>) -> Layout {
    match width {
        1 => pack_bits::<T, 1, 8>(values, out),
        2 => pack_bits::<T, 2, 4>(values, out),
        _ => pack_any_bits(values, width, out),
    }
    Layout { encoding: encoding::BITS, shift: width as u8, base: 0 }
}

/// Values of one or two bits, a byte at a time: operations, the most frequent column of its kind.
fn pack_bits<T: Value, const WIDTH: usize, const EACH: usize>(values: &[T], out: &mut Vec<u8>) {
    let byte = |values: &[T]| values.iter().rev().fold(0, |byte, value| byte << WIDTH | value.wide() as u8);
    let (bytes, rest) = values.as_chunks::<EACH>();
    out.extend(bytes.iter().map(|values| byte(values)));
    if !rest.is_empty() {
        out.push(byte(rest));
    }
}

fn pack_any_bits<T: Value>(values: &[T], width: usize, out: &mut Vec<u8>) {
    let mut pending = 0u128;
    let mut bits = 0;
    for &value in values {
        pending |= u128::from(value.wide()) << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            bits -= 64;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..bits.div_ceil(8)]);
}

/// Decodes exactly `count` values; `layout.encoding` is a known one. The caller bounds `count`.
pub(crate) fn decode(layout: Layout, bytes: &[u8], count: usize) -> Result<Vec<u64>, ColumnError> {
    if layout.encoding == encoding::BITS {
        return decode_bits(layout.shift, bytes, count);
    }
    if layout.shift > 63 {
        return Err(ColumnError::Shift(layout.shift));
    }
    let mut values = Vec::with_capacity(count);
    let mut bytes = bytes;
    match layout.encoding {
        encoding::RAW => {
            let (words, rest) = bytes.as_chunks::<8>();
            if words.len() != count || !rest.is_empty() {
                return Err(if words.len() < count { ColumnError::Short } else { ColumnError::Long });
            }
            values.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
            bytes = &[];
        }
        encoding::BLOCKS => bytes = read_blocks(bytes, count, &mut values)?,
        encoding::DELTA => {
            bytes = read_blocks(bytes, count, &mut values)?;
            let mut sum = layout.base;
            for value in &mut values {
                sum = sum.checked_add(*value).ok_or(ColumnError::Overflow)?;
                *value = sum;
            }
        }
        encoding::DELTA_ZIGZAG => {
            bytes = read_blocks(bytes, count, &mut values)?;
            let mut sum = layout.base;
            for value in &mut values {
                sum = sum.wrapping_add(unzigzag(*value) as u64);
                *value = sum;
            }
        }
        encoding::EACH => {
            for _ in 0..count {
                values.push(uvarint(&mut bytes)?);
            }
        }
        _ => {
            while values.len() < count {
                let value = uvarint(&mut bytes)?;
                let length = usize::try_from(uvarint(&mut bytes)?).map_err(|_| ColumnError::Run)?;
                if length == 0 || length > count - values.len() {
                    return Err(ColumnError::Run);
                }
                values.extend(std::iter::repeat_n(value, length));
            }
        }
    }
    if !bytes.is_empty() {
        return Err(ColumnError::Long);
    }
    if layout.shift > 0 {
        let all = values.iter().fold(0, |all, value| all | value);
        if all.leading_zeros() < u32::from(layout.shift) {
            return Err(ColumnError::Overflow);
        }
        values.iter_mut().for_each(|value| *value <<= layout.shift);
    }
    Ok(values)
}

/// Reads `count` values in blocks, and gives back what lies behind them.
fn read_blocks<'a>(
    mut bytes: &'a [u8],
    count: usize,
    values: &mut Vec<u64>,
) -> Result<&'a [u8], ColumnError> {
    let mut left = count;
    while left > 0 {
        let (&width, rest) = bytes.split_first().ok_or(ColumnError::Short)?;
        if width > 64 {
            return Err(ColumnError::Shift(width));
        }
        let length = left.min(BLOCK);
        let packed = (length * usize::from(width)).div_ceil(8);
        let (packed, rest) = rest.split_at_checked(packed).ok_or(ColumnError::Short)?;
        unpack(width, packed, length, values)?;
        bytes = rest;
        left -= length;
    }
    Ok(bytes)
}

fn decode_bits(width: u8, bytes: &[u8], count: usize) -> Result<Vec<u64>, ColumnError> {
    let mut values = Vec::with_capacity(count);
    unpack(width, bytes, count, &mut values)?;
    Ok(values)
}

/// Reads `count` values of `width` bits that fill `bytes`.
fn unpack(width: u8, bytes: &[u8], count: usize, values: &mut Vec<u64>) -> Result<(), ColumnError> {
    if width > 64 {
        return Err(ColumnError::Shift(width));
    }
    let width = usize::from(width);
    let needed = (count * width).div_ceil(8);
    if bytes.len() != needed {
        return Err(if bytes.len() < needed { ColumnError::Short } else { ColumnError::Long });
    }
    let mask = (1u128 << width) - 1;
    let mut input = bytes.iter();
    let mut pending = 0u128;
    let mut bits = 0;
    for _ in 0..count {
        while bits < width {
            let byte = input.next().ok_or(ColumnError::Short)?;
            pending |= u128::from(*byte) << bits;
            bits += 8;
        }
        values.push((pending & mask) as u64);
        pending >>= width;
        bits -= width;
    }
    Ok(())
}

fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn uvarint(bytes: &mut &[u8]) -> Result<u64, ColumnError> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        // The tenth byte has room for bit 63 only.
        if i == 9 && byte > 1 {
            return Err(ColumnError::Overflow);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(value);
        }
    }
    Err(ColumnError::Short)
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests;
