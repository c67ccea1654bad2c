//! Column encodings: a sequence of `u64` values to bytes and back.
//!
//! Owns the encodings that `trace.capnp` lists at `Column`. What always holds: what [`encode`] makes, [`decode`] gives
//! back; [`decode`] reads hostile bytes without panic, never makes more values than it was asked for and rejects
//! bytes that make fewer or that go on behind the last value. Not here: compression and checksums (`codec`), which
//! column means what (`rows`).

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
    #[error("it shifts values by {0} bits")]
    Shift(u8),
}

/// Numbers of the encodings.
pub(crate) mod encoding {
    pub(crate) const RAW: u8 = 0;
    pub(crate) const UVARINT: u8 = 1;
    pub(crate) const DELTA: u8 = 2;
    pub(crate) const DELTA_ZIGZAG: u8 = 3;
    pub(crate) const RUNS: u8 = 4;
    pub(crate) const BITS: u8 = 5;
    /// The greatest that this build knows.
    pub(crate) const LAST: u8 = BITS;
}

/// How the values of a column usually look; picks the encodings that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Near to the value before: times, addresses, indices.
    Near,
    /// Independent of the value before, mostly small: sizes, stacks.
    Small,
    /// Few different values, often many times in sequence: kinds, threads.
    Few,
}

/// What a reader needs to decode a column beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) encoding: u8,
    pub(crate) shift: u8,
    pub(crate) base: u64,
}

/// Appends the encoded values to `out`.
pub(crate) fn encode(values: &[u64], shape: Shape, out: &mut Vec<u8>) -> Layout {
    let Some(&first) = values.first() else {
        return Layout { encoding: encoding::RAW, shift: 0, base: 0 };
    };
    if values.iter().all(|&value| value == first) {
        return encode_runs(values, out);
    }
    match shape {
        Shape::Near => encode_near(values, out),
        Shape::Small => {
            for &value in values {
                put_uvarint(out, value);
            }
            Layout { encoding: encoding::UVARINT, shift: 0, base: 0 }
        }
        Shape::Few => {
            let all = values.iter().fold(0, |all, value| all | value);
            let width = 64 - all.leading_zeros() as usize;
            let runs = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
            // A run takes its value and, mostly, one byte for its length.
            if runs * (width.div_ceil(7) + 1) <= (values.len() * width).div_ceil(8) {
                encode_runs(values, out)
            } else {
                encode_bits(values, width, out)
            }
        }
    }
}

fn encode_near(values: &[u64], out: &mut Vec<u8>) -> Layout {
    let all = values.iter().fold(0, |all, value| all | value);
    // Not all values are equal, so at least one bit is set.
    let shift = all.trailing_zeros() as u8;
    let base = values[0] >> shift;
    let mut previous = base;
    if values.is_sorted() {
        for &value in values {
            let value = value >> shift;
            put_uvarint(out, value - previous);
            previous = value;
        }
        return Layout { encoding: encoding::DELTA, shift, base };
    }
    for &value in values {
        let value = value >> shift;
        put_uvarint(out, zigzag(value.wrapping_sub(previous) as i64));
        previous = value;
    }
    Layout { encoding: encoding::DELTA_ZIGZAG, shift, base }
}

fn encode_runs(values: &[u64], out: &mut Vec<u8>) -> Layout {
    for run in values.chunk_by(|a, b| a == b) {
        put_uvarint(out, run[0]);
        put_uvarint(out, run.len() as u64);
    }
    Layout { encoding: encoding::RUNS, shift: 0, base: 0 }
}

fn encode_bits(values: &[u64], width: usize, out: &mut Vec<u8>) -> Layout {
    let mut pending = 0u128;
    let mut bits = 0;
    for &value in values {
        pending |= u128::from(value) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
    Layout { encoding: encoding::BITS, shift: width as u8, base: 0 }
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
        encoding::UVARINT => {
            for _ in 0..count {
                values.push(uvarint(&mut bytes)?);
            }
        }
        encoding::DELTA => {
            let mut value = layout.base;
            for _ in 0..count {
                value = value.checked_add(uvarint(&mut bytes)?).ok_or(ColumnError::Overflow)?;
                values.push(value);
            }
        }
        encoding::DELTA_ZIGZAG => {
            let mut value = layout.base;
            for _ in 0..count {
                value = value.wrapping_add(unzigzag(uvarint(&mut bytes)?) as u64);
                values.push(value);
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

fn decode_bits(width: u8, bytes: &[u8], count: usize) -> Result<Vec<u64>, ColumnError> {
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
    let mut values = Vec::with_capacity(count);
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
    Ok(values)
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
