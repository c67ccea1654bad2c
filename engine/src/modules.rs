//! ELF modules that the guest has mapped: found when their code is mapped, told to the recorder, kept for the
//! unwinder and the search for functions to replace.

use crate::guest_mem;
use crate::space::PAGE;
use crate::state::Engine;
use crate::sys::{self, nr};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use ring::record::{Kind, header};

/// A mapped ELF file.
#[derive(Debug, Clone)]
pub struct Module {
    /// Number, from 1.
    pub id: u32,
    /// First address.
    pub start: u64,
    /// End of its last segment.
    pub end: u64,
    /// Load bias.
    pub bias: u64,
    /// File path; "[vdso]" for the vdso.
    pub path: Vec<u8>,
    /// PT_GNU_EH_FRAME in memory: address and size.
    pub eh_frame_hdr: (u64, u64),
    /// Section .eh_frame in memory, for a static program, which has no PT_GNU_EH_FRAME; found by `symbols`.
    pub eh_frame: (u64, u64),
    /// PT_DYNAMIC in memory.
    pub dynamic: (u64, u64),
    /// Start and end of the loaded segment that holds `eh_frame_hdr`.
    pub eh_segment: (u64, u64),
    /// Device and inode.
    pub file: Option<(u64, u64)>,
    /// False once unmapped.
    pub mapped: bool,
    /// Whether `symbols::analyse` has looked at it.
    pub analysed: bool,
}

impl Module {
    /// Whether PT_GNU_EH_FRAME and the segment that holds it are there, so that unwind information is found by it.
    pub fn has_search_table(&self) -> bool {
        self.eh_frame_hdr.1 != 0 && self.eh_segment.1 > self.eh_segment.0
    }
}

/// All modules of a process image, mapped or gone.
pub struct ModuleTable {
    modules: Vec<Module>,
    /// The guest's `__errno_location`, 0 = not found.
    pub errno_location: u64,
    /// Functions that give libc's and libstdc++'s own blocks back.
    pub freeres: Vec<u64>,
}

/// Counts changes of the table, so that others can notice them without the lock.
pub static GENERATION: AtomicU64 = AtomicU64::new(1);

impl ModuleTable {
    /// No modules.
    pub const fn new() -> ModuleTable {
        ModuleTable { modules: Vec::new(), errno_location: 0, freeres: Vec::new() }
    }

    /// The mapped module that holds an address.
    pub fn find(&self, address: u64) -> Option<&Module> {
        self.modules.iter().find(|module| module.mapped && (module.start..module.end).contains(&address))
    }

    /// The mapped module that holds an address, if it was not asked for before.
    pub fn unanalysed(&mut self, address: u64) -> Option<&Module> {
        let module = self
            .modules
            .iter_mut()
            .find(|module| module.mapped && (module.start..module.end).contains(&address))?;
        if core::mem::replace(&mut module.analysed, true) { None } else { Some(module) }
    }

    /// All modules.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter()
    }
}

impl Default for ModuleTable {
    fn default() -> Self {
        ModuleTable::new()
    }
}

/// Reads a module's headers in memory at `base`. `None` when no ELF header is there.
pub fn read_headers(base: u64) -> Option<Module> {
    let mut head = [0u8; 64];
    if guest_mem::read(base, &mut head) != 64 || !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let quad = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or([0; 8]));
    let phoff = quad(&head, 32);
    let count = usize::from(u16::from_le_bytes([head[56], head[57]]));
    if count == 0 || count > 256 {
        return None;
    }
    let mut headers = alloc::vec![0u8; count * 56];
    // Tools that rewrite binaries put them far behind the code. The dynamic linker first maps the whole file.
    if guest_mem::read(base.checked_add(phoff)?, &mut headers) != headers.len() {
        return None;
    }
    let segments = || {
        headers.chunks_exact(56).map(|p| {
            let kind = u32::from_le_bytes([p[0], p[1], p[2], p[3]]);
            (kind, quad(p, 16), quad(p, 40))
        })
    };
    let low = segments().filter(|s| s.0 == 1).map(|s| s.1 & !(PAGE - 1)).min()?;
    let high = segments().filter(|s| s.0 == 1).map(|s| s.1.saturating_add(s.2)).max()?;
    let bias = base.wrapping_sub(low);
    let find = |kind: u32| {
        segments().find(|s| s.0 == kind).map_or((0, 0), |(_, vaddr, size)| (vaddr.wrapping_add(bias), size))
    };
    let eh_frame_hdr = find(0x6474_e550);
    let eh_segment = segments()
        .filter(|s| s.0 == 1)
        .map(|(_, vaddr, size)| (vaddr.wrapping_add(bias), vaddr.wrapping_add(bias).wrapping_add(size)))
        .find(|(start, end)| (*start..*end).contains(&eh_frame_hdr.0))
        .unwrap_or((0, 0));
    Some(Module {
        id: 0,
        start: base,
        end: base + (high - low).next_multiple_of(PAGE),
        bias,
        path: Vec::new(),
        eh_frame_hdr,
        eh_frame: (0, 0),
        dynamic: find(2),
        eh_segment,
        file: None,
        mapped: true,
        analysed: false,
    })
}

