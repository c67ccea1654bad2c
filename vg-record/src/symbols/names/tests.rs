//! Code of several real files, with and without debug information: all addresses together and each by itself.

use super::*;
use crate::symbols::elf;
use crate::testing::{Scratch, directory};
use object::{Object, ObjectSection};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Inlined functions over several levels, templates, parts that are moved away, exceptions.
const CPP: &str = r#"#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>
template <class T> static T sum(const std::vector<T> &v) { T s{}; for (const T &x : v) s += x; return s; }
static int check(int n) { if (n > 90) throw std::out_of_range("large"); return n; }
int main(int argc, char **) {
    std::map<std::string, std::vector<int>> index;
    for (int i = 0; i < 100 * argc; i++)
        index[std::string(1 + i % 7, 'a')].push_back(i);
    int total = 0;
    for (auto &[name, list] : index) {
        std::sort(list.rbegin(), list.rend());
        try { total += sum(list) + check(list.size() * 5); } catch (const std::exception &e) { total--; }
    }
    return total & 1;
}
"#;

fn compile(directory: &Scratch, name: &str, options: &[&str]) -> PathBuf {
    let source = directory.join("program.cpp");
    std::fs::write(&source, CPP).expect("writes");
    let path = directory.join(name);
    let status = Command::new("c++").args(options).arg("-o").args([&path, &source]).status();
    assert!(status.expect("a C++ compiler").success());
    path
}

/// Every `step`-th address of a file's code.
fn addresses(path: &Path, step: usize) -> Vec<u64> {
    let bytes = std::fs::read(path).expect("reads");
    let elf = object::File::parse(&bytes[..]).expect("parses");
    let code = elf.sections().filter(|section| section.kind() == object::SectionKind::Text);
    let mut all: Vec<u64> =
        code.flat_map(|section| section.address()..section.address() + section.size()).collect();
    all.sort_unstable();
    all.into_iter().step_by(step).collect()
}

/// The C library of this process, which has debug information where a package with it is installed.
fn libc() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("reads");
    let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    path.map(PathBuf::from).find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"))
}

#[test]
fn an_address_has_the_same_name_alone_and_among_others() {
    let directory = directory("names");
    let with_lines = compile(&directory, "lines", &["-O2", "-g", "-std=c++17"]);
    let without = compile(&directory, "plain", &["-O2", "-g0", "-std=c++17"]);
    let this = std::fs::read_link("/proc/self/exe").expect("own path");
    // Each address for itself is a minute's work without optimization.
    let every = if cfg!(debug_assertions) { 5 } else { 1 };
    let mut inlined = 0;
    for (path, step) in
        [(with_lines, 1), (without, 1), (this, 3989)].into_iter().chain(libc().map(|path| (path, 5987)))
    {
        let addresses = addresses(&path, every * step);
        let file = File::open(&path).expect("opens");
        let check = |files: &elf::Files<'_, '_>| {
            elf::with_lines(files, &addresses, |context| {
                let look_up = |addresses: &[u64], is_code: bool| {
                    let mut labels = is_code.then(|| Labels::read(files.main, addresses));
                    let table = Table::read(&files.tables(), addresses);
                    look_up(context, &table, addresses, labels.as_mut())
                };
                for is_code in [false, true] {
                    let all = look_up(&addresses, is_code);
                    assert_eq!(all.of.len(), addresses.len());
                    for (&address, &number) in addresses.iter().zip(&all.of) {
                        let alone = look_up(&[address], is_code);
                        let place = number.checked_sub(1).map(|at| &all.places[at as usize]);
                        assert_eq!(alone.places.first(), place, "{address:#x} of {}", path.display());
                        inlined += usize::from(place.is_some_and(|place| place.len() > 2));
                    }
                }
            });
        };
        elf::with_files(&path, &file, None, check).expect("an ELF file");
    }
    assert!(inlined > 1000 / every, "{inlined}");
}

#[test]
fn what_is_loaded_for_one_address_names_it_as_what_is_loaded_for_all() {
    let directory = directory("names");
    let path = compile(&directory, "lines", &["-O2", "-g", "-std=c++17"]);
    let addresses = addresses(&path, 1);
    let file = File::open(&path).expect("opens");
    let all = elf::code_in_file(&path, &file, &addresses).expect("an ELF file");
    let named = all.of.iter().filter(|&&number| number != 0).count();
    assert!(named * 10 > addresses.len() * 9, "{named} of {}", addresses.len());
    for (&address, &number) in addresses.iter().zip(&all.of).step_by(173) {
        let alone = elf::code_in_file(&path, &file, &[address]).expect("an ELF file");
        let place = number.checked_sub(1).map(|at| &all.places[at as usize]);
        assert_eq!(alone.places.first(), place, "{address:#x}");
    }
}
