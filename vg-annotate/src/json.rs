//! The report for programs: one JSON object with `"schema": 1`.
//!
//! Names and order of fields are fixed; further ones may follow. `lines` has all lines of the source files of which one costs
//! enough to be shown. What is not known is an empty string or 0.

use crate::options::Options;
use crate::run::Report;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    command: &'a [String],
    events: [&'static str; 1],
    summary: Cost,
    functions: Vec<Function<'a>>,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Cost {
    #[serde(rename = "Ir")]
    ir: u64,
}

#[derive(Serialize)]
struct Function<'a> {
    function: &'a str,
    file: &'a str,
    module: &'a str,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: u32,
    #[serde(flatten)]
    cost: Cost,
}

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report, options: &Options) -> io::Result<()> {
    let costs = &report.costs;
    let least = costs.least(options);
    let files = costs.lines.iter().filter(|(_, lines)| lines.values().any(|cost| *cost as f64 >= least));
    let document = Document {
        schema: 1,
        complete: report.complete,
        command: &report.command,
        events: ["Ir"],
        summary: Cost { ir: costs.total },
        functions: costs
            .shown(options)
            .into_iter()
            .map(|(function, ir)| Function {
                function: &function.name,
                file: &function.file,
                module: &function.module,
                cost: Cost { ir },
            })
            .collect(),
        lines: files
            .flat_map(|(file, lines)| {
                lines.iter().map(move |(&line, &ir)| Line { file, line, cost: Cost { ir } })
            })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
