//! Valgrind's XML as its readers see it, and beside what a real valgrind prints.
//!
//! [`strict`] parses as cargo-valgrind does: with its XML library, the elements that it needs, and no kind of error but
//! the fifteen that it knows. [`Node`] is the document as a tree, for the grammar of Valgrind's
//! docs/internals/xml-output-protocol4.txt.

use crate::support::{directory, golden_trace, vg_errors};
use quick_xml::events::Event;
use serde::Deserialize as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const GOLDENS: [&str; 9] =
    ["accesses", "values", "calls", "descriptors", "groups", "processes", "signals", "variables", "extreme"];

/// The document of a golden trace, with everything in it.
fn document(name: &str, arguments: &[&str]) -> String {
    let all = ["--kinds=all", "--format=xml"];
    let outcome =
        vg_errors(&directory(&format!("xml-{name}")), &[&all, arguments].concat(), &golden_trace(name));
    assert_eq!(outcome.status, 1, "{}", outcome.stderr);
    outcome.stdout
}

mod strict {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename = "valgrindoutput")]
    pub(super) struct Output {
        #[serde(rename = "protocolversion")]
        pub(super) version: Version,
        #[serde(rename = "protocoltool")]
        #[allow(dead_code, reason = "that it can be read is the test")]
        pub(super) tool: Tool,
        #[serde(rename = "error")]
        pub(super) errors: Option<Vec<Error>>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    pub(super) enum Version {
        #[serde(rename = "4")]
        Four,
        #[serde(rename = "6")]
        Six,
    }

    #[derive(Debug, Deserialize)]
    pub(super) enum Tool {
        #[serde(rename = "memcheck")]
        Memcheck,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Error {
        pub(super) unique: String,
        pub(super) kind: Kind,
        #[serde(default)]
        pub(super) xwhat: Leaked,
        pub(super) what: Option<String>,
        #[serde(default)]
        pub(super) auxwhat: Vec<String>,
        pub(super) stack: Vec<Stack>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[allow(non_camel_case_types)] // The names are those of the document.
    pub(super) enum Kind {
        Leak_DefinitelyLost,
        Leak_StillReachable,
        Leak_IndirectlyLost,
        Leak_PossiblyLost,
        InvalidFree,
        MismatchedFree,
        InvalidRead,
        InvalidWrite,
        InvalidJump,
        Overlap,
        InvalidMemPool,
        UninitCondition,
        UninitValue,
        SyscallParam,
        ClientCheck,
    }

    #[derive(Debug, Default, Deserialize)]
    pub(super) struct Leaked {
        pub(super) leakedbytes: usize,
        pub(super) leakedblocks: usize,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Stack {
        #[serde(rename = "frame")]
        pub(super) frames: Vec<Frame>,
    }

    #[derive(Debug, Deserialize)]
    pub(super) struct Frame {
        pub(super) ip: String,
        #[serde(rename = "fn")]
        pub(super) function: Option<String>,
        pub(super) file: Option<String>,
        pub(super) line: Option<usize>,
    }
}

fn strictly(xml: &str) -> strict::Output {
    let mut reader =
        serde_xml_rs::Deserializer::new_from_reader(xml.as_bytes()).non_contiguous_seq_elements(true);
    strict::Output::deserialize(&mut reader).unwrap_or_else(|error| panic!("{error}\n{xml}"))
}

fn is_hex(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok())
}

#[test]
fn a_strict_reader_takes_protocol_4_with_every_kind() {
    let mut errors = 0;
    for name in GOLDENS {
        let output = strictly(&document(name, &[]));
        assert_eq!(output.version, strict::Version::Four);
        for error in output.errors.unwrap_or_default() {
            errors += 1;
            assert!(is_hex(&error.unique), "{error:?}");
            assert!(error.what.is_some() || error.xwhat.leakedblocks == 1, "{error:?}");
            assert_eq!(error.xwhat.leakedbytes, 0);
            assert!(!error.stack.is_empty() && error.stack.iter().all(|stack| !stack.frames.is_empty()));
            for frame in error.stack.iter().flat_map(|stack| &stack.frames) {
                assert!(is_hex(&frame.ip), "{frame:?}");
                assert!(frame.line.is_none() || frame.file.is_some() && frame.function.is_some());
            }
        }
    }
    assert!(errors > 50, "{errors} errors");
}

#[test]
fn a_strict_reader_finds_what_was_written() {
    let errors = strictly(&document("accesses", &[])).errors.expect("errors");
    let first = &errors[0];
    assert_eq!(first.kind, strict::Kind::InvalidRead);
    assert_eq!(first.what.as_deref(), Some("Invalid read of size 4"));
    assert_eq!(first.auxwhat, ["Address 0x4a41068 is 0 bytes after a block of size 40 alloc'd"]);
    let frame = &first.stack[0].frames[0];
    assert_eq!(
        (frame.function.as_deref(), frame.file.as_deref(), frame.line),
        (Some("rd"), Some("a.c"), Some(6))
    );
    // Kinds that are younger than the protocol are the nearest old ones; in protocol 6 they are themselves.
    let kinds: Vec<_> =
        strictly(&document("calls", &[])).errors.expect("errors").into_iter().map(|e| e.kind).collect();
    use strict::Kind::{ClientCheck, MismatchedFree};
    assert_eq!(kinds[4..7], [MismatchedFree, MismatchedFree, MismatchedFree]);
    assert_eq!(kinds[9], ClientCheck);
    let six = document("calls", &["--xml-protocol=6"]);
    assert!(six.contains("<kind>FishyValue</kind>") && six.contains("<error_summary>"), "{six}");
    let old = document("accesses", &["--xml-protocol=6"]);
    assert_eq!(strictly(&old).version, strict::Version::Six, "kinds that the reader knows are read");
}

/// An element.
#[derive(Debug, Default)]
struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn parse(xml: &str) -> Node {
        let mut reader = quick_xml::Reader::from_str(xml);
        let mut open = vec![Node::default()];
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{error}\n{xml}")) {
                Event::Start(tag) => {
                    let name = tag.name().as_ref().to_owned();
                    open.push(Node { name, ..Node::default() });
                }
                Event::End(_) => {
                    let done = open.pop().expect("it was opened");
                    open.last_mut().expect("a parent").children.push(done);
                }
                Event::Text(text) => {
                    open.last_mut().expect("an element").text += &text;
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open.len(), 1, "every element is closed");
        open.pop().and_then(|mut document| document.children.pop()).expect("a root")
    }

    fn names(&self) -> Vec<&str> {
        self.children.iter().map(|child| child.name.as_str()).collect()
    }

    fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn child(&self, name: &str) -> &str {
        let child = self.children.iter().find(|child| child.name == name);
        child.map_or("", |child| child.text.trim())
    }

    /// Every pair of an element and one in it.
    fn pairs(&self, into: &mut BTreeSet<(String, String)>) {
        for child in &self.children {
            into.insert((self.name.clone(), child.name.clone()));
            child.pairs(into);
        }
    }
}

/// Whether the names follow a pattern of words: `x` once, `x?` at most once.
fn follow(names: &[&str], pattern: &[&str]) -> bool {
    let mut names = names.iter().peekable();
    for word in pattern {
        let wanted = word.trim_end_matches('?');
        match names.next_if(|name| **name == wanted) {
            Some(_) => {}
            None if word.ends_with('?') => {}
            None => return false,
        }
    }
    names.next().is_none()
}

/// What the protocol's document says of order and presence.
fn check_grammar(root: &Node, protocol: &str) {
    assert_eq!(root.name, "valgrindoutput");
    assert_eq!(root.child("protocolversion"), protocol);
    let names = root.names();
    let head = ["protocolversion", "protocoltool", "preamble", "pid", "ppid", "tool", "args", "status"];
    assert_eq!(names[..head.len()], head);
    let states: Vec<_> = root.all("status").map(|status| status.child("state")).collect();
    assert_eq!(states, ["RUNNING", "FINISHED"]);
    assert!(names.contains(&"errorcounts") && names.contains(&"suppcounts"));
    for error in root.all("error").chain(root.all("fatal_signal")) {
        let names = error.names();
        let body = names.iter().position(|name| *name == "stack").expect("a stack");
        let (head, rest) = names.split_at(body + 1);
        let what = ["unique", "tid", "threadname?", "kind", "fd?", "path?", "what?", "xwhat?", "stack"];
        let signal = ["tid", "threadname?", "signo", "signame", "sicode", "event", "siaddr?", "stack"];
        assert!(follow(head, &what) || error.name == "fatal_signal" && follow(head, &signal), "{names:?}");
        // A line, and the stack that it speaks of.
        let mut last = "stack";
        for name in rest {
            assert!(matches!((last, *name), (_, "auxwhat" | "xauxwhat") | ("auxwhat", "stack")), "{names:?}");
            last = name;
        }
        for frame in error.all("stack").flat_map(|stack| stack.all("frame")) {
            let names = frame.names();
            assert!(follow(&names, &["ip", "obj?", "fn?", "dir?", "file?", "line?"]), "{names:?}");
        }
    }
    for pair in root.all("errorcounts").flat_map(|counts| counts.all("pair")) {
        assert_eq!(pair.names(), ["count", "unique"]);
        let unique = pair.child("unique");
        assert!(root.all("error").any(|error| error.child("unique") == unique), "{unique} is no error");
    }
}

#[test]
fn the_grammar_of_the_protocol_holds() {
    for name in GOLDENS {
        for protocol in ["4", "6"] {
            let xml = document(name, &[&format!("--xml-protocol={protocol}")]);
            check_grammar(&Node::parse(&xml), protocol);
        }
    }
}

const PROGRAM: &str = r"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int table[4];
__attribute__((noinline)) static int get(volatile int *p) { return *p; }
int main(int argc, char **argv)
{
    char *p = malloc(40), *q = malloc(16), *volatile stack = (char *)&argc;
    int *h = malloc(8), local[4];
    get((int *)(p + 40));
    *(volatile short *)(p - 2) = 3;
    free(q);
    get((int *)q);
    free(q);
    if (h[0] == 3)
        write(1, p, 0);
    if (((volatile int *)local)[argc] == 3)
        write(1, p, 0);
    get(&table[h[1] & 1]);
    write(1, h, 8);
    write(1, q, 8);
    memcpy(p + 1, p, 5);
    free(stack);
    get((int *)16);
    return 0;
}
";

/// Child elements of errors, by kind.
fn shapes(root: &Node) -> BTreeMap<String, BTreeSet<String>> {
    let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for error in root.all("error") {
        shapes.entry(error.child("kind").to_owned()).or_default().insert(error.names().join(" "));
    }
    shapes
}

/// The lines of errors that are no leaks, every number as 9.
fn words(root: &Node) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for error in root.all("error").filter(|error| !error.child("kind").starts_with("Leak_")) {
        for line in error.children.iter().filter(|child| matches!(child.name.as_str(), "what" | "auxwhat")) {
            let mut plain = String::new();
            // Addresses are hexadecimal, and sizes have commas.
            for word in line.text.split_inclusive([' ', '(', '#', ':']) {
                let number = word.starts_with(|c: char| c.is_ascii_digit());
                match word.find(|c: char| !c.is_ascii_hexdigit() && c != 'x' && c != ',') {
                    Some(end) if number => plain += &format!("9{}", &word[end..]),
                    None if number => plain.push('9'),
                    _ => plain += word,
                }
            }
            words.insert(plain);
        }
    }
    words
}

