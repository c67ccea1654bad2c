//! The tables of a trace that turn a stack id into frames with names: strings, modules, code addresses, symbols, the
//! stack tree.
//!
//! Fed message by message ([`Symbols::take`]); lookups borrow from the tables. A trace may be cut or damaged, so every
//! lookup tolerates ids that do not exist: such a name is empty, such a stack ends. Ids that leave a gap are kept
//! at their place up to a limit that the trace's size justifies.
//!
//! Not here: finding symbols in binaries, which the recorder did.

use crate::stack::Frame;
use schema::model::{self, Message};
use std::collections::HashMap;

/// The tables. Empty at first.
#[derive(Debug, Default)]
pub struct Symbols {
    /// String `id` is `strings[id - 1]`; the same for the other tables.
    strings: Vec<String>,
    frames: Vec<model::Frame>,
    nodes: Vec<model::StackNode>,
    modules: HashMap<u32, Module>,
    /// The first module id of each path.
    paths: HashMap<String, u32>,
    places: HashMap<u32, Vec<model::Place>>,
}

#[derive(Debug)]
struct Module {
    path: String,
    bias: u64,
    /// Equal for all modules with this path.
    canonical: u32,
}

impl Symbols {
    /// Takes the message in when it belongs to the tables, and gives it back when not.
    pub fn take(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Strings(strings) => append(&mut self.strings, strings.first_id, strings.strings),
            Message::Frames(frames) => append(&mut self.frames, frames.first_id, frames.frames),
            Message::Stacks(stacks) => append(&mut self.nodes, stacks.first_id, stacks.nodes),
            Message::Symbols(symbols) => {
                self.places.extend(symbols.into_iter().map(|symbol| (symbol.frame, symbol.places)));
            }
            Message::Modules(modules) => {
                for module in modules {
                    let path = module.path.to_string();
                    let canonical = *self.paths.entry(path.clone()).or_insert(module.id);
                    self.modules.insert(module.id, Module { path, bias: module.bias, canonical });
                }
            }
            other => return Some(other),
        }
        None
    }

    /// Ids of the code addresses on a stack, innermost first.
    pub fn frame_ids(&self, stack: u32) -> impl Iterator<Item = u32> + '_ {
        let node = |id: u32| Some((id, entry(&self.nodes, id)?));
        // A parent's id is smaller, which also ends the walk whatever the trace says.
        std::iter::successors(node(stack), move |(id, of)| {
            (of.parent < *id).then(|| node(of.parent)).flatten()
        })
        .map(|(_, node)| node.frame)
    }

    /// What identifies the code on a stack, innermost first: a number for the module and the address within it. Equal
    /// also for a library that was unloaded and loaded again.
    pub fn code(&self, stack: u32) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.frame_ids(stack).map(|id| {
            let frame = entry(&self.frames, id).copied().unwrap_or_default();
            (self.modules.get(&frame.module).map_or(0, |module| module.canonical), frame.rva)
        })
    }

    /// The functions on the first `limit` code addresses of a stack, innermost first; an address where functions were
    /// inlined gives several.
    pub fn frames(&self, stack: u32, limit: usize) -> Vec<Frame<'_>> {
        let mut frames = Vec::new();
        for id in self.frame_ids(stack).take(limit) {
            self.resolve(id, &mut frames);
        }
        frames
    }

    /// Path of the module with this id; empty when there is none.
    pub fn module_path(&self, id: u32) -> &str {
        self.modules.get(&id).map_or("", |module| module.path.as_str())
    }

    fn resolve<'t>(&'t self, id: u32, into: &mut Vec<Frame<'t>>) {
        let Some(code) = entry(&self.frames, id) else { return };
        let module = self.modules.get(&code.module);
        let (module, bias) = module.map_or(("", 0), |module| (module.path.as_str(), module.bias));
        let base = Frame { address: code.rva.wrapping_add(bias), module, ..Frame::default() };
        let places = self.places.get(&id).map_or(&[][..], Vec::as_slice);
        let Some((last, inlined)) = places.split_last() else { return into.push(base) };
        let named = |place: &model::Place, inlined| {
            let function = match self.string(place.function) {
                "" => self.string(place.raw_name),
                demangled => demangled,
            };
            Frame { function, file: self.string(place.file), line: place.line, inlined, ..base }
        };
        into.extend(inlined.iter().map(|place| named(place, true)));
        into.push(named(last, false));
    }

    /// The string with this id; empty when there is none.
    pub fn string(&self, id: u32) -> &str {
        entry(&self.strings, id).map_or("", String::as_str)
    }
}

fn entry<T>(table: &[T], id: u32) -> Option<&T> {
    table.get((id as usize).checked_sub(1)?)
}

