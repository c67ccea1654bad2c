//! Options of the models that are simulated from a trace, in Callgrind's spelling; what is not given is as it was recorded.
//!
//! Not here: simulating (`crate::input`).

use super::yes_no;
use clap::Args;
use models::{Geometry, Shapes};
use simulation::Models;

/// What is simulated again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Simulating")]
pub struct Simulate {
    /// Show what caches and branch predictors would have counted, simulated from a trace that vg-record --events=access
    /// --accesses=full has made; those of the recording, but for the options that follow
    #[arg(long)]
    pub simulate: bool,
    /// First-level instruction cache: bytes, ways, bytes in a line
    #[arg(long = "I1", value_name = "SIZE,ASSOC,LINE", requires = "simulate")]
    pub i1: Option<Geometry>,
    /// First-level data cache
    #[arg(long = "D1", value_name = "SIZE,ASSOC,LINE", requires = "simulate")]
    pub d1: Option<Geometry>,
    /// Last-level cache
    #[arg(long = "LL", value_name = "SIZE,ASSOC,LINE", requires = "simulate")]
    pub ll: Option<Geometry>,
    /// Simulate caches; with "no" reads and writes are counted only
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, requires = "simulate")]
    pub cache_sim: Option<bool>,
    /// Simulate branch predictors
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, requires = "simulate")]
    pub branch_sim: Option<bool>,
    /// The last level writes back: count misses that replace dirty lines
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, requires = "simulate")]
    pub simulate_wb: Option<bool>,
    /// A prefetcher brings lines into the last level ahead of streams of misses
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, requires = "simulate")]
    pub simulate_hwpref: Option<bool>,
}

impl Simulate {
    /// The models, of a recording that was made with these options.
    pub fn of(&self, recorded: &[String]) -> (Shapes, Models) {
        let value = |name: &str| {
            let given = recorded.iter().filter_map(|option| option.strip_prefix("--")?.strip_prefix(name));
            given.filter_map(|rest| rest.strip_prefix('=')).next_back()
        };
        let shape = |name, given: Option<Geometry>, otherwise| {
            given.or_else(|| value(name)?.parse().ok()).unwrap_or(otherwise)
        };
        let is = |name, given: Option<bool>, otherwise| {
            given.or_else(|| yes_no(value(name)?).ok()).unwrap_or(otherwise)
        };
        let otherwise = Shapes::FALLBACK;
        let shapes = Shapes {
            i1: shape("I1", self.i1, otherwise.i1),
            d1: shape("D1", self.d1, otherwise.d1),
            ll: shape("LL", self.ll, otherwise.ll),
        };
        let models = Models {
            caches: is("cache-sim", self.cache_sim, true),
            branches: is("branch-sim", self.branch_sim, true),
            write_back: is("simulate-wb", self.simulate_wb, false),
            prefetch: is("simulate-hwpref", self.simulate_hwpref, false),
        };
        (shapes, models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_it_was_recorded() {
        let recorded =
            ["--events=access", "--branch-sim=no", "--I1=1024,2,64", "--D1=512,2,64", "--simulate-wb=yes"];
        let recorded = recorded.map(str::to_owned);
        let given =
            Simulate { d1: "2048,4,64".parse().ok(), simulate_wb: Some(false), ..Simulate::default() };
        let (shapes, models) = given.of(&recorded);
        assert_eq!([shapes.i1, shapes.d1].map(|shape| shape.size()), [1024, 2048]);
        assert_eq!(shapes.ll, Shapes::FALLBACK.ll);
        let expected = Models { caches: true, branches: false, write_back: false, prefetch: false };
        assert_eq!(models, expected);
        assert_eq!(given.of(&["--D1=nonsense".to_owned()]).0.d1.size(), 2048);
    }
}
