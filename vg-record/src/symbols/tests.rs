//! A C program compiled in the test, and what is found in it.

use super::*;
use crate::modules::{Mapping, Modules};
use crate::testing::{Scratch, directory};
use object::{Object, ObjectSymbol};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"#include <stdlib.h>
static inline __attribute__((always_inline)) void *inner(int n) {
    return malloc(n + 1);
}
__attribute__((noinline)) void *outer(int n) {
    void *block = inner(n);
    __asm__ volatile("" : "+r"(block));
    return block;
}
int main(int argc, char **argv) {
    (void)argv;
    return outer(argc) == 0;
}
"#;

fn compile(directory: &Scratch, name: &str, options: &[&str]) -> PathBuf {
    let source = directory.join("program.c");
    std::fs::write(&source, SOURCE).expect("writes");
    let path = directory.join(name);
    let status = Command::new("cc")
        .args(["-O1", "-fno-optimize-sibling-calls"])
        .args(options)
        .arg("-o")
        .args([&path, &source])
        .status()
        .expect("a C compiler");
    assert!(status.success());
    path
}

fn run(command: &str, arguments: &[&Path]) {
    let words: Vec<&str> = command.split(' ').collect();
    let status = Command::new(words[0]).args(&words[1..]).args(arguments).status().expect("binutils");
    assert!(status.success(), "{command}");
}

/// Address and size of a function.
fn function(path: &Path, name: &str) -> (u64, u64) {
    let bytes = std::fs::read(path).expect("reads");
    let file = object::File::parse(&bytes[..]).expect("parses");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect("the symbol");
    (symbol.address(), symbol.size())
}

/// A return address in `outer`: behind the call of malloc, which was inlined from line 3 into line 6.
fn return_address(path: &Path) -> u64 {
    let (start, size) = function(path, "outer");
    let bytes = std::fs::read(path).expect("reads");
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&bytes[..]).expect("parses");
    let code = file.section_by_name(".text").expect("code");
    let code = object::ObjectSection::data_range(&code, start, size).expect("reads").expect("in range");
    // The only call in the function: e8 and four bytes.
    let call = code.iter().position(|&byte| byte == 0xe8).expect("a call");
    start + call as u64 + 5
}

fn resolve_one(path: &Path, wanted: &[Wanted], root: Option<&Path>) -> Answer {
    let file = std::fs::File::open(path).expect("opens");
    elf::in_file(path, &file, wanted, root).expect("an ELF file")
}

fn at(rva: u64) -> Wanted {
    Wanted { frame: 1, rva, exact: false }
}

fn summary(answer: &Answer) -> Vec<(&str, &str, u32)> {
    let name = |file| Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or("");
    let places = answer.frames.iter().flat_map(|(_, places)| places);
    places.map(|place| (place.function.as_str(), name(place.file.as_str()), place.line)).collect()
}

#[test]
fn lines_and_inlined_functions() {
    let directory = directory("symbols");
    let path = compile(&directory, "debug", &["-g"]);
    let rva = return_address(&path);
    let answer = resolve_one(&path, &[at(rva)], None);
    assert_eq!(answer.quality, Quality::Lines);
    assert_eq!(summary(&answer), [("inner", "program.c", 3), ("outer", "program.c", 6)]);

    // An exact pc is not moved back: the first instruction of a function is not the function before it.
    let (start, _) = function(&path, "outer");
    let answer = resolve_one(&path, &[Wanted { exact: true, ..at(start) }], None);
    assert_eq!(summary(&answer).last().expect("found").0, "outer");
    assert_eq!(summary(&answer).last().expect("found").2, 5);
}

#[test]
fn a_source_file_has_one_spelling() {
    let directory = directory("spelling");
    std::fs::create_dir(directory.join("sub")).expect("mkdir");
    let source = directory.join("program.c");
    std::fs::write(&source, SOURCE).expect("writes");
    let path = directory.join("program");
    let spelled = directory.join("sub/.././/program.c");
    run("cc -g -O1 -fno-optimize-sibling-calls -o", &[&path, &spelled]);
    let answer = resolve_one(&path, &[at(return_address(&path))], None);
    let files: Vec<&str> = answer.frames[0].1.iter().map(|place| place.file.as_str()).collect();
    assert_eq!(files, [source.to_str().expect("UTF-8"); 2]);
}

