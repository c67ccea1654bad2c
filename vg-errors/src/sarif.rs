//! The report as SARIF 2.1.0, for code scanning.
//!
//! One run with one rule for each kind that occurs and one result for each finding. The place of a result is the user's
//! own frame; all stacks are in it, too. The fingerprint has names of functions and no lines, so that an alert stays the
//! same while lines move. Limits of GitHub (5,000 results are shown) are not enforced.

use crate::findings::{Finding, Stack};
use crate::github::Root;
use crate::kinds::{KINDS, Kind};
use crate::options::Options;
use crate::run::Report;
use crate::sentence;
use crate::words::{self, Part};
use report::stack::Frame;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Name of the base of relative paths.
const ROOT: &str = "SRCROOT";

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Value,
    automation_details: Value,
    column_kind: &'static str,
    invocations: [Value; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    original_uri_base_ids: Option<Value>,
    results: Results<'a>,
}

/// The findings; each is turned into JSON when it is written, since all of them together take gigabytes.
struct Results<'a> {
    findings: &'a [Finding<'a>],
    rule_of: &'a BTreeMap<usize, usize>,
    root: &'a Root,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.findings.iter().map(|finding| result(finding, self.rule_of[&finding.kind], self.root)),
        )
    }
}

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>, options: &Options) -> io::Result<()> {
    let listed = &report.findings.listed;
    let kinds: BTreeSet<usize> = listed.iter().map(|finding| finding.kind).collect();
    let rule_of: BTreeMap<usize, usize> = kinds.iter().enumerate().map(|(i, kind)| (*kind, i)).collect();
    let root = Root::of(report, options);
    let driver = json!({
        "name": "vg-errors",
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": kinds.iter().map(|kind| rule(&KINDS[*kind])).collect::<Vec<_>>(),
    });
    let run = Run {
        tool: json!({ "driver": driver }),
        automation_details: json!({ "id": "vg-errors/" }),
        column_kind: "utf16CodeUnits",
        invocations: [invocation(report)],
        original_uri_base_ids: bases(&root),
        results: Results { findings: listed, rule_of: &rule_of, root: &root },
    };
    let document =
        Document { schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0", runs: [run] };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// The base of relative paths; none when it is no absolute path.
fn bases(root: &Root) -> Option<Value> {
    let directory = root.directory();
    let uri = format!("{}/", file_uri(directory.trim_end_matches('/')));
    directory.starts_with('/').then(|| json!({ ROOT: { "uri": uri } }))
}

fn level(kind: &Kind) -> &'static str {
    if kind.is_error { "error" } else { "warning" }
}

fn rule(kind: &Kind) -> Value {
    json!({
        "id": kind.name,
        "name": kind.name,
        "shortDescription": { "text": kind.about },
        "fullDescription": { "text": kind.about },
        "help": { "text": kind.help },
        "defaultConfiguration": { "level": level(kind) },
        "properties": { "tags": ["memory"], "precision": "very-high", "problem.severity": level(kind) },
    })
}

/// How the tool itself fared: a recording that is not complete is no clean result.
fn invocation(report: &Report<'_>) -> Value {
    let notes: Vec<_> = report
        .problems
        .iter()
        .map(|problem| json!({ "level": "warning", "message": { "text": problem } }))
        .collect();
    let mut invocation = json!({ "executionSuccessful": report.complete, "exitCode": report.status });
    if !notes.is_empty() {
        invocation["toolExecutionNotifications"] = json!(notes);
    }
    invocation
}

fn result(finding: &Finding<'_>, rule: usize, root: &Root) -> Value {
    let kind = &KINDS[finding.kind];
    let what = words::what(finding);
    let mut stacks = vec![stack(&what, &finding.stack, root)];
    let mut related = Vec::new();
    let mut message = vec![sentence::plain(finding), what];
    for part in words::parts(finding) {
        match part {
            Part::Aux(text, Some(of)) => {
                stacks.push(stack(&text, of, root));
                if let Some(place) = of.user.as_ref().and_then(|user| physical(user, root)) {
                    related.push(json!({
                        "id": related.len() + 1,
                        "message": { "text": text },
                        "physicalLocation": place,
                    }));
                }
                message.push(text);
            }
            Part::Aux(text, None) | Part::Declared(text, ..) => message.push(text),
        }
    }
    let mut result = json!({
        "ruleId": kind.name,
        "ruleIndex": rule,
        "level": level(kind),
        "message": { "text": message.join("\n") },
        "occurrenceCount": finding.count,
        "locations": finding.stack.user.iter().map(|user| location(user, root)).collect::<Vec<_>>(),
        "stacks": stacks,
        "partialFingerprints": { "vgStack/v1": fingerprint(finding) },
    });
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

fn stack(text: &str, stack: &Stack<'_>, root: &Root) -> Value {
    let frames = stack.frames.iter().map(|frame| {
        let mut entry = json!({ "location": location(frame, root) });
        if !frame.module.is_empty() {
            entry["module"] = json!(frame.module);
        }
        entry
    });
    json!({ "message": { "text": text }, "frames": frames.collect::<Vec<_>>() })
}

fn location(frame: &Frame<'_>, root: &Root) -> Value {
    let mut location = json!({});
    if let Some(place) = physical(frame, root) {
        location["physicalLocation"] = place;
    }
    if !frame.function.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": frame.function, "kind": "function" }]);
    }
    location
}

fn physical(frame: &Frame<'_>, root: &Root) -> Option<Value> {
    if frame.file.is_empty() {
        return None;
    }
    let mut place = match root.relative(frame.file) {
        Ok(path) => json!({ "artifactLocation": { "uri": escaped(&path), "uriBaseId": ROOT } }),
        Err(path) => json!({ "artifactLocation": { "uri": file_uri(&path) } }),
    };
    if frame.line > 0 {
        place["region"] = json!({ "startLine": frame.line });
    }
    Some(place)
}

fn file_uri(path: &str) -> String {
    format!("file://{}", escaped(path))
}

/// A path as part of a URI (RFC 3986): everything but letters, digits, `-._~` and `/` in hexadecimal.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(byte.into());
            }
            byte => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

/// 64 bits of kind, functions and base names of modules, as FNV-1a makes them: no line, no address.
fn fingerprint(finding: &Finding<'_>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    add(KINDS[finding.kind].name);
    for frame in &finding.stack.frames {
        add(frame.function);
        add(report::format::base_name(frame.module));
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(escaped("src/a b#ü.c"), "src/a%20b%23%C3%BC.c");
        assert_eq!(file_uri("/home/u/a.c"), "file:///home/u/a.c");
    }
}
