//! Where the functions are: by the names in a libc's symbol tables.
//!
//! Only a module with `__libc_start_main` is a libc, or holds one: other programs may give such names to functions of
//! their own. Not here: reading symbol tables (`symbols`).

use super::names::Function;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// What it is.
    pub function: Function,
    /// The pc that its name belongs to.
    pub symbol: u64,
    /// The pc of its own code.
    pub own: u64,
}

/// A function that finds another one.
#[derive(Debug, Clone, Copy)]
struct Resolver {
    function: Function,
    resolved: bool,
}

/// All that is known, by pc.
#[derive(Debug, Default)]
pub struct Targets {
    functions: BTreeMap<u64, Target>,
    resolvers: BTreeMap<u64, Resolver>,
    /// glibc's `__ctype_tolower_loc`, 0 = not found.
    pub tolower_location: u64,
}

/// The guest knows a function with a resolver by the address so far behind the resolver: in its bytes, where nothing else
/// is, so that the symbol that belongs to it has the function's name. The code that the resolver has chosen is that
/// of several functions (memcpy's is memmove's), and often has no symbol.
const BEHIND_RESOLVER: u64 = 16;

impl Targets {
    /// Nothing is known.
    pub const fn new() -> Targets {
        Targets { functions: BTreeMap::new(), resolvers: BTreeMap::new(), tolower_location: 0 }
    }

    /// The function at a pc.
    #[inline]
    pub fn function(&self, pc: u64) -> Option<Target> {
        self.functions.get(&pc).copied()
    }

    /// Whether a resolver begins at a pc.
    pub fn is_resolver(&self, pc: u64) -> bool {
        self.resolvers.contains_key(&pc)
    }

    /// What the resolver at a pc has answered before.
    pub fn resolved(&self, pc: u64) -> Option<u64> {
        self.resolvers.get(&pc).filter(|resolver| resolver.resolved).map(|_| pc + BEHIND_RESOLVER)
    }

    /// The resolver at a pc has found its function's code: what it is to answer instead.
    pub fn resolve(&mut self, pc: u64, own: u64) -> Option<u64> {
        let resolver = self.resolvers.get_mut(&pc)?;
        resolver.resolved = true;
        let answer = pc + BEHIND_RESOLVER;
        self.functions.insert(answer, Target { function: resolver.function, symbol: pc, own });
        Some(answer)
    }

    /// A range was unmapped.
    pub fn forget(&mut self, start: u64, end: u64) {
        self.functions.retain(|pc, _| !(start..end).contains(pc));
        self.resolvers.retain(|pc, _| !(start..end).contains(pc));
        if (start..end).contains(&self.tolower_location) {
            self.tolower_location = 0;
        }
    }

    /// What was found in a module.
    pub fn add(&mut self, found: &Found) {
        if !found.libc {
            return;
        }
        for candidate in &found.candidates {
            let Candidate { pc, function, resolver } = *candidate;
            if resolver {
                self.resolvers.entry(pc).or_insert(Resolver { function, resolved: false });
                continue;
            }
            let target = self.functions.entry(pc).or_insert(Target { function, symbol: pc, own: pc });
            // One that is both may be called with ranges that overlap.
            if function == Function::Memmove {
                target.function = function;
            }
        }
        if self.tolower_location == 0 {
            self.tolower_location = found.tolower_location;
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    pc: u64,
    function: Function,
    resolver: bool,
}

/// What a module's symbols tell.
#[derive(Debug, Default)]
pub struct Found {
    candidates: Vec<Candidate>,
    libc: bool,
    tolower_location: u64,
}

impl Found {
    /// A function, or a resolver, of a name. `global`: other modules can call it. `old`: another version of the name is
    /// what programs are linked with today.
    pub fn consider(&mut self, name: &[u8], pc: u64, size: u64, resolver: bool, global: bool, old: bool) {
        match name {
            b"__libc_start_main" => self.libc = true,
            b"__ctype_tolower_loc" => self.tolower_location = pc,
            _ => (),
        }
        // A program's own functions may have such names where they are not seen, but no resolvers; those of a static
        // libc are often hidden.
        let usable = if resolver { size > BEHIND_RESOLVER } else { global };
        if !usable {
            return;
        }
        if let Some(function) = Function::named(name) {
            // Programs of the time in which memcpy was a memmove are linked with the old one.
            let function = if old && function == Function::Memcpy { Function::Memmove } else { function };
            self.candidates.push(Candidate { pc, function, resolver });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(libc: bool) -> Found {
        let mut found = Found::default();
        found.consider(b"memcpy", 0x1000, 100, true, true, false);
        found.consider(b"memcpy", 0x2000, 40, false, true, true);
        found.consider(b"strcat", 0x3000, 40, false, true, false);
        found.consider(b"strlen", 0x4000, 40, false, false, false);
        found.consider(b"strchr", 0x5000, 16, true, true, false);
        found.consider(b"strrchr", 0x5100, 17, true, false, false);
        if libc {
            found.consider(b"__libc_start_main", 0x6000, 1, false, true, false);
        }
        found
    }

    #[test]
    fn functions_of_a_libc() {
        let mut targets = Targets::new();
        targets.add(&found(true));
        let function = |targets: &Targets, pc| targets.function(pc).map(|target| target.function);
        assert_eq!(function(&targets, 0x2000), Some(Function::Memmove), "the old memcpy");
        assert_eq!(function(&targets, 0x3000), Some(Function::Strcat));
        assert_eq!(function(&targets, 0x4000), None, "a program's own");
        assert!(!targets.is_resolver(0x5000), "too short");
        assert!(targets.is_resolver(0x5100), "hidden");

        assert!(targets.is_resolver(0x1000) && targets.resolved(0x1000).is_none());
        let answer = targets.resolve(0x1000, 0x2000).expect("a resolver");
        assert_eq!(targets.resolved(0x1000), Some(answer));
        let expected = Target { function: Function::Memcpy, symbol: 0x1000, own: 0x2000 };
        assert_eq!(targets.function(answer), Some(expected));
        assert_eq!(targets.resolve(0x3000, 1), None);

        targets.forget(0x1000, 0x2000);
        assert!(targets.function(answer).is_none() && targets.resolved(0x1000).is_none());
        assert!(targets.function(0x2000).is_some());
    }

    #[test]
    fn a_module_that_is_no_libc_keeps_its_functions() {
        let mut targets = Targets::new();
        targets.add(&found(false));
        assert!(targets.function(0x2000).is_none() && !targets.is_resolver(0x1000));
    }
}