#[test]
fn only_units_that_hold_the_addresses_are_loaded() {
    let directory = directory("units");
    let other = directory.join("other.c");
    std::fs::write(&other, "int unused(int n) {\n    return n * 3;\n}\n").expect("writes");
    let other = other.to_str().expect("UTF-8");
    let expected = [("inner", "program.c", 3), ("outer", "program.c", 6)];
    for options in [&["-g", other][..], &["-g", "-gz=zlib", other], &["-g", "-gdwarf-4", "-gz=zlib", other]] {
        let path = compile(&directory, "program", options);
        let address = return_address(&path);
        let answer = resolve_one(&path, &[at(address)], None);
        assert_eq!(summary(&answer), expected, "{options:?}");
        let bytes = std::fs::read(&path).expect("reads");
        let elf = object::read::elf::ElfFile64::parse(&bytes[..]).expect("parses");
        let units = |addresses: Option<&[u64]>| {
            let sections = sections::load(&elf, addresses, false);
            let info =
                sections.debug_info.borrow(|bytes| gimli::EndianSlice::new(bytes, gimli::LittleEndian));
            let mut units = info.units();
            std::iter::from_fn(|| units.next().expect("sound")).count()
        };
        assert_eq!(units(None), 2, "{options:?}");
        assert_eq!(units(Some(&[address - 1])), 1, "{options:?}");
        // An address that no unit holds: all units are in the table, so none can.
        assert_eq!(units(Some(&[1, address - 1])), 1, "{options:?}");
        assert_eq!(units(Some(&[1])), 0, "{options:?}");
    }
}

#[test]
fn units_that_refer_to_others_are_loaded_with_all_others() {
    let directory = directory("references");
    let other = directory.join("other.c");
    std::fs::write(&other, "int unused(int n) {\n    return n * 3;\n}\n").expect("writes");
    // Link-time optimisation leaves the functions' names in units of their own.
    let path = compile(&directory, "program", &["-g", "-flto", "-gz=zlib", other.to_str().expect("UTF-8")]);
    let address = return_address(&path);
    let answer = resolve_one(&path, &[at(address)], None);
    assert_eq!(summary(&answer), [("inner", "program.c", 3), ("outer", "program.c", 6)]);
}

#[test]
fn a_damaged_table_of_units_costs_nothing() {
    let directory = directory("aranges");
    let path = compile(&directory, "program", &["-g"]);
    let address = return_address(&path);
    let whole = std::fs::read(&path).expect("reads");
    let elf = object::read::elf::ElfFile64::<object::Endianness>::parse(&whole[..]).expect("parses");
    let (start, size) = {
        let section = object::Object::section_by_name(&elf, ".debug_aranges").expect("a table");
        object::ObjectSection::file_range(&section).expect("in the file")
    };
    for at_byte in [0, 4, 6, 10, 11] {
        let mut bytes = whole.clone();
        bytes[start as usize + at_byte] ^= 0xff;
        assert!((at_byte as u64) < size);
        let damaged = directory.join("damaged");
        std::fs::write(&damaged, &bytes).expect("writes");
        let answer = resolve_one(&damaged, &[at(address)], None);
        let outer = summary(&answer).last().map(|place| place.0.to_owned());
        assert_eq!(outer.as_deref(), Some("outer"), "byte {at_byte}");
    }
}

