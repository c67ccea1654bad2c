//! C programs compiled in the test, whose frames are asked for every byte.

use super::{Registers, Sought, VariableText};
use crate::symbols::elf;
use crate::testing::{Scratch, directory};
use object::{Object, ObjectSymbol};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
struct part { char tag[4]; struct { long count; } in; struct { int deep; }; unsigned bits : 3; };
struct large { long words[4]; };
typedef const struct part alias;
int number = 1;
static struct part table[3];
int later[2][2];
static void use(const volatile void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
__attribute__((noinline)) void outer(struct large given, int small) {
    int shadowed[2] = {1, 2};
    alias element[2] = {{{0}}};
    static long kept;
    use(&given); use(&small); use(shadowed); use(element); use(&kept); use(table); use(later);
    {
        char shadowed[16] = {3};
        use(shadowed);
        __asm__ volatile(".globl inside\ninside: nop");
    }
    __asm__ volatile(".globl behind\nbehind: nop");
    use(shadowed);
}
int main(void) { struct large value = {{number}}; outer(value, 2); return 0; }
"#;

const CFA: u64 = 0x7fff_0000_1000;

fn compile(directory: &Scratch, options: &[&str]) -> Option<PathBuf> {
    let source = directory.join("program.c");
    std::fs::write(&source, SOURCE).expect("writes");
    let path = directory.join("program");
    let (compiler, options) = options.split_first().expect("a compiler");
    let status =
        Command::new(compiler).args(options).args(["-g", "-w", "-o"]).args([&path, &source]).status();
    // It may not be installed.
    status.ok().map(|status| assert!(status.success()))?;
    Some(path)
}

fn symbol(path: &Path, name: &str) -> u64 {
    let bytes = std::fs::read(path).expect("reads");
    let file = object::File::parse(&bytes[..]).expect("parses");
    file.symbols().find(|symbol| symbol.name() == Ok(name)).expect("the symbol").address()
}

fn find(path: &Path, sought: &[Sought]) -> Option<Vec<Option<VariableText>>> {
    let file = std::fs::File::open(path).expect("opens");
    elf::variables_in_file(path, &file, sought, None)
}

/// What holds each byte around a frame: by name and line, the bytes that were found, with their parts.
fn frame(path: &Path, code: u64, registers: Registers) -> BTreeMap<(String, u32), Vec<VariableText>> {
    let around = CFA - 512..CFA + 128;
    let sought: Vec<Sought> = around.map(|address| Sought::Local { code, address, registers }).collect();
    let mut found = BTreeMap::new();
    for variable in find(path, &sought).expect("an ELF file").into_iter().flatten() {
        let bytes: &mut Vec<_> = found.entry((variable.name.clone(), variable.line)).or_default();
        bytes.push(variable);
    }
    found
}

fn parts(bytes: &[VariableText]) -> Vec<(&str, u64)> {
    bytes.iter().map(|byte| (byte.part.as_str(), byte.part_offset)).collect()
}

/// By an unoptimized function's prologue, which all compilers share, rbp is 16 bytes below the frame address.
fn unoptimized() -> Registers {
    Registers { cfa: CFA, sp: CFA - 512, bp: CFA - 16 }
}

#[test]
fn variables_of_a_frame_are_found_with_all_their_bytes() {
    let directory = directory("variables");
    for options in
        [&["cc", "-O0"][..], &["cc", "-O0", "-gdwarf-4"], &["cc", "-O0", "-gz=zlib"], &["clang", "-O0"]]
    {
        let Some(path) = compile(&directory, options) else { continue };
        let found = frame(&path, symbol(&path, "behind"), unoptimized());
        let names: Vec<(&str, u32)> = found.keys().map(|(name, line)| (name.as_str(), *line)).collect();
        assert_eq!(names, [("element", 11), ("given", 9), ("shadowed", 10), ("small", 9)], "{options:?}");
        for ((name, _), bytes) in &found {
            assert!(bytes.iter().zip(0..).all(|(byte, offset)| byte.offset == offset), "{options:?} {name}");
            assert!(bytes.iter().all(|byte| byte.size == bytes.len() as u64), "{options:?} {name}");
            assert!(bytes.iter().all(|byte| byte.file.ends_with("/program.c")), "{options:?} {name}");
        }
        let of = |name: &str, line| parts(&found[&(name.to_owned(), line)]);
        assert_eq!(of("small", 9), [("", 0), ("", 1), ("", 2), ("", 3)]);
        assert_eq!(of("given", 9)[17], (".words[2]", 1));
        assert_eq!(of("shadowed", 10)[6], ("[1]", 2));
        let element = of("element", 11);
        assert_eq!((element.len(), element[2]), (48, ("[0].tag[2]", 0)));
        // Between two members, in one, in one of a structure without a name, in a field of bits.
        assert_eq!(element[29], ("[1]", 5));
        assert_eq!((element[33], element[41]), (("[1].in.count", 1), ("[1].deep", 1)));
        assert_eq!(element[44], ("[1]", 20));

        // In the block, its own variable is there as well, and the outer one still is.
        let found = frame(&path, symbol(&path, "inside"), unoptimized());
        assert_eq!(found[&("shadowed".to_owned(), 15)].len(), 16, "{options:?}");
        assert_eq!(found[&("shadowed".to_owned(), 10)].len(), 8, "{options:?}");
    }
}

#[test]
fn variables_of_optimized_code_are_found() {
    let directory = directory("variables");
    for options in [&["cc", "-O2"][..], &["clang", "-O2"]] {
        let Some(path) = compile(&directory, options) else { continue };
        // Where its stack pointer is, only the function's code says; frame bases of both kinds are somewhere.
        let registers = Registers { cfa: CFA, sp: CFA - 256, bp: 0 };
        let found = frame(&path, symbol(&path, "behind"), registers);
        for (name, line, size) in [("shadowed", 10, 8), ("element", 11, 48), ("given", 9, 32)] {
            let bytes = found.get(&(name.to_owned(), line)).map_or(0, Vec::len);
            assert_eq!(bytes, size, "{options:?} {name}");
        }
    }
}

#[test]
fn data_is_found_by_debug_information_or_by_symbols() {
    let directory = directory("variables");
    for options in [&["cc", "-O0"][..], &["clang", "-O0"], &["cc", "-O1", "-gdwarf-4"]] {
        let Some(path) = compile(&directory, options) else { continue };
        let at = |name: &str, offset: u64| Sought::Global { address: symbol(&path, name) + offset };
        let sought =
            [at("number", 3), at("table", 25), at("later", 12), at("main", 0), at("number", 1 << 20)];
        let found = find(&path, &sought).expect("an ELF file");
        let told: Vec<Option<(String, u32, u64)>> = found
            .iter()
            .map(|found| found.as_ref().map(|v| (format!("{}{}", v.name, v.part), v.line, v.part_offset)))
            .collect();
        let told: Vec<Option<(&str, u32, u64)>> = told
            .iter()
            .map(|told| told.as_ref().map(|(name, line, offset)| (name.as_str(), *line, *offset)))
            .collect();
        let expected = [
            Some(("number", 5, 3)),
            Some(("table[1].tag[1]", 6, 0)),
            Some(("later[1][1]", 7, 0)),
            None,
            None,
        ];
        assert_eq!(told, expected, "{options:?}");
        assert_eq!(found[1].as_ref().map(|variable| (variable.offset, variable.size)), Some((25, 72)));

        // Without debug information there are symbols.
        let stripped = Command::new("strip").arg("-g").arg(&path).status().expect("binutils");
        assert!(stripped.success());
        let found = find(&path, &sought).expect("an ELF file");
        let table = found[1].as_ref().map(|v| (v.name.as_str(), v.line, v.offset, v.size, v.part.as_str()));
        assert_eq!(table, Some(("table", 0, 25, 72, "")), "{options:?}");
        assert_eq!(found[3], None);
    }
}

#[test]
fn damage_gives_other_answers_and_no_panic() {
    let directory = directory("variables");
    for options in [&["cc", "-O2"][..], &["cc", "-O0", "-gdwarf-4"], &["clang", "-O2"]] {
        let Some(path) = compile(&directory, options) else { continue };
        let code = symbol(&path, "inside");
        let registers = unoptimized();
        let local = (0..32).map(|at| Sought::Local { code, address: CFA - at * 8, registers });
        let sought: Vec<Sought> = local.chain([Sought::Global { address: symbol(&path, "table") }]).collect();
        let whole = std::fs::read(&path).expect("reads");
        let file = object::File::parse(&whole[..]).expect("parses");
        let sections: Vec<(u64, u64)> = file
            .sections()
            .filter(|section| {
                object::ObjectSection::name(section).is_ok_and(|name| name.starts_with(".debug_"))
            })
            .filter_map(|section| object::ObjectSection::file_range(&section))
            .collect();
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let (start, size) = sections[random(sections.len() as u64) as usize];
                if size != 0 {
                    bytes[(start + random(size)) as usize] = random(256) as u8;
                }
            }
            let damaged = directory.join("damaged");
            std::fs::write(&damaged, &bytes).expect("writes");
            for variable in find(&damaged, &sought).into_iter().flatten().flatten() {
                assert!(variable.offset < variable.size.max(1) && variable.part_offset <= variable.offset);
            }
        }
    }
}
