//! The hardware prefetcher of `--simulate-hwpref`: streams of neighbouring lines, one for a page.
//!
//! The rules are those of Callgrind's `sim.c`: eight streams, chosen by the page of 4 KiB; a third line in a row, up or
//! down, and each one after it, asks for the line that is five lines further. What always holds: the prefetcher knows
//! lines and streams only; the caller puts what it asks for into the last level.

/// Streams that are followed at a time.
const STREAMS: usize = 8;
/// Bytes of a page, as a power of two.
const PAGE_BITS: u32 = 12;
/// How many lines ahead.
const DISTANCE: u64 = 5;

#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    /// The line that was used last.
    last: u64,
    /// Steps in a row to the next line, counted up to 2; to the line before, counted down to -2.
    run: i8,
}

/// What is known of the streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prefetcher([Stream; STREAMS]);

impl Prefetcher {
    /// Follows a use of the last level at `address`; gives the line that is to be fetched, too.
    pub(crate) fn follow(&mut self, address: u64, line_bits: u32) -> Option<u64> {
        let stream = &mut self.0[(address >> PAGE_BITS) as usize % STREAMS];
        let line = address >> line_bits;
        let last = core::mem::replace(&mut stream.last, line);
        if line == last {
            return None;
        }
        let step = match line.wrapping_sub(last) {
            1 => 1,
            u64::MAX => -1,
            _ => 0,
        };
        // A step the other way ends a run and does not begin one.
        stream.run = if stream.run * step < 0 { 0 } else { ((stream.run + step) * step.abs()).clamp(-2, 2) };
        match stream.run {
            2 => Some(line.wrapping_add(DISTANCE)),
            -2 => Some(line.wrapping_sub(DISTANCE)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(addresses: &[u64]) -> alloc::vec::Vec<Option<u64>> {
        let mut prefetcher = Prefetcher::default();
        addresses.iter().map(|address| prefetcher.follow(*address, 6)).collect()
    }

    #[test]
    fn the_third_line_in_a_row_and_each_after_it_fetches_ahead() {
        let up = follow(&[0x10000, 0x10040, 0x10044, 0x10080, 0x100c0]);
        assert_eq!(up, [None, None, None, Some(0x402 + 5), Some(0x403 + 5)]);
        let down = follow(&[0x10fc0, 0x10f80, 0x10f40, 0x10f00]);
        assert_eq!(down, [None, None, Some(0x43d - 5), Some(0x43c - 5)]);
    }

    #[test]
    fn a_jump_or_a_turn_ends_a_run() {
        assert_eq!(follow(&[0x10000, 0x10040, 0x10100, 0x10140, 0x10180])[4], Some(0x406 + 5));
        assert_eq!(follow(&[0x10000, 0x10040, 0x10100, 0x10140]), [None; 4]);
        // Up, down (ends), up (begins anew), up.
        assert_eq!(
            follow(&[0x10000, 0x10040, 0x10000, 0x10040, 0x10080]),
            [None, None, None, None, Some(0x402 + 5)]
        );
    }

    #[test]
    fn pages_are_eight_streams() {
        let both = follow(&[0x10000, 0x11000, 0x10040, 0x11040, 0x10080, 0x11080]);
        assert_eq!(both[4..], [Some(0x402 + 5), Some(0x442 + 5)]);
        // Pages with eight between them share one.
        let shared = follow(&[0x10000, 0x18000, 0x10040, 0x18040, 0x10080]);
        assert_eq!(shared, [None; 5]);
    }
}