/// Adds a module and tells the recorder.
pub fn add(engine: &Engine, mut module: Module) -> u32 {
    let mut table = engine.modules.lock();
    module.id = table.modules.len() as u32 + 1;
    let id = module.id;
    let fixed = [sys::tsc(), u64::from(id), module.start, module.end - module.start, module.bias, 0];
    let path = module.path.clone();
    table.modules.push(module);
    drop(table);
    GENERATION.fetch_add(1, Ordering::Release);
    if let Some(writer) = &mut crate::threads::current().writer {
        writer.push_strings(Kind::Module, &fixed, &[&path]);
    }
    id
}

/// Executable file pages were mapped at `address`: finds the module that they belong to, unless it is known.
/// `fd` is the open file, or -1.
pub fn mapped(engine: &Engine, address: u64, fd: i64) {
    let space = engine.space.lock();
    let Some((start, mapping)) = space.find(address) else { return };
    let Some(file) = mapping.file else { return };
    // The file's first page carries the headers; the linker maps it at or below the code.
    let mut base = (mapping.offset == 0).then_some(start);
    for (start, mapping) in space.iter().filter(|(start, _)| *start <= address) {
        if mapping.file == Some(file) && mapping.offset == 0 {
            base = Some(start);
        }
    }
    drop(space);
    let Some(base) = base else { return };
    if engine.modules.lock().find(base).is_some_and(|known| known.file == Some(file)) {
        return;
    }
    let Some(mut module) = read_headers(base) else { return };
    module.file = Some(file);
    module.path = if fd >= 0 { path_of(fd) } else { path_at(base) };
    add(engine, module);
}

/// A range was unmapped: modules whose first page was in it have gone.
pub fn unmapped(engine: &Engine, start: u64, end: u64) {
    let mut gone = Vec::new();
    let mut table = engine.modules.lock();
    for module in table.modules.iter_mut().filter(|module| module.mapped) {
        if (start..end).contains(&module.start) {
            module.mapped = false;
            gone.push(module.id);
        }
    }
    drop(table);
    if gone.is_empty() {
        return;
    }
    for id in &gone {
        engine.stacks.remove_module(*id);
    }
    engine.heap.targets.lock().forget(start, end);
    engine.strings.lock().forget(start, end);
    engine.cache.lock().forget_watched(start, end);
    if let Some(writer) = &mut crate::threads::current().writer {
        for id in gone {
            writer.push(&[header(Kind::ModuleGone, 3), sys::tsc(), u64::from(id)]);
        }
    }
}

/// The path behind a descriptor.
#[allow(unsafe_code, reason = "readlink with engine buffers")]
pub fn path_of(fd: i64) -> Vec<u8> {
    let mut text = crate::fatal::Text::new();
    let _ = core::fmt::Write::write_fmt(&mut text, format_args!("/proc/self/fd/{fd}\0"));
    let mut path = alloc::vec![0u8; 4096];
    // SAFETY: the kernel reads the NUL-terminated name and writes at most the buffer's length.
    let length = unsafe {
        let name = text.as_bytes().as_ptr() as u64;
        sys::call(nr::READLINK, &[name, path.as_mut_ptr() as u64, path.len() as u64])
    };
    path.truncate(length.max(0) as usize);
    path
}

/// The path of the file that is mapped at an address, from the kernel's list.
pub(crate) fn path_at(address: u64) -> Vec<u8> {
    let maps = crate::proc_maps::read();
    crate::proc_maps::parse(&maps)
        .find(|line| line.start <= address && address < line.end)
        .map(|line| line.name.to_vec())
        .unwrap_or_default()
}
