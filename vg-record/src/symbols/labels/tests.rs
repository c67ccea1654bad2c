//! A C program that calls functions of libraries, linked in several ways, and stripped.

use super::*;
use crate::symbols::{Wanted, elf};
use crate::testing::{Scratch, directory};
use object::{ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) static int inner(int n) { return puts("inner") + n; }
__attribute__((noinline)) static int outer(int n) { return inner(n * 2) + atoi("12"); }
int (*volatile pointer)(const char *) = puts;
int main(int argc, char **argv) { return pointer(argv[0]) + outer(argc) + puts("main") + (strchr(argv[0], argc) != 0); }
"#;

fn compile(directory: &Scratch, options: &[&str]) -> PathBuf {
    let source = directory.join("program.c");
    std::fs::write(&source, SOURCE).expect("writes");
    let path = directory.join("program");
    let status = Command::new("cc").args(["-O1"]).args(options).arg("-o").args([&path, &source]).status();
    assert!(status.expect("a C compiler").success(), "{options:?}");
    path
}

fn with_elf<T>(path: &Path, look: impl FnOnce(&ElfFile64<'_>) -> T) -> T {
    let bytes = std::fs::read(path).expect("reads");
    look(&ElfFile64::parse(&bytes[..]).expect("parses"))
}

/// Names of stubs by address, as objdump prints them.
fn by_objdump(path: &Path) -> BTreeMap<u64, String> {
    let output = Command::new("objdump").arg("-d").arg(path).output().expect("objdump");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let label = |line: &str| {
        let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
        // "puts@plt-0x10" is what stubs have in common.
        name.ends_with("@plt").then_some(())?;
        Some((u64::from_str_radix(address, 16).expect("an address"), name.to_owned()))
    };
    text.lines().filter_map(label).collect()
}

#[test]
fn stubs_are_named_as_objdump_names_them() {
    let directory = directory("stubs");
    let lazy = &["-Wl,-z,lazy"][..];
    let with_second_table = &["-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"][..];
    for options in [lazy, &["-Wl,-z,now"], with_second_table, &["-no-pie"]] {
        let path = compile(&directory, options);
        let expected = by_objdump(&path);
        with_elf(&path, |elf| {
            let found: BTreeMap<u64, String> =
                plt::stubs(elf).into_iter().map(|stub| (stub.range.start, stub.raw_name)).collect();
            let sections = Stubs::read(elf);
            assert!(expected.len() > 1, "{options:?}: {expected:?}");
            for (address, name) in &expected {
                assert_eq!(found.get(address), Some(name), "{options:?}: {address:#x}");
                assert!(sections.hold(*address), "{options:?}: {address:#x}");
            }
            for symbol in elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
                let outside = symbol.size() == 0 || !sections.hold(symbol.address());
                assert!(outside, "{options:?}: {:?}", symbol.name());
            }
            if options == with_second_table {
                let count = found.values().filter(|name| *name == "puts@plt").count();
                assert!(count >= 2, "in .plt and in .plt.sec: {found:x?}");
            }
        });
    }
}

#[test]
fn stubs_of_a_static_program_are_named_by_what_they_choose() {
    let directory = directory("stubs");
    let path = compile(&directory, &["-static"]);
    with_elf(&path, |elf| {
        let chooses = |symbol: &object::read::elf::ElfSymbol64<'_, '_>| {
            matches!(symbol.flags(), object::SymbolFlags::Elf { st_info, .. }
                if st_info.st_type() == object::elf::STT_GNU_IFUNC)
        };
        let names: BTreeSet<String> = elf
            .symbols()
            .filter(chooses)
            .map(|symbol| format!("{}@plt", symbol.name().expect("UTF-8")))
            .collect();
        let stubs = plt::stubs(elf);
        let relocations = elf.section_by_name(".rela.plt").expect("relocations").size() / 24;
        assert_eq!(stubs.len() as u64, relocations);
        assert!(stubs.iter().all(|stub| names.contains(&stub.raw_name)), "{stubs:x?}");
        assert!(stubs.windows(2).all(|pair| pair[0].range.end == pair[1].range.start), "{stubs:x?}");
    });
}

#[test]
fn functions_without_symbols_go_by_their_first_address() {
    let directory = directory("labels");
    let path = compile(&directory, &[]);
    let functions: Vec<(u64, u64)> = with_elf(&path, |elf| {
        let of_source = |name| ["inner", "outer", "main"].contains(&name);
        let own = elf.symbols().filter(|symbol| symbol.name().is_ok_and(of_source));
        own.map(|symbol| (symbol.address(), symbol.size())).collect()
    });
    assert_eq!(functions.len(), 3);
    let stub = with_elf(&path, |elf| plt::stubs(elf)[0].range.start);
    assert!(Command::new("strip").arg(&path).status().expect("binutils").success());
    let file = File::open(&path).expect("opens");
    for (start, size) in functions {
        let addresses: Vec<u64> = (start..start + size).collect();
        let named = elf::code_in_file(&path, &file, &addresses).expect("an ELF file");
        let names: Vec<&str> = named.places.iter().map(|places| places[0].function.as_str()).collect();
        assert_eq!(names, [format!("0x{start:016x}")]);
        assert!(named.of.iter().all(|&number| number == 1), "{:?}", named.of);
        assert_eq!((named.places[0].len(), named.places[0][0].raw_name.as_str()), (1, ""));
        assert!(named.stubs.hold(stub) && !named.stubs.hold(start));
        // Frames of stacks have no such names.
        let wanted = Wanted { frame: 1, rva: start, exact: true };
        let answer = elf::in_file(&path, &file, &[wanted], None).expect("an ELF file");
        assert_eq!(answer.frames, []);
    }
}

#[test]
fn damaged_tables_give_fewer_names_and_no_panic() {
    let directory = directory("labels");
    let path = compile(&directory, &["-Wl,-z,lazy", "-s"]);
    let whole = std::fs::read(&path).expect("reads");
    let (addresses, places) = with_elf(&path, |elf| {
        let section = |name| elf.section_by_name(name).expect("a section");
        let names = [".eh_frame_hdr", ".eh_frame", ".rela.plt", ".dynsym", ".plt"];
        let ranges = names.map(|name| section(name).file_range().expect("in the file"));
        let code = [".plt", ".text"].map(|name| (section(name).address(), section(name).size()));
        let addresses: Vec<u64> = code.iter().flat_map(|&(start, size)| start..start + size).collect();
        (addresses, ranges.into_iter().flat_map(|(start, size)| start..start + size).collect::<Vec<_>>())
    });
    let damaged = directory.join("damaged");
    for at in places.into_iter().step_by(3) {
        for value in [0x00, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at as usize] = value;
            std::fs::write(&damaged, &bytes).expect("writes");
            let file = File::open(&damaged).expect("opens");
            if let Some(named) = elf::code_in_file(&damaged, &file, &addresses) {
                assert_eq!(named.of.len(), addresses.len());
            }
        }
    }
}