/// What valgrind prints for its own errors is what we print for ours of the same kinds.
#[test]
fn errors_have_the_shape_of_those_of_a_real_valgrind() {
    let folder = directory("xml-valgrind");
    let Some(theirs) = valgrind(&folder) else { return };
    // The version that is installed may write a younger protocol; then it is the same but for more elements.
    let protocol = theirs.child("protocolversion").to_owned();
    check_grammar(&theirs, &protocol);
    let documents: Vec<Node> = GOLDENS.iter().map(|name| Node::parse(&document(name, &[]))).collect();
    let mut ours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut pairs, mut known) = (BTreeSet::new(), BTreeSet::new());
    for document in &documents {
        for (kind, shape) in shapes(document) {
            ours.entry(kind).or_default().extend(shape);
        }
        document.pairs(&mut pairs);
    }
    let mut kinds = 0;
    for (kind, shapes) in shapes(&theirs).into_iter().filter(|(kind, _)| !kind.starts_with("Leak_")) {
        kinds += 1;
        for shape in shapes {
            assert!(ours[&kind].contains(&shape), "{kind}: valgrind has {shape}, we have {:?}", ours[&kind]);
        }
    }
    assert!(kinds >= 6, "valgrind found only {kinds} kinds");
    // The words, too, but for numbers.
    let (their_words, mut our_words) = (words(&theirs), BTreeSet::new());
    documents.iter().for_each(|document| our_words.extend(words(document)));
    let strange: Vec<_> = their_words.difference(&our_words).collect();
    assert!(
        their_words.len() >= 15 && strange.is_empty(),
        "valgrind says {strange:?}, we say {our_words:#?}"
    );
    theirs.pairs(&mut known);
    // What the protocol has beyond what this program shows.
    let more = [
        ("error", "xauxwhat"),
        ("error", "threadname"),
        ("error", "xwhat"),
        ("xwhat", "text"),
        ("xwhat", "leakedbytes"),
        ("xwhat", "leakedblocks"),
        ("xauxwhat", "text"),
        ("xauxwhat", "file"),
        ("xauxwhat", "line"),
        ("argv", "arg"),
        ("suppcounts", "pair"),
    ];
    known.extend(more.map(|(parent, child)| (parent.to_owned(), child.to_owned())));
    let strange: Vec<_> = pairs.difference(&known).collect();
    assert!(strange.is_empty(), "valgrind prints no {strange:?}");
}

/// The document of a real valgrind; nothing when it or a compiler is not installed.
fn valgrind(folder: &Path) -> Option<Node> {
    std::fs::write(folder.join("a.c"), PROGRAM).expect("a file");
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).current_dir(folder).output().map_err(|error| {
            eprintln!("skipped: {program}: {error}");
        })
    };
    let built = run("gcc", &["-g", "-w", "-O0", "-fno-builtin", "-o", "a", "a.c"]).ok()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    run("valgrind", &["--track-origins=yes", "--xml=yes", "--xml-file=a.xml", "./a"]).ok()?;
    Some(Node::parse(&std::fs::read_to_string(folder.join("a.xml")).expect("valgrind wrote it")))
}
