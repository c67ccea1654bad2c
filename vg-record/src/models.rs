//! Options of the models of caches and branch predictors, in Callgrind's spelling.
//!
//! What always holds: what the engine is told to simulate can be simulated. Not here: the models (`models`).

use crate::cli::{Flag, yes_no};
use clap::{Args, ValueEnum};
use models::{Geometry, LineTooShort, Options, Shapes};
use ring::shared::{self, Control};
use std::sync::atomic::Ordering::Relaxed;

/// What is told of data accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Accesses {
    /// What they cost, with the models that are simulated meanwhile
    #[default]
    Costs,
    /// All of them too, one by one, so that vg-annotate --simulate can try other models on the trace, which becomes large
    Full,
}

/// What is simulated with --events=access.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub(crate) struct ModelOptions {
    /// With --events=access: simulate caches; with "no" reads and writes are counted only, at less cost
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub cache_sim: Option<Flag>,

    /// With --events=access: simulate branch predictors
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub branch_sim: Option<Flag>,

    /// First-level instruction cache that is simulated, instead of this machine's: bytes, ways, bytes in a line
    #[arg(long = "I1", value_name = "SIZE,ASSOC,LINE")]
    pub i1: Option<Geometry>,

    /// First-level data cache that is simulated
    #[arg(long = "D1", value_name = "SIZE,ASSOC,LINE")]
    pub d1: Option<Geometry>,

    /// Last-level cache that is simulated
    #[arg(long = "LL", value_name = "SIZE,ASSOC,LINE")]
    pub ll: Option<Geometry>,

    /// The last level writes back: count misses that replace dirty lines
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub simulate_wb: Option<Flag>,

    /// A prefetcher brings lines into the last level ahead of streams of misses
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub simulate_hwpref: Option<Flag>,

    /// With --events=access: what the trace tells of data accesses
    #[arg(long, value_name = "WHAT", value_enum, default_value = "costs", hide_default_value = true)]
    pub accesses: Accesses,
}

