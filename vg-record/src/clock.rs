//! The time scale of a recording: TSC readings to nanoseconds of CLOCK_MONOTONIC since the start.
//!
//! Always holds: the scale never runs backwards between two calls of [`Clock::adjust`], and a reading between
//! two pairs is interpolated between them. Assumes an invariant TSC that all processors share, as every x86-64
//! processor of the last decade has.

/// Converts TSC readings; corrected with a fresh pair of readings once per drain pass.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    start_ns: u64,
    start_tsc: u64,
    /// Where the present segment starts.
    tsc: u64,
    ns: u64,
    /// Nanoseconds per tick, times 2^32: whole numbers, because every event is converted.
    slope: u64,
}

/// Shortest distance of two pairs that gives a usable slope, in nanoseconds: 50 ns of jitter are 50 ppm of it.
const LEAST_NS: u64 = 1_000_000;

impl Clock {
    /// A clock that starts at zero at `pair` (TSC and nanoseconds) and whose speed comes from a `later` pair.
    pub(crate) fn new(pair: (u64, u64), later: (u64, u64)) -> Clock {
        let ticks = later.0.wrapping_sub(pair.0);
        let slope = slope(later.1.saturating_sub(pair.1), ticks);
        Clock { start_ns: pair.1, start_tsc: pair.0, tsc: pair.0, ns: pair.1, slope }
    }

    /// CLOCK_MONOTONIC at the zero of the time scale, in nanoseconds.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// TSC at the zero of the time scale.
    pub(crate) fn start_tsc(&self) -> u64 {
        self.start_tsc
    }

    /// Ticks of the TSC per second, as far as is known by now.
    pub(crate) fn hertz(&self) -> u64 {
        (1e9 * (1u64 << 32) as f64 / self.slope as f64) as u64
    }

    /// Takes a new pair into account. Readings from before it stay where they were.
    pub(crate) fn adjust(&mut self, pair: (u64, u64)) {
        let ticks = pair.0.wrapping_sub(self.tsc) as i64;
        let passed = pair.1.saturating_sub(self.ns);
        if ticks <= 0 || passed < LEAST_NS {
            return;
        }
        self.slope = slope(passed, ticks as u64);
        // The old estimate may have run ahead by some nanoseconds: never step back behind it.
        (self.tsc, self.ns) = pair;
    }

    /// Nanoseconds since the start of the recording; 0 for a reading that makes no sense.
    #[inline]
    pub(crate) fn ns(&self, tsc: u64) -> u64 {
        let here = self.ns.saturating_sub(self.start_ns);
        let ticks = tsc.wrapping_sub(self.tsc) as i64;
        // Apart by sign, to the nearest with halves upwards: one multiplication instead of those of 128 bits. Nearly all
        // events of a pass lie before its pair of readings, with which the segment starts.
        let product = u128::from(ticks.unsigned_abs()) * u128::from(self.slope);
        if ticks < 0 {
            let passed = (product + ((1 << 31) - 1)) >> 32;
            u64::try_from(passed).ok().and_then(|passed| here.checked_sub(passed)).unwrap_or(0)
        } else {
            let passed = (product + (1 << 31)) >> 32;
            u64::try_from(passed).ok().and_then(|passed| here.checked_add(passed)).unwrap_or(0)
        }
    }
}

/// Nanoseconds per tick, times 2^32; never zero.
fn slope(ns: u64, ticks: u64) -> u64 {
    let ticks = u128::from(ticks.max(1));
    let slope = ((u128::from(ns.max(1)) << 32) + ticks / 2) / ticks;
    u64::try_from(slope).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_pairs_and_extrapolates() {
        let mut clock = Clock::new((1_000, 500), (3_001_000, 1_000_500));
        assert_eq!(clock.ns(1_000), 0);
        assert_eq!(clock.ns(3_001_000), 1_000_000);
        assert_eq!(clock.ns(0), 0, "before the start is the start");
        // The clock turns out to run at 4 ticks per nanosecond from the start on.
        clock.adjust((40_001_000, 10_000_500));
        assert_eq!(clock.ns(40_001_000), 10_000_000);
        assert_eq!(clock.ns(44_001_000), 11_000_000);
        assert_eq!(clock.ns(36_001_000), 9_000_000);
    }

    #[test]
    fn ignores_pairs_that_are_too_close() {
        let mut clock = Clock::new((0, 0), (3_000_000, 1_000_000));
        clock.adjust((10, 900_000));
        assert_eq!(clock.ns(3_000), 1_000);
    }

    #[test]
    fn rounds_as_signed_numbers_of_128_bits_do() {
        let plainly = |clock: &Clock, tsc: u64| {
            let ticks = i128::from(tsc.wrapping_sub(clock.tsc) as i64);
            let passed = (ticks * i128::from(clock.slope) + (1 << 31)) >> 32;
            u64::try_from(i128::from(clock.ns) - i128::from(clock.start_ns) + passed).unwrap_or(0)
        };
        for slope in [1, 3 << 31, (1 << 32) / 3, 1 << 32, u64::MAX] {
            for ns in [70, 1 << 40, u64::MAX] {
                let clock = Clock { start_ns: 70, start_tsc: 0, tsc: 1 << 50, ns, slope };
                let far = [1 << 50, 1 << 62, (1 << 63) - 1, 1 << 63];
                for distance in (0..100).chain(far) {
                    for tsc in [clock.tsc.wrapping_add(distance), clock.tsc.wrapping_sub(distance)] {
                        assert_eq!(clock.ns(tsc), plainly(&clock, tsc), "{slope} {ns} {distance}");
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_machine() {
        let first = crate::sys::clock_pair();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let second = crate::sys::clock_pair();
        let clock = Clock::new(first, second);
        std::thread::sleep(std::time::Duration::from_millis(5));
        let third = crate::sys::clock_pair();
        let error = clock.ns(third.0).abs_diff(third.1 - first.1);
        assert!(error < 1_000_000, "{error} ns off");
    }
}
