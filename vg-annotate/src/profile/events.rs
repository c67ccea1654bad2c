//! What costs count: names as callgrind and cachegrind write them, and what they mean.

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Name in options and files: `Ir`.
    pub name: String,
    /// In words, for the legend. Empty when nothing is known of it.
    pub meaning: String,
}

/// Bytes of the heap, of a profile of memory.
pub const BYTES: &str = "Bytes";

/// The names that callgrind, cachegrind and we give events.
const KNOWN: &[(&str, &str)] = &[
    ("Ir", "instructions executed"),
    ("Dr", "data reads"),
    ("Dw", "data writes"),
    ("I1mr", "instruction fetches that missed the first-level cache"),
    ("D1mr", "data reads that missed the first-level cache"),
    ("D1mw", "data writes that missed the first-level cache"),
    ("ILmr", "instruction fetches that missed the last-level cache"),
    ("DLmr", "data reads that missed the last-level cache"),
    ("DLmw", "data writes that missed the last-level cache"),
    ("ILdmr", "instruction fetches that missed the last-level cache and wrote a line back"),
    ("DLdmr", "data reads that missed the last-level cache and wrote a line back"),
    ("DLdmw", "data writes that missed the last-level cache and wrote a line back"),
    ("AcCost1", "first-level cache lines: how little they were used in time"),
    ("AcCost2", "last-level cache lines: how little they were used in time"),
    ("SpLoss1", "bytes of first-level cache lines that were loaded and not used"),
    ("SpLoss2", "bytes of last-level cache lines that were loaded and not used"),
    ("Bc", "conditional branches"),
    ("Bcm", "conditional branches predicted wrongly"),
    ("Bi", "indirect branches"),
    ("Bim", "indirect branches predicted wrongly"),
    ("Ge", "global bus events: locked instructions"),
    ("sysCount", "system calls"),
    ("sysTime", "time in system calls"),
    ("sysCpuTime", "processor time in system calls"),
    (BYTES, "bytes of the heap in use at the peak"),
];

impl Event {
    /// The event of that name.
    pub fn named(name: &str) -> Event {
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        Event { name: name.to_owned(), meaning: known.map_or_else(String::new, |known| known.1.to_owned()) }
    }

    /// `Ir (instructions executed)`.
    pub fn explained(&self) -> String {
        match self.meaning.as_str() {
            "" => self.name.clone(),
            meaning => format!("{} ({meaning})", self.name),
        }
    }
}
