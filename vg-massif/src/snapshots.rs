//! Which snapshots are taken and which stay: Massif's array of a limited length.
//!
//! Rules: a normal snapshot is taken when the time for one has come, and is detailed when `detailed_freq - 1` that are not
//! came before it. A peak is looked for before memory is given back, is detailed, and has to be higher than the last one by
//! more than `peak_inaccuracy`; the last one becomes normal. When the array is full, half of it goes, one by one: each
//! time the one between whose neighbours the least time passed, but neither the first, nor the last, nor the peak. From
//! then on the least time between two neighbours that could go has to pass between snapshots.
//!
//! What always holds: times do not fall along the array; at most one snapshot is the peak.

/// What the rules depend on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Snapshots at which half of them go; at least 4.
    pub max_snapshots: usize,
    /// Every how many snapshots one is detailed; at least 1.
    pub detailed_freq: u32,
    /// In percent.
    pub peak_inaccuracy: f64,
}

/// One look at the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// In the unit of the clock.
    pub time: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// What the allocator adds.
    pub extra: u64,
    /// Whether it is the highest one, by the rules.
    pub is_peak: bool,
    /// Bytes by stack, when it is detailed.
    pub detail: Option<Vec<(u32, u64)>>,
}

impl Snapshot {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.bytes.saturating_add(self.extra)
    }

    /// Massif's word for what it tells.
    pub fn kind(&self) -> &'static str {
        match (&self.detail, self.is_peak) {
            (None, _) => "empty",
            (Some(_), false) => "detailed",
            (Some(_), true) => "peak",
        }
    }
}

/// What the heap is at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// In the unit of the clock.
    pub time: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// What the allocator adds.
    pub extra: u64,
}

/// The array.
#[derive(Debug)]
pub struct Snapshots {
    rules: Rules,
    taken: Vec<Snapshot>,
    /// Before this time no normal snapshot is taken.
    next: u64,
    /// Time between snapshots.
    interval: u64,
    /// Snapshots since the last detailed one.
    plain: u32,
    /// Total of the last peak.
    peak: u64,
}

impl Snapshots {
    /// An empty array.
    pub fn new(rules: Rules) -> Snapshots {
        Snapshots { rules, taken: Vec::new(), next: 0, interval: 0, plain: 0, peak: 0 }
    }

    /// The heap has changed: takes a normal snapshot if it is time. `detail` gives the bytes by stack.
    pub fn changed(&mut self, now: Moment, detail: impl FnOnce() -> Vec<(u32, u64)>) {
        if now.time >= self.next {
            let is_detailed = self.plain == self.rules.detailed_freq - 1;
            self.take(now, false, is_detailed.then(detail));
        }
    }

    /// The heap is about to shrink: takes a snapshot if this is a peak.
    pub fn before_shrinking(&mut self, now: Moment, detail: impl FnOnce() -> Vec<(u32, u64)>) {
        let total = now.bytes.saturating_add(now.extra);
        let margin = (self.peak as f64 * self.rules.peak_inaccuracy / 100.0) as u64;
        if total > self.peak.saturating_add(margin) {
            self.taken.iter_mut().for_each(|snapshot| snapshot.is_peak = false);
            self.peak = total;
            self.take(now, true, Some(detail()));
        }
    }

    /// The snapshots that stayed.
    pub fn finish(self) -> Vec<Snapshot> {
        self.taken
    }

    fn take(&mut self, now: Moment, is_peak: bool, detail: Option<Vec<(u32, u64)>>) {
        self.plain = if detail.is_some() { 0 } else { self.plain + 1 };
        // Clocks of several threads may differ a little; the array has to rise.
        let time = self.taken.last().map_or(now.time, |last| last.time.max(now.time));
        self.taken.push(Snapshot { time, bytes: now.bytes, extra: now.extra, is_peak, detail });
        if self.taken.len() >= self.rules.max_snapshots {
            self.cull();
        }
        self.next = time.saturating_add(self.interval);
    }

    fn cull(&mut self) {
        for _ in 0..self.rules.max_snapshots / 2 {
            let span = |i: &usize| self.taken[i + 1].time - self.taken[i - 1].time;
            let inner = (1..self.taken.len() - 1).filter(|i| !self.taken[*i].is_peak);
            // The first of equal ones.
            let Some(least) = inner.min_by_key(span) else { break };
            self.taken.remove(least);
        }
        let last = self.taken.len() - 1;
        let stays = |i: usize| i == 0 || i == last || self.taken[i].is_peak;
        let gaps = (1..=last).filter(|i| !(stays(i - 1) && stays(*i)));
        self.interval = gaps.map(|i| self.taken[i].time - self.taken[i - 1].time).min().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests;
