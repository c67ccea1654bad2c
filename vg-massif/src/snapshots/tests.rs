//! The array's rules, on made-up heaps.

use super::*;

fn rules(max_snapshots: usize, detailed_freq: u32) -> Rules {
    Rules { max_snapshots, detailed_freq, peak_inaccuracy: 1.0 }
}

fn at(time: u64, bytes: u64) -> Moment {
    Moment { time, bytes, extra: 0 }
}

fn detail() -> Vec<(u32, u64)> {
    vec![(1, 1)]
}

fn times(snapshots: &Snapshots) -> Vec<u64> {
    snapshots.taken.iter().map(|snapshot| snapshot.time).collect()
}

fn kinds(snapshots: &Snapshots) -> Vec<&'static str> {
    snapshots.taken.iter().map(Snapshot::kind).collect()
}

#[test]
fn every_nth_is_detailed_and_a_peak_begins_the_count_anew() {
    let mut snapshots = Snapshots::new(rules(100, 3));
    (0..4).for_each(|time| snapshots.changed(at(time, 100), detail));
    snapshots.before_shrinking(at(4, 100), detail);
    (5..8).for_each(|time| snapshots.changed(at(time, 50), detail));
    assert_eq!(
        kinds(&snapshots),
        ["empty", "empty", "detailed", "empty", "peak", "empty", "empty", "detailed"]
    );
    let mut all = Snapshots::new(rules(100, 1));
    (0..3).for_each(|time| all.changed(at(time, 1), detail));
    assert_eq!(kinds(&all), ["detailed"; 3]);
}

#[test]
fn a_peak_has_to_be_higher_by_more_than_the_inaccuracy() {
    let mut snapshots = Snapshots::new(rules(100, 10));
    snapshots.before_shrinking(at(0, 0), detail);
    assert_eq!(snapshots.taken.len(), 0, "an empty heap is no peak");
    snapshots.before_shrinking(at(1, 1000), detail);
    snapshots.before_shrinking(at(2, 1010), detail);
    snapshots.before_shrinking(at(3, 500), detail);
    assert_eq!(times(&snapshots), [1]);
    snapshots.before_shrinking(at(4, 1011), detail);
    // What was the peak stays detailed.
    assert_eq!(kinds(&snapshots), ["detailed", "peak"]);
    let mut exact = Snapshots::new(Rules { peak_inaccuracy: 0.0, ..rules(100, 10) });
    [5, 5, 6].iter().for_each(|bytes| exact.before_shrinking(at(0, *bytes), detail));
    assert_eq!(exact.taken.len(), 2);
}

#[test]
fn extra_bytes_count_for_peaks() {
    let mut snapshots = Snapshots::new(rules(100, 10));
    snapshots.before_shrinking(Moment { time: 0, bytes: 100, extra: 0 }, detail);
    snapshots.before_shrinking(Moment { time: 0, bytes: 100, extra: 2 }, detail);
    assert_eq!(snapshots.taken.len(), 2);
}

#[test]
fn half_of_a_full_array_goes_by_the_least_time_between_neighbours() {
    let mut snapshots = Snapshots::new(rules(10, 100));
    // Gaps: 10, 1, 1, 10, 10, 2, 2, 10 and the last one.
    let all = [0, 10, 11, 12, 22, 32, 34, 36, 46];
    all.iter().for_each(|time| snapshots.changed(at(*time, 1), detail));
    assert_eq!(times(&snapshots), all);
    snapshots.changed(at(56, 1), detail);
    // 11 goes (2 between its neighbours), then 34 (4); then 10 (12, as 12 has: the first one); then 32 (14, as 36 has);
    // then 46 (20).
    assert_eq!(times(&snapshots), [0, 12, 22, 36, 56]);
    // The least gap is 10; it has to pass from the last one on.
    assert_eq!(snapshots.interval, 10);
    snapshots.changed(at(65, 1), detail);
    assert_eq!(times(&snapshots).len(), 5);
    snapshots.changed(at(66, 1), detail);
    assert_eq!(times(&snapshots).len(), 6);
}

#[test]
fn peaks_are_taken_at_any_time_and_never_go() {
    let mut snapshots = Snapshots::new(rules(10, 100));
    (0..8).for_each(|time| snapshots.changed(at(time * 10, 1), detail));
    snapshots.before_shrinking(at(70, 9), detail);
    assert_eq!(times(&snapshots).last(), Some(&70));
    snapshots.changed(at(71, 1), detail);
    assert_eq!(snapshots.taken.len(), 5);
    assert!(snapshots.taken.iter().any(|snapshot| snapshot.is_peak && snapshot.time == 70));
    // The gap from the peak to the last one does not count: both stay anyway.
    assert!(snapshots.interval >= 10, "{}", snapshots.interval);
    snapshots.changed(at(72, 1), detail);
    snapshots.before_shrinking(at(72, 20), detail);
    assert_eq!(snapshots.taken.len(), 6, "a peak waits for nothing");
    let peaks = snapshots.taken.iter().filter(|snapshot| snapshot.is_peak);
    assert_eq!(peaks.map(|peak| peak.bytes).collect::<Vec<_>>(), [20]);
}

#[test]
fn any_series_stays_in_order_and_below_the_limit() {
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    for max in [10, 11, 100] {
        let mut snapshots = Snapshots::new(rules(max, 5));
        let mut time = 0;
        for _ in 0..5000 {
            time += random() % 20;
            let now = at(time, random() % 1000);
            if random() % 3 == 0 {
                snapshots.before_shrinking(now, detail);
            }
            snapshots.changed(now, detail);
            assert!(snapshots.taken.len() < max);
            assert!(snapshots.taken.iter().filter(|snapshot| snapshot.is_peak).count() <= 1);
        }
        assert!(times(&snapshots).is_sorted() && times(&snapshots)[0] < 20);
        assert!(snapshots.taken.len() >= max / 2, "{}", snapshots.taken.len());
    }
}
