//! Tests of the column encodings.

use super::*;

mod plainly;

fn round_trip(values: &[u64], shape: Shape) -> (Layout, Vec<u8>) {
    let mut bytes = Vec::new();
    let layout = encode(values, shape, &mut bytes);
    assert_eq!(decode(layout, &bytes, values.len()).as_deref(), Ok(values), "{shape:?} {layout:?}");
    (layout, bytes)
}

#[test]
fn every_shape_gives_back_what_it_got() {
    let near: Vec<u64> = (0..1000).map(|i| 0x7f00_0000_0000 + (i * 7919 % 1009) * 16).collect();
    let rising: Vec<u64> = (0..1000).map(|i| 5 + i * i).collect();
    let edges = [0, 1, u64::MAX, 0x7f, 0x80, 1 << 63, u64::MAX - 1, 0, u64::MAX];
    let runs: Vec<u64> = (0..1000).map(|i| i / 300).collect();
    let [one, two, five] =
        [2, 4, 32].map(|bound| (0..1003).map(|i| i * 7 % 11 % bound).collect::<Vec<u64>>());
    for values in [
        &near[..],
        &rising,
        &edges,
        &runs,
        &one,
        &two,
        &five,
        &[],
        &[0],
        &[u64::MAX],
        &[7; 500],
        &[1 << 63, 0],
    ] {
        for shape in [Shape::Near, Shape::Small, Shape::Few, Shape::Rare] {
            round_trip(values, shape);
        }
    }
}

#[test]
fn blocks_take_the_bits_of_their_widest_value() {
    for width in 0..=64usize {
        let values: Vec<u64> = (0..40)
            .map(|i| if i == 3 { u64::MAX.checked_shr(64 - width as u32).unwrap_or(0) } else { 0 })
            .collect();
        let mut bytes = Vec::new();
        blocks::put(&values, Stored::Plain, 0, &mut bytes);
        // Two whole blocks and one of eight values.
        assert_eq!(bytes.len(), 3 + 2 * width, "{width}");
        let mut back = Vec::new();
        assert_eq!(read_blocks(&bytes, 40, &mut back), Ok(&[][..]));
        assert_eq!(back, values);
    }
}

#[test]
fn narrow_values_give_the_bytes_of_wide_ones() {
    let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 37 % 251) as u8).collect();
    let words: Vec<u32> = bytes.iter().map(|&byte| u32::from(byte) << 20).collect();
    for shape in [Shape::Near, Shape::Small, Shape::Few, Shape::Rare] {
        for length in [0, 1, 63, 64, 65, 1000] {
            let (mut narrow, mut wide) = (Vec::new(), Vec::new());
            let values: Vec<u64> = bytes[..length].iter().map(|&byte| byte.into()).collect();
            let layouts = (encode(&bytes[..length], shape, &mut narrow), encode(&values, shape, &mut wide));
            assert_eq!((layouts.0, &narrow), (layouts.1, &wide), "{shape:?} {length}");
            let values: Vec<u64> = words[..length].iter().map(|&word| word.into()).collect();
            narrow.clear();
            wide.clear();
            let layouts = (encode(&words[..length], shape, &mut narrow), encode(&values, shape, &mut wide));
            assert_eq!((layouts.0, &narrow), (layouts.1, &wide), "{shape:?} {length}");
        }
    }
}

#[test]
fn encodings_are_chosen_by_the_values() {
    let rising: Vec<u64> = (0..100).map(|i| 4096 + i * 64).collect();
    let (layout, bytes) = round_trip(&rising, Shape::Near);
    assert_eq!((layout.encoding, layout.shift, bytes.len()), (encoding::DELTA, 6, 7 + 13));
    let mut falling = rising.clone();
    falling.reverse();
    assert_eq!(round_trip(&falling, Shape::Near).0.encoding, encoding::DELTA_ZIGZAG);
    assert_eq!(round_trip(&[9; 100], Shape::Near).1, [9, 100]);
    let far_and_near: Vec<u64> = (0..100).map(|i| 70_000 + i * 13 % 7).collect();
    assert_eq!(round_trip(&far_and_near, Shape::Small).0.encoding, encoding::DELTA_ZIGZAG);
    let small_and_jumping: Vec<u64> = (0..100).map(|i| i * 59 % 127).collect();
    assert_eq!(round_trip(&small_and_jumping, Shape::Small).0.encoding, encoding::BLOCKS);
    let alternating: Vec<u64> = (0..100).map(|i| i % 2).collect();
    let (layout, bytes) = round_trip(&alternating, Shape::Few);
    assert_eq!((layout.encoding, layout.shift, bytes.len()), (encoding::BITS, 1, 13));
}

