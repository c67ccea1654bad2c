//! Stacks for pprof: its `profile.proto`, compressed by gzip.
//!
//! What always holds, by the format's rules: string 0 is empty, other numbers begin at 1, each sample has a value for each
//! event that is shown, and its locations begin with the innermost. A function's own cost is told at the first line that costs anything: a
//! context knows no lines of its own. Not here: the encoding of fields ([`proto`]).

mod proto;

use super::stacks::flat;
use crate::profile::events::BYTES;
use crate::profile::{Function, Place, Profile};
use crate::selection::View;
use flate2::Compression;
use flate2::write::GzEncoder;
use proto::Message;
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes the profile.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, Compression::default());
    encoder.write_all(&encode(view))?;
    encoder.finish()?;
    Ok(())
}

/// Numbers of what a profile refers to by number.
struct Tables<'a> {
    profile: &'a Profile,
    strings: Vec<&'a str>,
    string_ids: HashMap<&'a str, u64>,
    mappings: Vec<&'a str>,
    mapping_ids: HashMap<&'a str, u64>,
    /// Names and files.
    functions: Vec<(&'a str, &'a str)>,
    function_ids: HashMap<(&'a str, &'a str), u64>,
    /// Function, line and mapping.
    locations: Vec<(u64, u32, u64)>,
    location_ids: HashMap<(u64, u32, u64), u64>,
}

/// The number of `key`, from 1, which it gets the first time.
fn number<K: Copy + Eq + std::hash::Hash>(all: &mut Vec<K>, ids: &mut HashMap<K, u64>, key: K) -> u64 {
    *ids.entry(key).or_insert_with(|| {
        all.push(key);
        all.len() as u64
    })
}

impl<'a> Tables<'a> {
    fn new(profile: &'a Profile) -> Tables<'a> {
        Tables {
            profile,
            // Counted from 0, unlike all else: the empty string is there from the beginning.
            strings: vec![""],
            string_ids: HashMap::from([("", 0)]),
            mappings: Vec::new(),
            mapping_ids: HashMap::new(),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
        }
    }

    fn string(&mut self, text: &'a str) -> u64 {
        *self.string_ids.entry(text).or_insert_with(|| {
            self.strings.push(text);
            self.strings.len() as u64 - 1
        })
    }

    /// A line of a function; one of inlined code is in another file than the function.
    fn location(&mut self, function: &'a Function, at: Option<Place>) -> u64 {
        let known = at.filter(|at| at.line != 0);
        let file = known.map_or(function.file.as_str(), |at| self.profile.file(at.file));
        let name = if function.name.is_empty() { "???" } else { &function.name };
        let id = number(&mut self.functions, &mut self.function_ids, (name, file));
        let mapping = match function.module.as_str() {
            "" => 0,
            module => number(&mut self.mappings, &mut self.mapping_ids, module),
        };
        let line = known.map_or(0, |at| at.line);
        number(&mut self.locations, &mut self.location_ids, (id, line, mapping))
    }
}

/// The message, uncompressed.
fn encode(view: &View<'_>) -> Vec<u8> {
    let profile = view.profile;
    let nodes = profile.contexts.nodes();
    let mut tables = Tables::new(profile);
    let mut message = Message::default();
    // The first mapping is the program itself: the module of what main is in, or of the outermost function.
    let main =
        nodes.iter().map(|node| profile.function(node.function)).find(|function| function.name == "main");
    let root = main.or_else(|| nodes.first().map(|node| profile.function(node.function)));
    if let Some(module) = root.map(|function| function.module.as_str()).filter(|module| !module.is_empty()) {
        number(&mut tables.mappings, &mut tables.mapping_ids, module);
    }
    for event in &view.chosen.shown {
        let (kind, unit) = sample_type(&profile.events[*event].name);
        let kind = Message::default().varint(1, tables.string(kind)).varint(2, tables.string(unit));
        message = message.message(1, &kind);
    }
    let first_lines = first_lines(profile);
    for (path, costs) in flat(profile) {
        let mut locations = Vec::with_capacity(path.len());
        let mut at = path.last().and_then(|leaf| first_lines.get(&nodes[leaf.0].function.0)).copied();
        for id in path.iter().rev() {
            let node = &nodes[id.0];
            locations.push(tables.location(profile.function(node.function), at));
            at = Some(node.site);
        }
        let values: Vec<u64> = view.chosen.shown.iter().map(|event| costs.get(*event)).collect();
        message = message.message(2, &Message::default().packed(1, &locations).packed(2, &values));
    }
    for (id, module) in (1..).zip(tables.mappings.clone()) {
        let module = tables.string(module);
        // Addresses are not known; names, files and lines are.
        let mapping = Message::default().varint(1, id).varint(5, module);
        message = message.message(3, &mapping.varint(7, 1).varint(8, 1).varint(9, 1));
    }
    for (id, (function, line, mapping)) in (1..).zip(&tables.locations) {
        let line = Message::default().varint(1, *function).varint(2, (*line).into());
        message = message.message(4, &Message::default().varint(1, id).varint(2, *mapping).message(4, &line));
    }
    for (id, (name, file)) in (1..).zip(tables.functions.clone()) {
        let (name, file) = (tables.string(name), tables.string(file));
        let function = Message::default().varint(1, id).varint(2, name).varint(3, name).varint(4, file);
        message = message.message(5, &function);
    }
    let (kind, unit) = sample_type(&profile.events[view.chosen.main()].name);
    let (kind, unit) = (tables.string(kind), tables.string(unit));
    let period = Message::default().varint(1, kind).varint(2, unit);
    let command = profile.command.join(" ");
    let mut strings = tables.strings;
    let comment = strings.len() as u64;
    strings.push(&command);
    for text in strings {
        message = message.text(6, text);
    }
    message.message(11, &period).varint(12, 1).varint(13, comment).varint(14, kind).into_bytes()
}

/// pprof's words for an event.
fn sample_type(event: &str) -> (&str, &str) {
    match event {
        "Ir" => ("instructions", "count"),
        BYTES => ("inuse_space", "bytes"),
        other => (other, "count"),
    }
}

/// The first place of each function in its own file that costs anything.
fn first_lines(profile: &Profile) -> HashMap<usize, Place> {
    let mut lines: HashMap<usize, Place> = HashMap::new();
    for (function, place, _) in profile.lines() {
        if place.line != 0 && profile.file(place.file) == profile.function(function).file {
            let first = lines.entry(function.0).or_insert(place);
            first.line = first.line.min(place.line);
        }
    }
    lines
}