impl ModelOptions {
    /// Whether something is asked for that has to do with --events=access alone.
    pub(crate) fn first_asked(&self) -> Option<&'static str> {
        let flags = [
            ("--cache-sim", self.cache_sim),
            ("--branch-sim", self.branch_sim),
            ("--simulate-wb", self.simulate_wb),
            ("--simulate-hwpref", self.simulate_hwpref),
        ];
        let shapes = [("--I1", self.i1), ("--D1", self.d1), ("--LL", self.ll)];
        let full = self.is_full().then_some("--accesses=full");
        let flags = flags.into_iter().filter(|(_, flag)| *flag == Some(Flag(true))).map(|(name, _)| name);
        full.into_iter()
            .chain(flags)
            .chain(shapes.into_iter().filter(|(_, shape)| shape.is_some()).map(|(name, _)| name))
            .next()
    }

    /// Whether the whole stream of accesses is told.
    pub(crate) fn is_full(&self) -> bool {
        self.accesses == Accesses::Full
    }

    /// The shapes of the caches: this machine's, where nothing else was said.
    ///
    /// # Errors
    /// A line is shorter than a register.
    pub(crate) fn shapes(&self) -> Result<Shapes, LineTooShort> {
        let here = Shapes::of_processor(|leaf, subleaf| {
            let found = core::arch::x86_64::__cpuid_count(leaf, subleaf);
            [found.eax, found.ebx, found.ecx, found.edx]
        });
        let here = here.unwrap_or(Shapes::FALLBACK);
        let shapes = Shapes {
            i1: self.i1.unwrap_or(here.i1),
            d1: self.d1.unwrap_or(here.d1),
            ll: self.ll.unwrap_or(here.ll),
        };
        models::Caches::new(&shapes, Options::default())?;
        Ok(shapes)
    }

    /// `MODEL_*` bits.
    fn bits(&self) -> u32 {
        let bit = |flag: Option<Flag>, default: bool, bit| {
            if flag.map_or(default, |flag| flag.0) { bit } else { 0 }
        };
        bit(self.cache_sim, true, shared::MODEL_CACHES)
            | bit(self.branch_sim, true, shared::MODEL_BRANCHES)
            | bit(self.simulate_wb, false, shared::MODEL_WRITE_BACK)
            | bit(self.simulate_hwpref, false, shared::MODEL_PREFETCH)
    }

    /// The events that are counted, as bits that stand for [`ring::record::EVENTS`].
    pub(crate) fn events(&self) -> u32 {
        const ACCESSES: u32 = 0b11;
        const OF_MODELS: [(u32, u32); 3] = [
            (shared::MODEL_CACHES, 0b11_1111 << 2),
            (shared::MODEL_WRITE_BACK, 0b111 << 8),
            (shared::MODEL_BRANCHES, 0b1111 << 11),
        ];
        let bits = self.bits();
        OF_MODELS
            .iter()
            .filter(|(model, _)| bits & model != 0)
            .fold(ACCESSES, |all, (_, events)| all | events)
    }

    /// Tells the engine.
    pub(crate) fn store(&self, control: &Control) -> anyhow::Result<()> {
        let Shapes { i1, d1, ll } = self.shapes()?;
        for (cache, shape) in control.caches.iter().zip([i1, d1, ll]) {
            for (word, number) in cache.iter().zip([shape.size(), shape.ways(), shape.line()]) {
                word.store(number, Relaxed);
            }
        }
        control.models.store(self.bits(), Relaxed);
        Ok(())
    }

    /// Options that differ from their defaults, in the spelling of the command line; the shapes also where they are this machine's, if
    /// another one may simulate the same again.
    pub(crate) fn changed(&self) -> Vec<String> {
        let flags = [
            ("cache-sim", self.cache_sim, true),
            ("branch-sim", self.branch_sim, true),
            ("simulate-wb", self.simulate_wb, false),
            ("simulate-hwpref", self.simulate_hwpref, false),
        ];
        let flags = flags.into_iter().filter_map(|(name, flag, default)| {
            let Flag(value) = flag.filter(|flag| flag.0 != default)?;
            Some(format!("--{name}={}", if value { "yes" } else { "no" }))
        });
        let known = if self.is_full() { self.shapes().ok() } else { None };
        let shape = |given: Option<Geometry>, of: fn(&Shapes) -> Geometry| given.or(known.as_ref().map(of));
        let shapes = [
            ("I1", shape(self.i1, |shapes| shapes.i1)),
            ("D1", shape(self.d1, |shapes| shapes.d1)),
            ("LL", shape(self.ll, |shapes| shapes.ll)),
        ];
        let shapes = shapes.into_iter().filter_map(|(name, shape)| {
            let shape = shape?;
            Some(format!("--{name}={},{},{}", shape.size(), shape.ways(), shape.line()))
        });
        let full = self.is_full().then(|| "--accesses=full".to_owned());
        flags.chain(shapes).chain(full).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::record::EVENTS;

    #[test]
    fn what_differs_is_said_as_it_was_typed() {
        let options = ModelOptions {
            branch_sim: Some(Flag(false)),
            simulate_wb: Some(Flag(true)),
            cache_sim: Some(Flag(true)),
            d1: "32768,8,64".parse().ok(),
            ..ModelOptions::default()
        };
        assert_eq!(options.changed(), ["--branch-sim=no", "--simulate-wb=yes", "--D1=32768,8,64"]);
        assert_eq!(options.first_asked(), Some("--cache-sim"));
        assert_eq!(options.bits(), shared::MODEL_CACHES | shared::MODEL_WRITE_BACK);
        let names = |options: &ModelOptions| {
            let counted = EVENTS.iter().zip(0..).filter(|(_, event)| options.events() >> event & 1 != 0);
            counted.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&options), "Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw ILdmr DLdmr DLdmw");
        let default = ModelOptions::default();
        assert_eq!(names(&default), "Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim");
        assert_eq!(default.first_asked(), None);
    }

    #[test]
    fn lines_have_to_hold_a_register() {
        let short = ModelOptions { i1: "1024,1,16".parse().ok(), ..ModelOptions::default() };
        assert!(short.shapes().is_err());
        assert!(ModelOptions::default().shapes().is_ok());
    }
}
