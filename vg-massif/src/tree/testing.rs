//! Tables of a trace, from stacks as text.

use report::symbols::Symbols;
use schema::{Frame, FrameSymbols, Frames, Message, Place, StackNode, Stacks, Strings};
use std::collections::BTreeMap;

/// The tables, and the ids of the stacks. A text has the functions of a stack, innermost first, `|` between code addresses and
/// `^` between functions inlined at one. An address depends on its text alone, in the order of the alphabet.
pub(crate) fn symbols(stacks: &[&str]) -> (Symbols, Vec<u32>) {
    let texts: Vec<&str> = stacks.iter().flat_map(|stack| stack.split('|')).collect();
    let mut frames: BTreeMap<&str, u32> = texts.iter().map(|text| (*text, 0)).collect();
    (1..).zip(frames.values_mut()).for_each(|(id, frame)| *frame = id);
    let mut strings: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for (text, frame) in &frames {
        let mut names = Vec::new();
        for function in text.split('^') {
            strings.push(function.to_owned());
            names.push(Place { function: strings.len() as u32, ..Place::default() });
        }
        places.push(FrameSymbols { frame: *frame, places: names });
    }
    let mut nodes: Vec<StackNode> = Vec::new();
    let mut heads = Vec::new();
    for stack in stacks {
        let mut parent = 0;
        for text in stack.split('|').rev() {
            nodes.push(StackNode { parent, frame: frames[text] });
            parent = nodes.len() as u32;
        }
        heads.push(parent);
    }
    let mut symbols = Symbols::default();
    let rows =
        (0..frames.len() as u64).map(|at| Frame { rva: 0x1000 + at * 16, ..Frame::default() }).collect();
    symbols.take(Message::Strings(Strings { first_id: 1, strings }));
    symbols.take(Message::Frames(Frames { first_id: 1, frames: rows }));
    symbols.take(Message::Symbols(places));
    symbols.take(Message::Stacks(Stacks { first_id: 1, nodes }));
    (symbols, heads)
}
