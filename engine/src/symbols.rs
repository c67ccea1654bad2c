//! Which guest functions are replaced, and which switch collection: the search for functions in modules.
//!
//! A module is looked at once, when the first code of it is about to be translated: its dynamic symbols in memory,
//! its full symbol table from the file.

use crate::allocators::{self, Replacement};
use crate::calls;
use crate::context::Thread;
use crate::modules::Module;
use crate::state::Engine;
use crate::windows::names::Patterns;
use crate::{guest_mem, loader, shadow, strings};
use alloc::vec::Vec;

struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
}

fn symbol(bytes: &[u8]) -> Symbol {
    let quad = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or([0; 8]));
    Symbol {
        name: quad(0) as u32,
        info: bytes[4],
        section: u16::from_le_bytes([bytes[6], bytes[7]]),
        value: quad(8),
        size: quad(16),
    }
}

/// What was found in a module.
#[derive(Default)]
struct Found<'a> {
    /// Names of functions that switch collection.
    patterns: Option<&'a Patterns>,
    /// Such functions: pc and patterns, a bit each.
    toggles: Vec<(u64, u64)>,
    /// Pc, bytes of code, what stands in for it.
    functions: Vec<(u64, u64, Replacement)>,
    /// Names that are allocation functions only in jemalloc.
    jemalloc_functions: Vec<(u64, u64, Replacement)>,
    /// The module holds jemalloc.
    jemalloc: bool,
    /// String functions.
    strings: strings::targets::Found,
    errno_location: Option<u64>,
    freeres: Vec<u64>,
    eh_frame: (u64, u64),
}

impl Found<'_> {
    /// `old`: a version of the name that programs are not linked with any more.
    fn consider(&mut self, symbol: &Symbol, name: &[u8], bias: u64, old: bool) {
        const FUNC: u8 = 2;
        const GNU_IFUNC: u8 = 10;
        let kind = symbol.info & 15;
        if symbol.section == 0 || (kind != FUNC && kind != GNU_IFUNC) {
            return;
        }
        let pc = symbol.value.wrapping_add(bias);
        let matched = self.patterns.map_or(0, |patterns| patterns.matched(name));
        if matched != 0 && kind == FUNC {
            self.toggles.push((pc, matched));
        }
        if shadow::is_on() {
            let global = symbol.info >> 4 != 0;
            self.strings.consider(name, pc, symbol.size, kind == GNU_IFUNC, global, old);
        }
        match name {
            b"__errno_location" => self.errno_location = Some(pc),
            b"__libc_freeres" | b"_ZN9__gnu_cxx9__freeresEv" => self.freeres.push(pc),
            b"mallctl" => self.jemalloc = true,
            _ if kind == FUNC && allocators::may_match(name) => {
                if let Some(replacement) = allocators::replacement(name, false) {
                    self.functions.push((pc, symbol.size, replacement));
                } else if let Some(replacement) = allocators::replacement(name, true) {
                    self.jemalloc_functions.push((pc, symbol.size, replacement));
                }
            }
            _ => (),
        }
    }
}

impl Found<'_> {
    fn functions(&mut self) -> Vec<(u64, u64, Replacement)> {
        let mut functions = core::mem::take(&mut self.functions);
        if self.jemalloc {
            functions.append(&mut self.jemalloc_functions);
        }
        // An allocator's malloc and free have its name or only the common one.
        let foreign = functions.iter().any(|(_, _, replacement)| replacement.foreign);
        functions.iter_mut().for_each(|(_, _, replacement)| replacement.foreign = foreign);
        functions
    }
}

fn name_at(strings: &[u8], at: u32) -> &[u8] {
    let rest = strings.get(at as usize..).unwrap_or(&[]);
    &rest[..rest.iter().position(|b| *b == 0).unwrap_or(0)]
}

