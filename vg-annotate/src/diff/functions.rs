//! Which functions of two profiles are the same.
//!
//! What always holds: each function is in one pair. Functions of one name, file and module are one. Of several
//! that share a name, those are pairs whose module has the same name, then those whose paths have the most in common from the
//! end; what has no counterpart is new or gone.

use super::names::stable;
use crate::profile::{Function, FunctionId, Profile};
use report::format::base_name;
use std::collections::{BTreeMap, HashMap};

/// A function before and after. One of the two may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// As it is called now; for one that is gone, as it was called.
    pub function: Function,
    /// In the old profile.
    pub old: Vec<FunctionId>,
    /// In the new one.
    pub new: Vec<FunctionId>,
}

/// Functions that are told apart by name, file and module alone.
type Groups = BTreeMap<Function, Vec<FunctionId>>;

fn groups(profile: &Profile) -> HashMap<String, Groups> {
    let mut by_name: HashMap<String, Groups> = HashMap::new();
    for (number, function) in profile.functions().iter().enumerate() {
        let name = stable(&function.name).into_owned();
        let group = Function { name: name.clone(), ..function.clone() };
        by_name.entry(name).or_default().entry(group).or_default().push(FunctionId(number));
    }
    by_name
}

/// How many parts at the end of two paths are the same.
pub(super) fn likeness(a: &str, b: &str) -> usize {
    a.rsplit('/').zip(b.rsplit('/')).take_while(|(a, b)| a == b).count()
}

/// How well functions of one name fit together. Modules are compared by their names, since builds lie in different folders.
fn fit(old: &Function, new: &Function) -> (bool, usize, usize) {
    let same_module = base_name(&old.module) == base_name(&new.module);
    (same_module, likeness(&old.file, &new.file), likeness(&old.module, &new.module))
}

/// The functions of both profiles as pairs.
pub fn pairs(old: &Profile, new: &Profile) -> Vec<Pair> {
    let (mut before, after) = (groups(old), groups(new));
    let mut pairs = Vec::new();
    for (name, new) in after {
        let mut old = before.remove(&name).unwrap_or_default();
        let mut candidates: Vec<_> =
            old.keys().flat_map(|old| new.keys().map(move |new| (fit(old, new), old.clone(), new))).collect();
        // The best first; names decide between equals, so that the result is always the same.
        candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (&a.1, a.2).cmp(&(&b.1, b.2))));
        let mut counterparts: HashMap<&Function, Vec<FunctionId>> = HashMap::new();
        for (_, old_function, new_function) in candidates {
            if !counterparts.contains_key(new_function)
                && let Some(ids) = old.remove(&old_function)
            {
                counterparts.insert(new_function, ids);
            }
        }
        for (function, ids) in &new {
            let old = counterparts.remove(function).unwrap_or_default();
            pairs.push(Pair { function: function.clone(), old, new: ids.clone() });
        }
        pairs.extend(gone(old));
    }
    pairs.extend(before.into_values().flat_map(gone));
    pairs.sort_by(|a, b| (&a.function, a.new.is_empty()).cmp(&(&b.function, b.new.is_empty())));
    pairs
}

fn gone(old: Groups) -> impl Iterator<Item = Pair> {
    old.into_iter().map(|(function, old)| Pair { function, old, new: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(functions: &[(&str, &str, &str)]) -> Profile {
        let mut profile = Profile::new(Vec::new());
        for (name, file, module) in functions {
            profile.function_id(Function {
                name: (*name).to_owned(),
                file: (*file).to_owned(),
                module: (*module).to_owned(),
            });
        }
        profile
    }

    /// `NAME FILE: old numbers, new numbers`.
    fn paired(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Vec<String> {
        let ids = |ids: &[FunctionId]| ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join("+");
        pairs(&profile(old), &profile(new))
            .iter()
            .map(|pair| {
                format!(
                    "{} {}: {} {}",
                    pair.function.name,
                    pair.function.file,
                    ids(&pair.old),
                    ids(&pair.new)
                )
            })
            .collect()
    }

    #[test]
    fn names_decide_wherever_the_build_is() {
        let old = [("f::h0123456789abcdef", "/old/src/f.rs", "/old/target/prog"), ("gone", "g.c", "p")];
        let new = [("fresh", "g.c", "p"), ("f::hfedcba9876543210", "/new/src/f.rs", "/new/target/prog")];
        assert_eq!(paired(&old, &new), ["f /new/src/f.rs: 0 1", "fresh g.c:  0", "gone g.c: 1 "]);
    }

    #[test]
    fn of_several_with_one_name_the_most_alike_are_the_same() {
        let old =
            [("init", "/o/src/a.c", "/o/p"), ("init", "/o/src/b.c", "/o/p"), ("init", "/l/b.c", "/l/lib.so")];
        let new =
            [("init", "/n/src/b.c", "/n/p"), ("init", "/n/src/a.c", "/n/p"), ("init", "/n/src/c.c", "/n/p")];
        // What is left over of one name is the same, wherever it is now.
        assert_eq!(
            paired(&old, &new),
            ["init /n/src/a.c: 0 1", "init /n/src/b.c: 1 0", "init /n/src/c.c: 2 2"]
        );
    }

    #[test]
    fn copies_of_one_function_are_one() {
        let old = [("f.isra.0", "f.c", "p"), ("f.part.0", "f.c", "p")];
        assert_eq!(paired(&old, &[("f", "f.c", "p")]), ["f f.c: 0+1 0"]);
    }
}
