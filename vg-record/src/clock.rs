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

    /// Nanoseconds since the start of the recording.
    #[inline]
    pub(crate) fn ns(&self, tsc: u64) -> u64 {
        // Signed: events of the pass that led to this segment lie before its start.
        let ticks = tsc.wrapping_sub(self.tsc) as i64;
        let passed = (i128::from(ticks) * i128::from(self.slope) + (1 << 31)) >> 32;
        u64::try_from(i128::from(self.ns) - i128::from(self.start_ns) + passed).unwrap_or(0)
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
