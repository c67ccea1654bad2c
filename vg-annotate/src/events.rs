//! Lists of events as the options take them: which are shown, and what is sorted by.
//!
//! What always holds: a chosen event is one of the profile's. Not here: the order of functions (`crate::selection`).

use crate::profile::Event;
use report::cli::Stop;

/// `--show` and `--sort` for the events of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Events that are shown, by index, in this order.
    pub shown: Vec<usize>,
    /// Events that are sorted by, the most important first. Never empty.
    pub sort: Vec<usize>,
    /// Parts of the total, in percent, up to which functions are shown: those of `--sort`.
    pub thresholds: Vec<(usize, f64)>,
}

/// An event of `--sort`, with the part of its total that is to be shown.
pub type SortKey = (String, Option<f64>);

impl Chosen {
    /// What the lists select of these events.
    ///
    /// # Errors
    /// When one is not there.
    pub fn of(events: &[Event], show: &[String], sort: &[SortKey]) -> Result<Chosen, Stop> {
        let find = |option: &str, name: &str| {
            events.iter().position(|event| event.name == name).ok_or_else(|| {
                let all: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
                Stop::trouble(format_args!("--{option}={name}: no such event; there are {}", all.join(",")))
            })
        };
        let mut shown = show.iter().map(|name| find("show", name)).collect::<Result<Vec<_>, _>>()?;
        if shown.is_empty() {
            shown = (0..events.len()).collect();
        }
        let (mut order, mut thresholds) = (Vec::new(), Vec::new());
        for (name, threshold) in sort {
            let event = find("sort", name)?;
            order.push(event);
            thresholds.extend(threshold.map(|threshold| (event, threshold)));
        }
        if order.is_empty() {
            order.clone_from(&shown);
        }
        Ok(Chosen { shown, sort: order, thresholds })
    }

    /// The event that decides: the first that is sorted by.
    pub fn main(&self) -> usize {
        self.sort[0]
    }
}

/// One event of `--sort`: `Ir`, or `Ir:99` for as many functions as make up 99 % of it.
///
/// # Errors
/// A part that is no percentage.
pub fn sort_key(text: &str) -> Result<SortKey, String> {
    match text.split_once(':') {
        Some((name, part)) => Ok((name.trim().to_owned(), Some(crate::options::percent(part)?))),
        None => Ok((text.trim().to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_events() {
        let events = ["Ir", "Dr", "Dw"].map(Event::named);
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = Chosen::of(&events, &[], &[]).unwrap();
        assert_eq!((all.shown, all.sort, all.thresholds), (vec![0, 1, 2], vec![0, 1, 2], vec![]));
        let some = Chosen::of(&events, &names(&["Dw", "Ir"]), &[]).unwrap();
        assert_eq!((some.shown.as_slice(), some.main()), ([2, 0].as_slice(), 2));
        let keys = [sort_key("Dr:50%").unwrap(), sort_key("Ir").unwrap()];
        let sorted = Chosen::of(&events, &names(&["Ir"]), &keys).unwrap();
        assert_eq!((sorted.shown, sorted.sort, sorted.thresholds), (vec![0], vec![1, 0], vec![(1, 50.0)]));
        let Err(Stop::Trouble(why)) = Chosen::of(&events, &names(&["Bc"]), &[]) else { panic!() };
        assert_eq!(why, "--show=Bc: no such event; there are Ir,Dr,Dw");
        assert!(sort_key("Ir:x").is_err() && sort_key("Ir:200").is_err());
    }
}
