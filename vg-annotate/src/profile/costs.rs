//! One number for each event: the cost of a line, a function or a call.
//!
//! What always holds: sums stop at the greatest number instead of wrapping, since files may hold any number; a missing
//! number is 0. Not here: which event stands where ([`super::Profile::events`]).

/// A cost for each event of a profile, in the profile's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs(Vec<u64>);

impl Costs {
    /// These numbers.
    pub fn of(costs: &[u64]) -> Costs {
        Costs(costs.to_vec())
    }

    /// The cost in one event.
    pub fn get(&self, event: usize) -> u64 {
        self.0.get(event).copied().unwrap_or(0)
    }

    /// All numbers; the last ones may be missing.
    pub fn values(&self) -> &[u64] {
        &self.0
    }

    /// Adds other costs.
    pub fn add(&mut self, other: &[u64]) {
        if self.0.len() < other.len() {
            self.0.resize(other.len(), 0);
        }
        for (to, more) in self.0.iter_mut().zip(other) {
            *to = to.saturating_add(*more);
        }
    }

    /// No event costs more than in `other` any more.
    pub fn limit(&mut self, other: &Costs) {
        for (event, cost) in self.0.iter_mut().enumerate() {
            *cost = (*cost).min(other.get(event));
        }
    }

    /// No event costs less than in `other` any more.
    pub fn raise(&mut self, other: &Costs) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (cost, least) in self.0.iter_mut().zip(&other.0) {
            *cost = (*cost).max(*least);
        }
    }

    /// Puts the cost of one event in its place.
    pub fn set(&mut self, event: usize, cost: u64) {
        if self.0.len() <= event {
            self.0.resize(event + 1, 0);
        }
        self.0[event] = cost;
    }

    /// The costs in these events.
    pub fn select(&self, events: &[usize]) -> Costs {
        Costs(events.iter().map(|event| self.get(*event)).collect())
    }

    /// Nothing in any event.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|cost| *cost == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_wrap_and_missing_costs_are_zero() {
        let mut costs = Costs::of(&[1]);
        costs.add(&[u64::MAX, 2]);
        assert_eq!((costs.get(0), costs.get(1), costs.get(2)), (u64::MAX, 2, 0));
        costs.limit(&Costs::of(&[7]));
        assert_eq!(costs, Costs::of(&[7, 0]));
        costs.set(2, 9);
        assert_eq!(costs.values(), [7, 0, 9]);
        costs.raise(&Costs::of(&[1, 2, 3, 4]));
        assert_eq!(costs.values(), [7, 2, 9, 4]);
        assert!(!costs.is_zero() && Costs::default().is_zero());
    }
}