/// Looks at the module that holds `pc`, unless it was looked at before: for what is replaced, and for how its stack is unwound.
pub fn analyse(engine: &Engine, pc: u64) {
    let module = {
        let mut table = engine.modules.lock();
        match table.unanalysed(pc) {
            Some(module) => module.clone(),
            None => return,
        }
    };
    let replaces = engine.heap.get().is_some();
    let patterns = Some(&engine.windows.patterns).filter(|patterns| !patterns.is_empty());
    if !replaces && !calls::are_kept(engine) && patterns.is_none() {
        return;
    }
    let mut module = module;
    let mut found = Found { patterns, ..Found::default() };
    let needs_file = replaces || patterns.is_some() || !module.has_search_table();
    if needs_file && !from_file(&module, &mut found) {
        from_memory(&module, &mut found);
    }
    module.eh_frame = found.eh_frame;
    engine.stacks.add_module(&module);
    for (pc, patterns) in found.toggles.drain(..) {
        engine.cache.lock().watch_function(pc, patterns);
    }
    if !replaces || is_dynamic_linker(&module) {
        return;
    }
    let mut targets = engine.heap.targets.lock();
    for (pc, size, replacement) in found.functions() {
        targets.add(pc, size, replacement);
    }
    drop(targets);
    engine.strings.lock().add(&found.strings);
    let mut table = engine.modules.lock();
    if table.errno_location == 0 {
        table.errno_location = found.errno_location.unwrap_or(0);
    }
    for pc in found.freeres {
        if !table.freeres.contains(&pc) {
            table.freeres.push(pc);
        }
    }
}

/// glibc's dynamic linker has a small heap of its own until libc's takes over; nothing of it is ever freed. It has string
/// functions of its own, too, without symbols.
pub(crate) fn is_dynamic_linker(module: &Module) -> bool {
    let name = module.path.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
    name.starts_with(b"ld-linux") || (name.starts_with(b"ld-2") && name.ends_with(b".so"))
}

/// All symbol tables of the file.
fn from_file(module: &Module, found: &mut Found<'_>) -> bool {
    let Ok(fd) = loader::open(&module.path) else { return false };
    let done = loader::identity(fd) == module.file && sections(fd, module, found).is_some();
    loader::close(fd);
    done
}

fn sections(fd: i64, module: &Module, found: &mut Found<'_>) -> Option<()> {
    let bias = module.bias;
    let mut head = [0u8; 64];
    (loader::pread(fd, &mut head, 0) == 64 && head.starts_with(b"\x7fELF")).then_some(())?;
    let quad = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or([0; 8]));
    let offset = quad(&head, 40);
    let count = usize::from(u16::from_le_bytes([head[60], head[61]]));
    (offset != 0 && count > 0).then_some(())?;
    let mut table = alloc::vec![0u8; count * 64];
    (loader::pread(fd, &mut table, offset) == table.len()).then_some(())?;
    let mut any = false;
    let names = table.chunks_exact(64).nth(usize::from(u16::from_le_bytes([head[62], head[63]])));
    for (i, section) in table.chunks_exact(64).enumerate() {
        // .eh_frame is loaded (SHF_ALLOC) program data (or SHT_X86_64_UNWIND) of that name.
        // Not looked for where a search table leads to it.
        let named = !module.has_search_table()
            && names.is_some_and(|names| {
                let mut name = [0u8; 10];
                let at = quad(names, 24) + (quad(section, 0) & 0xffff_ffff);
                quad(section, 8) & 2 != 0 && loader::pread(fd, &mut name, at) == 10 && &name == b".eh_frame\0"
            });
        if named {
            found.eh_frame = (quad(section, 16).wrapping_add(bias), quad(section, 32));
        }
        const SYMTAB: u32 = 2;
        const DYNSYM: u32 = 11;
        let kind = quad(section, 0) >> 32;
        if kind != u64::from(SYMTAB) && kind != u64::from(DYNSYM) {
            continue;
        }
        let link = quad(section, 40) as u32 as usize;
        let strings = table.chunks_exact(64).nth(link)?;
        let read = |section: &[u8]| {
            let size = usize::try_from(quad(section, 32)).ok().filter(|size| *size <= 1 << 30)?;
            let mut bytes = alloc::vec![0u8; size];
            (loader::pread(fd, &mut bytes, quad(section, 24)) == size).then_some(bytes)
        };
        let (symbols, strings) = (read(section)?, read(strings)?);
        // Their versions, two bytes for each symbol.
        const VERSYM: u64 = 0x6fff_ffff;
        const HIDDEN: u8 = 0x80;
        let of_these = |other: &&[u8]| quad(other, 0) >> 32 == VERSYM && quad(other, 40) as u32 as usize == i;
        let versions = table.chunks_exact(64).find(of_these).and_then(read).unwrap_or_default();
        for (n, bytes) in symbols.chunks_exact(24).enumerate() {
            let symbol = symbol(bytes);
            let old = versions.get(2 * n + 1).is_some_and(|high| high & HIDDEN != 0);
            found.consider(&symbol, name_at(&strings, symbol.name), bias, old);
        }
        any = true;
    }
    any.then_some(())
}