#[test]
fn without_debug_information_the_symbol_table_names_functions() {
    let directory = directory("symbols");
    let path = compile(&directory, "plain", &["-g0"]);
    let rva = return_address(&path);
    let (start, size) = function(&path, "main");
    let wanted = [at(rva), Wanted { frame: 2, ..at(start + size) }, Wanted { frame: 3, ..at(0x7000_0000) }];
    let answer = resolve_one(&path, &wanted, None);
    assert_eq!(answer.quality, Quality::NoLines { rust: false });
    assert_eq!(summary(&answer), [("outer", "", 0), ("main", "", 0)]);
    assert_eq!(answer.frames.iter().map(|(frame, _)| *frame).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn separate_debug_files_are_found_and_checked() {
    let directory = directory("symbols");
    let path = compile(&directory, "stripped", &["-g", "-Wl,--build-id"]);
    let rva = return_address(&path);
    let debug = directory.join("stripped.debug");
    run("objcopy --only-keep-debug", &[&path, &debug]);
    run("objcopy --strip-all", &[&path]);
    let expected = [("inner", "program.c", 3), ("outer", "program.c", 6)];
    let names = |root: Option<&Path>| {
        let answer = resolve_one(&path, &[at(rva)], root);
        summary(&answer).iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>()
    };
    assert!(names(Some(&directory)).is_empty(), "there is nothing to find yet");

    // By build id.
    let bytes = std::fs::read(&path).expect("reads");
    let file = object::File::parse(&bytes[..]).expect("parses");
    let id: String =
        file.build_id().expect("parses").expect("has one").iter().map(|b| format!("{b:02x}")).collect();
    let place = directory.join(".build-id").join(&id[..2]);
    std::fs::create_dir_all(&place).expect("mkdir");
    let by_id = place.join(format!("{}.debug", &id[2..]));
    std::fs::copy(&debug, &by_id).expect("copies");
    let answer = resolve_one(&path, &[at(rva)], Some(&directory));
    assert_eq!((summary(&answer), answer.quality), (expected.to_vec(), Quality::Lines));
    std::fs::remove_file(&by_id).expect("removes");

    // By debug link, beside the file; another file of that name has another checksum.
    run(&format!("objcopy --add-gnu-debuglink={}", debug.display()), &[&path]);
    let answer = resolve_one(&path, &[at(rva)], Some(&directory));
    assert_eq!(summary(&answer), expected);
    let other = compile(&directory, "other", &["-g", "-O0"]);
    std::fs::rename(other, &debug).expect("renames");
    assert!(names(Some(&directory)).is_empty(), "the checksum does not fit");
}

#[test]
fn files_are_resolved_in_parallel_and_failures_are_told() {
    let directory = directory("symbols");
    let path = compile(&directory, "many", &["-g"]);
    let broken = directory.join("broken");
    std::fs::write(&broken, [&std::fs::read(&path).expect("reads")[..200], &[0xff; 500]].concat())
        .expect("writes");
    let mapping = Mapping { process: 1, start: 0, size: 0, bias: 0, time: 0, flags: 0 };
    let mut modules = Modules::default();
    for file in [path.to_str().expect("UTF-8"), "[vdso]", broken.to_str().expect("UTF-8"), "/no/such/file"] {
        modules.add(file.as_bytes().to_vec(), mapping);
    }
    let (start, size) = function(&path, "main");
    // More frames than one piece holds.
    let many: Vec<Wanted> = (0..PIECE as u32 * 2 + 10)
        .map(|frame| Wanted { frame: frame + 1, rva: start + u64::from(frame) % size, exact: true })
        .collect();
    let work: Vec<_> = modules.binaries().iter().map(|binary| (binary.as_ref(), many.clone())).collect();
    let answers = resolve(&work);
    assert_eq!(answers[0].frames.len(), many.len());
    assert!(answers[0].frames.iter().zip(1..).all(|((frame, _), number)| *frame == number));
    assert!(
        answers[0]
            .frames
            .iter()
            .all(|(_, places)| places.last().is_some_and(|place| place.function == "main"))
    );
    let quality: Vec<Quality> = answers.iter().map(|answer| answer.quality).collect();
    assert_eq!(quality, [Quality::Lines, Quality::NoFile, Quality::Unreadable, Quality::Unreadable]);
}