/// Puts rows at their ids. Tables grow without gaps; rows behind a gap (a lost message) cannot be placed without
/// trusting a number in the trace with memory, so that a gap is filled only when it is no longer than what is known.
fn append<T: Default + Clone>(table: &mut Vec<T>, first_id: u32, rows: Vec<T>) {
    let Some(start) = (first_id as usize).checked_sub(1) else { return };
    if start > table.len() {
        if start > 2 * table.len() + (1 << 20) {
            return;
        }
        table.resize(start, T::default());
    }
    let overlap = (table.len() - start).min(rows.len());
    let mut rows = rows.into_iter();
    for (old, new) in table[start..start + overlap].iter_mut().zip(rows.by_ref()) {
        *old = new;
    }
    table.extend(rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FrameSymbols, Frames, Module, Place, StackNode, Stacks, Strings};

    fn tables() -> Symbols {
        let mut symbols = Symbols::default();
        let strings = ["main", "a.c", "inner", "_Zouter"].map(String::from).to_vec();
        let frame = |module, rva| model::Frame { module, rva, ..model::Frame::default() };
        let place = |function, raw_name, file, line| Place { function, raw_name, file, line, column: 0 };
        let messages = [
            Message::Strings(Strings { first_id: 1, strings }),
            Message::Modules(vec![Module { id: 7, path: "/t/a".into(), bias: 0x1000, ..Module::default() }]),
            Message::Frames(Frames {
                first_id: 1,
                frames: vec![frame(7, 0x10), frame(7, 0x20), frame(0, 0x30)],
            }),
            Message::Symbols(vec![
                FrameSymbols { frame: 1, places: vec![place(3, 0, 2, 5), place(0, 4, 2, 9)] },
                FrameSymbols { frame: 2, places: vec![place(1, 0, 99, 1)] },
            ]),
            Message::Stacks(Stacks {
                first_id: 1,
                nodes: vec![
                    StackNode { parent: 0, frame: 3 },
                    StackNode { parent: 1, frame: 2 },
                    StackNode { parent: 2, frame: 1 },
                    StackNode { parent: 4, frame: 1 },
                    StackNode { parent: 9, frame: 77 },
                ],
            }),
        ];
        for message in messages {
            assert_eq!(symbols.take(message), None);
        }
        symbols
    }

    #[test]
    fn stacks_become_frames_with_inlined_functions() {
        let symbols = tables();
        let frames = symbols.frames(3, usize::MAX);
        let all: Vec<_> = frames.iter().map(|f| (f.address, f.function, f.file, f.line, f.inlined)).collect();
        let expected = [
            (0x1010, "inner", "a.c", 5, true),
            (0x1010, "_Zouter", "a.c", 9, false),
            (0x1020, "main", "", 1, false),
            (0x30, "", "", 0, false),
        ];
        assert_eq!(all, expected);
        assert_eq!((frames[0].module, frames[3].module), ("/t/a", ""));
        assert_eq!((symbols.module_path(7), symbols.module_path(8)), ("/t/a", ""));
        assert_eq!((symbols.string(2), symbols.string(9), symbols.string(0)), ("a.c", "", ""));
        assert_eq!(symbols.frames(3, 1).len(), 2, "a limit counts code addresses");
    }

    #[test]
    fn a_library_that_was_loaded_again_is_the_same_code() {
        let mut symbols = tables();
        symbols.take(Message::Modules(vec![Module {
            id: 8,
            path: "/t/a".into(),
            bias: 0x9000,
            ..Module::default()
        }]));
        let frame = model::Frame { module: 8, rva: 0x20, ..model::Frame::default() };
        symbols.take(Message::Frames(Frames { first_id: 4, frames: vec![frame] }));
        symbols.take(Message::Stacks(Stacks { first_id: 6, nodes: vec![StackNode { parent: 1, frame: 4 }] }));
        assert_eq!(symbols.code(6).collect::<Vec<_>>(), symbols.code(2).collect::<Vec<_>>());
        assert_eq!(symbols.frames(6, 1)[0].address, 0x9020);
    }

    #[test]
    fn ids_that_do_not_exist_end_a_stack() {
        let symbols = tables();
        assert!(symbols.frames(0, 9).is_empty());
        assert!(symbols.frames(1000, 9).is_empty());
        assert_eq!(symbols.frame_ids(4).collect::<Vec<_>>(), [1], "a parent that is no smaller");
        assert!(symbols.frames(5, 9).is_empty(), "an unknown frame");
    }

    #[test]
    fn gaps_and_repetitions() {
        let mut table = vec![1, 2];
        append(&mut table, 5, vec![5]);
        assert_eq!(table, [1, 2, 0, 0, 5]);
        append(&mut table, 2, vec![20, 30]);
        assert_eq!(table, [1, 20, 30, 0, 5]);
        append(&mut table, u32::MAX, vec![9]);
        append(&mut table, 0, vec![9]);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn other_messages_come_back() {
        let message = Message::Skipped(model::Skipped::Arm(99));
        assert_eq!(Symbols::default().take(message.clone()), Some(message));
    }
}
