//! Blocks of values in as many bits as the widest of each needs: how most columns are stored.
//!
//! Owns the writing of blocks; hundreds of millions of values pass here. What always holds: no branch and no shift
//! depends on a single value, only on the width of its block: widths vary at random, and a branch that is guessed wrong
//! costs more than all else here. Not here: reading, and the choice of what is stored (both `column`).

use super::{Value, zigzag};

/// Values of a block.
pub(super) const BLOCK: usize = 16;

/// Bytes of the values of the widest block.
const WIDEST: usize = 8 * BLOCK;

/// What is stored of a value. Differences are those to the value before, 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// The value.
    Plain,
    /// Its difference; with values that rise.
    Difference,
    /// Its difference, folded so that small negative ones are small.
    Folded,
}

/// Appends what is `stored` of the values without their lowest `shift` bits, in blocks: one byte with the bits that
/// the widest of a block needs, then all of its values in so many bits, from the lowest bit up.
pub(super) fn put<T: Value>(values: &[T], stored: Stored, shift: u8, out: &mut Vec<u8>) {
    let short = move |value: T| value.wide() >> shift;
    let difference = move |value: T, before: T| short(value).wrapping_sub(short(before));
    match stored {
        Stored::Plain => put_pairs(values, |value, _| short(value), out),
        Stored::Difference => put_pairs(values, difference, out),
        Stored::Folded => {
            put_pairs(values, move |value, before| zigzag(difference(value, before) as i64), out);
        }
    }
}

/// Values that are made before any of them is packed: in a loop of only 16 turns the compiler would not use vectors.
const GROUP: usize = 8 * BLOCK;

/// Appends what `each` makes of the values, each given with the value before it; the first with itself.
fn put_pairs<T: Value>(values: &[T], each: impl Fn(T, T) -> u64, out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    let mut made = [0; GROUP];
    made[0] = each(first, first);
    let mut packed = [0; GROUP / BLOCK * (1 + WIDEST)];
    // The same values one place earlier instead of a value that is carried from one turn to the next.
    let mut pairs = (&values[1..], values);
    let mut places = 1..GROUP.min(values.len());
    loop {
        let (now, later) = pairs.0.split_at(places.len());
        for ((made, &value), &before) in made[places.clone()].iter_mut().zip(now).zip(pairs.1) {
            *made = each(value, before);
        }
        // What the last block lacks is packed as zeros and cut off.
        made[places.end..].fill(0);
        let length = pack_group(&made, places.end, &mut packed);
        out.extend_from_slice(&packed[..length]);
        if later.is_empty() {
            return;
        }
        pairs = (later, &pairs.1[places.len()..]);
        places = 0..GROUP.min(later.len());
    }
}

/// Packs the first `count` values, of which there is one at least, and returns the bytes that they take.
fn pack_group(values: &[u64; GROUP], count: usize, packed: &mut [u8; GROUP / BLOCK * (1 + WIDEST)]) -> usize {
    let (blocks, _) = values.as_chunks::<BLOCK>();
    let (mut at, mut end) = (0, 0);
    for (block, begin) in blocks[..count.div_ceil(BLOCK)].iter().zip((0..).step_by(BLOCK)) {
        let all = block.iter().fold(0, |all, value| all | value);
        let width = 64 - all.leading_zeros() as usize;
        let Some((first, rest)) = packed[at..].split_first_mut() else { break };
        let Some(rest) = rest.first_chunk_mut() else { break };
        *first = width as u8;
        PACKERS[width](block, rest);
        end = at + 1 + ((count - begin).min(BLOCK) * width).div_ceil(8);
        at += 1 + 2 * width;
    }
    end
}

/// Packs a block; bytes behind the packed ones are overwritten, too.
type Packer = fn(&[u64; BLOCK], &mut [u8; WIDEST]);

/// By width. Where the compiler knows the width, it knows each shift and which values share a word: a quarter of the
/// time of one loop for all widths.
const PACKERS: [Packer; 65] = {
    macro_rules! packers {
        ($($width:literal)*) => { [$(pack::<$width>),*] };
    }
    packers!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    )
};

fn pack<const WIDTH: usize>(values: &[u64; BLOCK], packed: &mut [u8; WIDEST]) {
    let (words, _) = packed.as_chunks_mut::<8>();
    let (mut word, mut bits, mut at) = (0, 0, 0);
    let mut add = |value: u64| {
        word |= value << bits;
        bits += WIDTH;
        if bits >= 64 {
            words[at] = word.to_le_bytes();
            at += 1;
            bits -= 64;
            // The bits of the value that had no room; none when it ended with the word.
            word = if bits == 0 { 0 } else { value >> (WIDTH - bits) };
        }
    };
    // No loop: the compiler leaves one of so many turns as it is.
    macro_rules! add_each {
        ($($i:literal)*) => { $(add(values[$i]);)* };
    }
    add_each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    if bits > 0 {
        words[at] = word.to_le_bytes();
    }
}
