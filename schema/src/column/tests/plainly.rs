//! The encoders against plain ones that do one value after the other: the same bytes, for any values. Traces are
//! compared and kept; a quicker encoder must not change them.

use super::super::*;
use super::round_trip;

/// Bits from the lowest up.
#[derive(Default)]
struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    fn put(&mut self, value: u64, width: usize) {
        self.bits.extend((0..width).map(|bit| value >> bit & 1 != 0));
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        self.bits.chunks(8).map(byte)
    }
}

fn width(values: &[u64]) -> usize {
    values.iter().map(|value| 64 - value.leading_zeros() as usize).max().unwrap_or(0)
}

fn plain_blocks(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in values.chunks(16) {
        let width = width(block);
        let mut bits = BitWriter::default();
        block.iter().for_each(|&value| bits.put(value, width));
        out.push(width as u8);
        out.extend(bits.bytes());
    }
    out
}

fn plain_runs(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        put_uvarint(&mut out, run[0]);
        put_uvarint(&mut out, run.len() as u64);
    }
    out
}

fn plain_near(values: &[u64]) -> (Layout, Vec<u8>) {
    let shift = values.iter().fold(0, |all, value| all | value).trailing_zeros();
    let short: Vec<u64> = values.iter().map(|value| value >> shift).collect();
    let mut before = short[0];
    let mut differences = Vec::new();
    for &value in &short {
        differences.push(value.wrapping_sub(before));
        before = value;
    }
    let encoding = if values.is_sorted() {
        encoding::DELTA
    } else {
        differences.iter_mut().for_each(|value| *value = zigzag(*value as i64));
        encoding::DELTA_ZIGZAG
    };
    (Layout { encoding, shift: shift as u8, base: short[0] }, plain_blocks(&differences))
}

fn plainly(values: &[u64], shape: Shape) -> (Layout, Vec<u8>) {
    let of = |encoding, shift| Layout { encoding, shift, base: 0 };
    if values.is_empty() {
        return (of(encoding::RAW, 0), Vec::new());
    }
    if values.iter().all(|value| *value == values[0]) {
        return (of(encoding::RUNS, 0), plain_runs(values));
    }
    match shape {
        Shape::Near => plain_near(values),
        Shape::Small if differences_are_shorter(values) => plain_near(values),
        Shape::Small => (of(encoding::BLOCKS, 0), plain_blocks(values)),
        Shape::Few => {
            let width = width(values);
            let runs = values.chunk_by(|a, b| a == b).count();
            if runs * (width.div_ceil(7) + 1) <= (values.len() * width).div_ceil(8) {
                return (of(encoding::RUNS, 0), plain_runs(values));
            }
            let mut bits = BitWriter::default();
            values.iter().for_each(|&value| bits.put(value, width));
            (of(encoding::BITS, width as u8), bits.bytes().collect())
        }
        Shape::Rare => {
            let mut out = Vec::new();
            values.iter().for_each(|value| put_uvarint(&mut out, *value));
            (of(encoding::EACH, 0), out)
        }
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of any width up to `widest`, each as likely as another.
    fn number(&mut self, widest: u64) -> u64 {
        let width = self.below(widest + 1) as u32;
        self.next().checked_shr(64 - width).unwrap_or(0)
    }

    /// Values as columns have them, no wider than `bits`.
    fn column(&mut self, bits: u64) -> Vec<u64> {
        let length = match self.below(4) {
            0 => self.below(70),
            1 => 16 * self.below(40) + self.below(3),
            _ => self.below(1500),
        };
        let (kind, widest, shift) = (self.below(6), self.below(bits + 1), self.below(6) as u32);
        let top = u64::MAX >> (64 - bits);
        let mut last = self.number(bits);
        let each = |_| {
            let value = match kind {
                // Rises, falls, or both.
                0 => last.saturating_add(self.number(widest.min(20))).min(top),
                1 => last.saturating_sub(self.number(widest.min(20))),
                2 => last.wrapping_add(self.number(widest)).wrapping_sub(self.number(widest)) & top,
                3 => self.number(widest),
                // Seldom something else.
                4 if self.below(64) == 0 => self.number(bits),
                4 => last,
                // Few values.
                _ => self.below(1 << widest.min(5)),
            };
            last = value;
            (value << shift) & top
        };
        (0..length).map(each).collect()
    }
}

fn check<T: Value>(values: &[T], shape: Shape, expected: &(Layout, Vec<u8>), what: &str) {
    // Behind what is there already.
    let mut bytes = vec![7];
    let layout = encode(values, shape, &mut bytes);
    assert!(layout == expected.0 && bytes[1..] == expected.1, "{what}: {shape:?}, {} values", values.len());
}

#[test]
fn random_columns_have_the_bytes_of_plain_encoders() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..6000 {
        let bits = [8, 32, 64, 64][round % 4];
        let values = random.column(bits);
        for shape in [Shape::Near, Shape::Small, Shape::Few, Shape::Rare] {
            let expected = plainly(&values, shape);
            let what = format!("round {round}");
            check(&values, shape, &expected, &what);
            if bits <= 32 {
                let values: Vec<u32> = values.iter().map(|&value| value as u32).collect();
                check(&values, shape, &expected, &what);
            }
            if bits == 8 {
                let values: Vec<u8> = values.iter().map(|&value| value as u8).collect();
                check(&values, shape, &expected, &what);
            }
            round_trip(&values, shape);
        }
    }
}
