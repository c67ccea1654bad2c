//! Names from symbol tables, for the addresses that are asked for.
//!
//! Sorting a table of a million symbols for ten frames would cost more than everything else, so only the symbols that
//! hold an address are kept. Always holds: an address has the symbol of the greatest rank of all that hold it, whatever
//! the order of the tables. Not here: what DWARF says (`names`).

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, SymbolFlags, SymbolKind};
use std::cmp::Reverse;

/// A symbol of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Symbol<'data> {
    rank: Rank<'data>,
    /// Behind its last address.
    end: u64,
    /// A function that only chooses one of several with its name.
    chooses: bool,
}

/// Greater is better: a symbol with a size, the nearest start, the fewest leading underscores, the shortest name (free, not
/// cfree; raise, not gsignal); then the name, so that the choice does not depend on the order of the table.
type Rank<'data> = (bool, u64, Reverse<(usize, usize)>, Reverse<&'data str>);

impl<'data> Symbol<'data> {
    /// Its name, without a version.
    pub(super) fn name(&self) -> &'data str {
        self.rank.3.0
    }

    /// Its first address.
    pub(super) fn start(&self) -> u64 {
        self.rank.1
    }

    /// Whether it says where it ends.
    pub(super) fn has_size(&self) -> bool {
        self.rank.0
    }

    /// Whether what begins at this address is a function that only chooses one of several with its name: an engine that
    /// stands in for those names their frames by it, for what was chosen often has no symbol.
    pub(super) fn stands_for_another(&self, address: u64) -> bool {
        self.chooses && self.start() == address
    }

    /// `None` for what names no code, or none of the addresses, which are sorted.
    fn read(
        elf: &ElfFile64<'data>,
        symbol: &impl ObjectSymbol<'data>,
        addresses: &[u64],
    ) -> Option<Symbol<'data>> {
        let chooses = matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. }
            if st_info.st_type() == object::elf::STT_GNU_IFUNC);
        let kind = symbol.kind();
        if matches!(kind, SymbolKind::Data | SymbolKind::Tls | SymbolKind::File | SymbolKind::Section) {
            return None;
        }
        // Labels of assembly have no type; ifuncs are no definitions for the reader.
        let names_code =
            symbol.is_definition() || chooses || matches!(kind, SymbolKind::Label | SymbolKind::Unknown);
        let (start, size) = (symbol.address(), symbol.size());
        let index = symbol.section_index().filter(|_| names_code && start != 0)?;
        let end = if size != 0 {
            start.saturating_add(size)
        } else {
            // Without a size it reaches to the end of its section, unless a nearer symbol is found.
            let section = elf.section_by_index(index).ok();
            section.map_or(start, |section| section.address().saturating_add(section.size()))
        };
        // A section that ends before its symbol is damaged, or made by a linker script.
        let first = addresses.get(addresses.partition_point(|&address| address < start));
        first.filter(|&&address| address < end)?;
        // Versions ("name@VERSION") are not part of the name.
        let name = symbol.name().ok()?.split('@').next().filter(|name| !name.is_empty())?;
        let underscores = name.bytes().take_while(|&byte| byte == b'_').count();
        // Mangled names begin with one underscore of their own.
        let underscores = underscores - usize::from(name.starts_with("_Z") || name.starts_with("_R"));
        let plain = Reverse((underscores, name.len()));
        Some(Symbol { rank: (size != 0, start, plain, Reverse(name)), end, chooses })
    }
}

/// The symbols of some addresses.
pub(super) struct Table<'data> {
    symbols: Vec<Symbol<'data>>,
    /// For each address the index of its symbol, or [`NONE`].
    of: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl<'data> Table<'data> {
    /// Looks at the tables of all files. The addresses are sorted.
    pub(super) fn read(files: &[&ElfFile64<'data>], addresses: &[u64]) -> Table<'data> {
        let mut symbols = Vec::new();
        for elf in files {
            let all = elf.symbols().chain(elf.dynamic_symbols());
            symbols.extend(all.filter_map(|symbol| Symbol::read(elf, &symbol, addresses)));
        }
        symbols.sort_by(|a, b| b.rank.cmp(&a.rank));
        let of = paint(addresses, &symbols);
        Table { symbols, of }
    }

    /// The symbol of the n-th address, with a number of its own.
    pub(super) fn at(&self, nth: usize) -> Option<(u32, &Symbol<'data>)> {
        let number = *self.of.get(nth)?;
        Some((number, self.symbols.get(number as usize)?))
    }
}

/// The first of the symbols, the best one, that holds each of the addresses.
fn paint(addresses: &[u64], symbols: &[Symbol<'_>]) -> Vec<u32> {
    let mut of = vec![NONE; addresses.len()];
    // Of each address, one from which on the next without a symbol is found; its own when it has none.
    let mut next: Vec<usize> = (0..=addresses.len()).collect();
    for (number, symbol) in (0..NONE).zip(symbols) {
        let first = addresses.partition_point(|&address| address < symbol.start());
        let mut at = free(&mut next, first);
        while addresses.get(at).is_some_and(|&address| address < symbol.end) {
            of[at] = number;
            next[at] = at + 1;
            at = free(&mut next, at + 1);
        }
    }
    of
}

/// The first place from `at` on that is its own next one.
fn free(next: &mut [usize], mut at: usize) -> usize {
    while next[at] != at {
        next[at] = next[next[at]];
        at = next[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, start: u64, end: u64, sized: bool) -> Symbol<'_> {
        Symbol { rank: (sized, start, Reverse((0, name.len())), Reverse(name)), end, chooses: false }
    }

    #[test]
    fn the_best_symbol_of_each_address_is_found() {
        // Numbers that look random (xorshift).
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % bound
        };
        let names: Vec<String> = (0..30).map(|i| format!("f{i}")).collect();
        for _ in 0..200 {
            let mut symbols: Vec<Symbol<'_>> = (names.iter())
                .map(|name| {
                    let start = below(60);
                    symbol(name, start, start + below(20), below(3) != 0)
                })
                .collect();
            symbols.sort_by(|a, b| b.rank.cmp(&a.rank));
            let addresses: Vec<u64> = (0..90).filter(|_| below(3) != 0).collect();
            let best = |&address: &u64| {
                let holds = |symbol: &&Symbol<'_>| symbol.start() <= address && address < symbol.end;
                symbols.iter().filter(holds).max_by_key(|symbol| symbol.rank).map(Symbol::name)
            };
            let expected: Vec<Option<&str>> = addresses.iter().map(best).collect();
            let painted = paint(&addresses, &symbols);
            let name = |&number: &u32| symbols.get(number as usize).map(Symbol::name);
            assert_eq!(painted.iter().map(name).collect::<Vec<_>>(), expected);
        }
    }
}