/// The dynamic symbols in memory, for a module without a readable file.
fn from_memory(module: &Module, found: &mut Found<'_>) {
    const HASH_GNU: u64 = 0x6fff_fef5;
    let (mut symbols, mut strings, mut size, mut gnu_hash) = (0, 0, 0, 0);
    let absolute = |value: u64| if value < module.start { value.wrapping_add(module.bias) } else { value };
    for i in 0..module.dynamic.1 / 16 {
        let at = module.dynamic.0 + 16 * i;
        let (Some(tag), Some(value)) = (guest_mem::read_u64(at), guest_mem::read_u64(at + 8)) else { return };
        match tag {
            0 => break,
            5 => strings = absolute(value),
            6 => symbols = absolute(value),
            10 => size = value,
            HASH_GNU => gnu_hash = absolute(value),
            _ => (),
        }
    }
    if symbols == 0 || strings == 0 || gnu_hash == 0 || size > 1 << 28 {
        return;
    }
    let mut names = alloc::vec![0u8; size as usize];
    guest_mem::read(strings, &mut names);
    for i in 1..1 << 16 {
        let mut bytes = [0u8; 24];
        if guest_mem::read(symbols + 24 * i, &mut bytes) != 24 {
            break;
        }
        let symbol = symbol(&bytes);
        if symbol.name as usize >= names.len() {
            break;
        }
        found.consider(&symbol, name_at(&names, symbol.name), module.bias, false);
    }
}

/// Sets the guest's errno: the place that its `__errno_location` computes.
pub fn set_errno(engine: &Engine, thread: &Thread, value: u32) {
    let pc = engine.modules.lock().errno_location;
    if let Some(place) = thread_local(thread, pc) {
        let _ = guest_mem::write_u32(place, value);
    }
}

/// The address that the guest's function at `pc` computes: `fs:0` plus a constant, or one that the function loads from the
/// module's global offset table. `None` for other functions, and for 0.
pub fn thread_local(thread: &Thread, pc: u64) -> Option<u64> {
    if pc == 0 {
        return None;
    }
    let mut code = [0u8; 32];
    guest_mem::read(pc, &mut code);
    let body = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(&code);
    let skipped = (code.len() - body.len()) as u64;
    // mov rax, [rip + d]; add rax, fs:[0]; ret
    let dynamic =
        body.starts_with(&[0x48, 0x8b, 0x05]) && body[7..].starts_with(&[0x64, 0x48, 0x03, 0x04, 0x25]);
    // mov rax, imm; add rax, fs:[0]; ret
    let fixed =
        body.starts_with(&[0x48, 0xc7, 0xc0]) && body[7..].starts_with(&[0x64, 0x48, 0x03, 0x04, 0x25]);
    let constant = i32::from_le_bytes([body[3], body[4], body[5], body[6]]) as i64 as u64;
    // musl: mov rax, fs:[0]; add rax, imm8; ret
    let musl = body.starts_with(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x83, 0xc0]);
    let offset = if musl {
        u64::from(body[12])
    } else if dynamic {
        guest_mem::read_u64((pc + skipped + 7).wrapping_add(constant))?
    } else if fixed {
        constant
    } else {
        return None;
    };
    Some(thread.context.guest_fs.wrapping_add(offset))
}