#[test]
fn raw_is_read() {
    let layout = Layout { encoding: encoding::RAW, shift: 0, base: 0 };
    let bytes: Vec<u8> = [1u64, u64::MAX].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(decode(layout, &bytes, 2), Ok(vec![1, u64::MAX]));
    assert_eq!(decode(layout, &bytes, 1), Err(ColumnError::Long));
    assert_eq!(decode(layout, &bytes, 3), Err(ColumnError::Short));
    assert_eq!(decode(layout, &bytes[..15], 1), Err(ColumnError::Long));
}

#[test]
fn hostile_bytes_are_refused() {
    let layout = |encoding| Layout { encoding, shift: 0, base: 0 };
    let overlong = [0xff; 11];
    let eleven_bits_too_many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    let runs = layout(encoding::RUNS);
    assert_eq!(decode(runs, &overlong, 1), Err(ColumnError::Overflow));
    assert_eq!(decode(runs, &eleven_bits_too_many, 1), Err(ColumnError::Overflow));
    assert_eq!(decode(runs, &[0x80], 1), Err(ColumnError::Short));
    for number in [encoding::BLOCKS, encoding::DELTA, encoding::DELTA_ZIGZAG] {
        assert_eq!(decode(layout(number), &[9, 1], 1), Err(ColumnError::Short));
        assert_eq!(decode(layout(number), &[8, 1, 0], 1), Err(ColumnError::Long));
        assert_eq!(decode(layout(number), &[65; 100], 1), Err(ColumnError::Shift(65)));
        assert_eq!(decode(layout(number), &[255; 9999], 40), Err(ColumnError::Shift(255)));
        assert_eq!(decode(layout(number), &[0], 17), Err(ColumnError::Short));
        assert_eq!(decode(layout(number), &[0, 0], 17), Ok(vec![0; 17]));
    }
    for number in [encoding::BLOCKS, encoding::DELTA, encoding::DELTA_ZIGZAG, encoding::RUNS] {
        assert_eq!(decode(layout(number), &[], 1), Err(ColumnError::Short));
        assert_eq!(decode(layout(number), &[1], 0), Err(ColumnError::Long));
    }
    assert_eq!(decode(layout(encoding::RUNS), &[7, 3], 2), Err(ColumnError::Run));
    assert_eq!(decode(layout(encoding::RUNS), &[7, 0], 2), Err(ColumnError::Run));
    let top = Layout { encoding: encoding::DELTA, shift: 0, base: u64::MAX };
    assert_eq!(decode(top, &[1, 1], 1), Err(ColumnError::Overflow));
    let shifted = |shift| Layout { encoding: encoding::BLOCKS, shift, base: 0 };
    assert_eq!(decode(shifted(63), &[2, 2], 1), Err(ColumnError::Overflow));
    assert_eq!(decode(shifted(63), &[1, 1], 1), Ok(vec![1 << 63]));
    assert_eq!(decode(shifted(64), &[1, 1], 1), Err(ColumnError::Shift(64)));
    let bits = |shift| Layout { encoding: encoding::BITS, shift, base: 0 };
    assert_eq!(decode(bits(65), &[], 0), Err(ColumnError::Shift(65)));
    assert_eq!(decode(bits(3), &[0], 3), Err(ColumnError::Short));
    assert_eq!(decode(bits(3), &[0; 3], 3), Err(ColumnError::Long));
    assert_eq!(decode(bits(0), &[], 3), Ok(vec![0; 3]));
}
