//! Stacks for speedscope, in its own format: one profile of sampled stacks for each event that is shown.
//!
//! What always holds, by speedscope's schema: samples are lists of frames, root first, as many as weights; `endValue` is the
//! sum of the weights.

use super::stacks::{flat, label};
use crate::profile::FunctionId;
use crate::profile::events::BYTES;
use crate::selection::View;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    name: String,
    exporter: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared<'a>,
    profiles: Vec<Sampled<'a>>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
}

#[derive(Serialize)]
struct Sampled<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    unit: &'a str,
    #[serde(rename = "startValue")]
    start: u64,
    #[serde(rename = "endValue")]
    end: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// Writes the profile.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let profile = view.profile;
    let nodes = profile.contexts.nodes();
    // Only functions on stacks, by number: the order in which they were met.
    let mut numbers: BTreeMap<FunctionId, usize> = nodes.iter().map(|node| (node.function, 0)).collect();
    let mut frames = Vec::new();
    for (function, number) in &mut numbers {
        *number = frames.len();
        let function = profile.function(*function);
        frames.push(Frame { name: label(function), file: &function.file });
    }
    let of_event = |event: &usize| {
        let (mut samples, mut weights) = (Vec::new(), Vec::new());
        for (path, costs) in flat(profile).filter(|(_, costs)| costs.get(*event) > 0) {
            samples.push(path.iter().map(|id| numbers[&nodes[id.0].function]).collect());
            weights.push(costs.get(*event));
        }
        let event = &profile.events[*event];
        Sampled {
            kind: "sampled",
            name: &event.name,
            unit: if event.name == BYTES { "bytes" } else { "none" },
            start: 0,
            end: weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight)),
            samples,
            weights,
        }
    };
    let file = File {
        schema: SCHEMA,
        name: profile.command.join(" "),
        exporter: format!("vg-annotate@{}", env!("CARGO_PKG_VERSION")),
        active: view.chosen.shown.iter().position(|event| *event == view.chosen.main()).unwrap_or(0),
        shared: Shared { frames },
        profiles: view.chosen.shown.iter().map(of_event).collect(),
    };
    serde_json::to_writer(&mut *out, &file)?;
    writeln!(out)
}
