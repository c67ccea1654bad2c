//! Events that are sums of others, as a line `event: NAME = FORMULA : MEANING` of callgrind's files defines them:
//! `CEst = Ir + 10 L1m + 100 LLm`.
//!
//! Not here: adding the event to a profile.

use crate::profile::{Costs, Event};

/// A sum of events, each times a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Formula {
    terms: Vec<(u64, usize)>,
}

impl Formula {
    /// Reads a sum of these events; `None` when it is none.
    pub(super) fn parse(text: &str, events: &[Event]) -> Option<Formula> {
        let mut terms = Vec::new();
        for term in text.split('+') {
            let term = term.trim().replace('*', " ");
            let digits = term.len() - term.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (factor, name) = term.split_at(digits);
            let factor = if factor.is_empty() { 1 } else { factor.parse().ok()? };
            let event = events.iter().position(|event| event.name == name.trim())?;
            terms.push((factor, event));
        }
        Some(Formula { terms })
    }

    /// The cost in the event that it defines.
    pub(super) fn cost(&self, costs: &Costs) -> u64 {
        self.terms
            .iter()
            .fold(0u64, |sum, (factor, event)| sum.saturating_add(costs.get(*event).saturating_mul(*factor)))
    }
}

/// What a line `event:` says: the name, the formula where there is one, and what it means.
pub(super) fn definition(text: &str) -> (&str, Option<&str>, &str) {
    let (rest, meaning) = text.split_once(':').unwrap_or((text, ""));
    match rest.split_once('=') {
        Some((name, formula)) => (name.trim(), Some(formula.trim()), meaning.trim()),
        None => (rest.trim(), None, meaning.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_with_factors() {
        let events = ["Ir", "L1m", "LLm"].map(Event::named);
        let (name, formula, meaning) = definition(" CEst = Ir + 10 L1m +100*LLm : Cycle estimate");
        assert_eq!((name, meaning), ("CEst", "Cycle estimate"));
        let formula = Formula::parse(formula.unwrap(), &events).unwrap();
        assert_eq!(formula.cost(&Costs::of(&[1, 2, 3])), 321);
        assert_eq!(formula.cost(&Costs::of(&[1])), 1);
        assert_eq!(definition("Ir : Instructions"), ("Ir", None, "Instructions"));
        for wrong in ["", "Ir +", "Ir - L1m", "No", "99999999999999999999999 Ir"] {
            assert_eq!(Formula::parse(wrong, &events), None, "{wrong}");
        }
    }
}
