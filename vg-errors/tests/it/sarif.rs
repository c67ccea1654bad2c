//! SARIF is valid by the official JSON schema, and says what code scanning needs.
//!
//! `tests/data/sarif-schema-2.1.0.json` is the schema of the OASIS committee, unchanged, as the MIT-licensed packages
//! of SARIF tools distribute it.

use crate::support::{directory, golden_trace, vg_errors};
use serde_json::Value;

fn document(name: &str, arguments: &[&str]) -> Value {
    let all = ["--kinds=all", "--format=sarif"];
    let folder = directory(&format!("sarif-{name}"));
    let outcome = vg_errors(&folder, &[&all, arguments].concat(), &golden_trace(name));
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{name}: {error} {}", outcome.stderr))
}

fn validator() -> jsonschema::Validator {
    // The one expression in it that only JavaScript's engine takes has a bracket that closes nothing.
    let schema = include_str!("../data/sarif-schema-2.1.0.json").replace("{2}]?$", r"{2}\\]?$");
    let schema = serde_json::from_str(&schema).expect("a schema");
    jsonschema::validator_for(&schema).expect("a good schema")
}

#[test]
fn every_report_is_valid() {
    let validator = validator();
    let names = [
        "accesses",
        "variables",
        "values",
        "calls",
        "descriptors",
        "groups",
        "processes",
        "signals",
        "extreme",
        "partly",
        "cut",
    ];
    for name in names {
        let document = document(name, &[]);
        let problems: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{name}: {}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            let rule = &rules[result["ruleIndex"].as_u64().expect("a number") as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            assert_eq!(rule["defaultConfiguration"]["level"], result["level"]);
            assert_eq!(result["partialFingerprints"]["vgStack/v1"].as_str().map(str::len), Some(16));
        }
    }
}

/// That the schema is not one that takes anything.
#[test]
fn a_broken_report_is_not_valid() {
    let validator = validator();
    let good = document("values", &[]);
    let breaks: [(&str, Value); 4] = [
        ("/version", "2.0".into()),
        ("/runs/0/results/0/level", "fatal".into()),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", 0.into()),
        ("/runs/0/tool/driver/name", Value::Null),
    ];
    for (pointer, value) in breaks {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}

#[test]
fn places_are_below_the_root_and_fingerprints_do_not_move() {
    let place = |document: &Value| {
        document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"].clone()
    };
    let below = document("accesses", &[]);
    assert_eq!(place(&below), serde_json::json!({ "uri": "src/a.c", "uriBaseId": "SRCROOT" }));
    assert_eq!(below["runs"][0]["originalUriBaseIds"]["SRCROOT"]["uri"], "file:///home/u/");
    let elsewhere = document("accesses", &["--source-root=/opt"]);
    assert_eq!(place(&elsewhere), serde_json::json!({ "uri": "file:///home/u/src/a.c" }));
    let deeper = document("accesses", &["--source-root=/home/u/src/"]);
    assert_eq!(place(&deeper), serde_json::json!({ "uri": "a.c", "uriBaseId": "SRCROOT" }));
    let prints = |document: &Value| {
        let results = document["runs"][0]["results"].as_array().expect("results").clone();
        results.iter().map(|result| result["partialFingerprints"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(prints(&below), prints(&deeper));
}
