//! The test process seen as a guest: its modules, its stacks and code, its registers, and libgcc's opinion.

#![allow(dead_code, unreachable_pub, reason = "each test binary and the benchmark use a part")]

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::slice;
use std::sync::atomic::AtomicU64;
use unwind::{Frame, Memory, Module, Modules, Regs, Section, WORDS_PER_NODE};

/// A mapping of this process.
struct Mapping {
    range: Range<u64>,
    is_code: bool,
    is_readable: bool,
}

/// Reads this process, by the mappings it had when this was made.
pub struct Own {
    mappings: Vec<Mapping>,
}

impl Own {
    pub fn new() -> Own {
        let text = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let parse = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let number = |hex| u64::from_str_radix(hex, 16).ok();
            let is_readable = rest.starts_with('r') && !line.contains("[vvar") && !line.contains("[vsyscall");
            let is_code = is_readable && rest.as_bytes().get(2) == Some(&b'x');
            Some(Mapping { range: number(start)?..number(end)?, is_code, is_readable })
        };
        Own { mappings: text.lines().map(|line| parse(line).expect("line of maps")).collect() }
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let at = self.mappings.partition_point(|mapping| mapping.range.end <= address);
        self.mappings.get(at).filter(|mapping| mapping.range.contains(&address))
    }
}

impl Memory for Own {
    fn stack(&self, sp: u64) -> Option<Range<u64>> {
        // The main thread's stack may have grown below what the list of mappings says.
        let mapping = self.mapping(sp).or_else(|| {
            self.mappings
                .iter()
                .find(|mapping| mapping.range.start > sp)
                .filter(|above| above.range.start - sp < 1 << 20)
        })?;
        Some(sp - 128..mapping.range.end)
    }

    fn word(&self, address: u64) -> Option<u64> {
        // SAFETY: the walker asks for words within `stack` only, which is mapped memory above a live stack
        // pointer.
        Some(unsafe { (address as *const u64).read_unaligned() })
    }

    fn code(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some(mapping) = self.mapping(address) else { return false };
        if !mapping.is_code || mapping.range.end - address < bytes.len() as u64 {
            return false;
        }
        // SAFETY: the mapping is readable and holds all these bytes.
        bytes.copy_from_slice(unsafe { slice::from_raw_parts(address as *const u8, bytes.len()) });
        true
    }
}

/// All ELF files mapped in this process. They stay mapped: no test unloads one that is in such a table.
pub fn own_modules() -> Modules {
    own_modules_where(true)
}

/// The same, with the search tables of `.eh_frame_hdr` or without.
pub fn own_modules_where(has_search_tables: bool) -> Modules {
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: dl_iterate_phdr gives a valid structure, and `data` is the table given to it below.
        let (info, (modules, has_search_tables)) = unsafe { (&*info, &mut *data.cast::<(Modules, bool)>()) };
        // SAFETY: the program headers are `dlpi_phnum` entries of a mapped file.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let bias = info.dlpi_addr;
        let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let section = |header: &libc::Elf64_Phdr| {
            let avma = bias + header.p_vaddr;
            // SAFETY: a mapped readable segment of a file that stays loaded.
            let bytes = unsafe { slice::from_raw_parts(avma as *const u8, header.p_memsz as usize) };
            Section { avma, bytes }
        };
        let Some(start) = loads().map(|header| bias + header.p_vaddr).min() else { return 0 };
        let end = loads().map(|header| bias + header.p_vaddr + header.p_memsz).max().unwrap_or(start);
        let id = modules.iter().count() as u32 + 1;
        let hdr = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
        let module = match hdr {
            Some(hdr) => {
                let holder = loads()
                    .find(|load| (load.p_vaddr..load.p_vaddr + load.p_memsz).contains(&hdr.p_vaddr))
                    .expect("a segment holds .eh_frame_hdr");
                let module = Module::with_segment(id, start..end, bias, section(hdr), section(holder));
                Module { eh_frame_hdr: module.eh_frame_hdr.filter(|_| *has_search_tables), ..module }
            }
            None => Module { id, avma: start..end, bias, eh_frame_hdr: None, eh_frame: None },
        };
        modules.add(module).expect("modules do not overlap");
        0
    }
    let mut modules = (Modules::new(), has_search_tables);
    // SAFETY: `each` keeps to its contract, and the table outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut modules).cast()) };
    modules.0
}

/// The registers here. Inlined, so that the pc and the stack belong to the caller.
#[inline(always)]
pub fn registers() -> Regs {
    let (rip, rsp, rbp): (u64, u64, u64);
    let mut saved = [0u64; 5];
    // SAFETY: reads registers and writes the array that it is given.
    unsafe {
        std::arch::asm!(
            "mov [{saved}], rbx", "mov [{saved} + 8], r12", "mov [{saved} + 16], r13",
            "mov [{saved} + 24], r14", "mov [{saved} + 32], r15",
            "lea {rip}, [rip]", "mov {rsp}, rsp", "mov {rbp}, rbp",
            saved = in(reg) saved.as_mut_ptr(),
            rip = out(reg) rip, rsp = out(reg) rsp, rbp = out(reg) rbp,
        );
    }
    let [rbx, rest @ ..] = saved;
    Regs::callee_saved(rip, rsp, rbp, rbx, rest)
}

/// Registers of a signal's ucontext.
pub fn registers_of(context: &libc::ucontext_t) -> Regs {
    let at = |register: c_int| context.uc_mcontext.gregs[register as usize] as u64;
    use libc::*;
    let order = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
        REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    Regs::from_encoding_order(at(REG_RIP), &order.map(at))
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut c_void, before: *mut c_int) -> usize;
}

/// Frames by libgcc: address and whether it is exact. Fixed storage: it is also used in signal handlers.
pub struct Reference {
    frames: [(u64, bool); 600],
    len: usize,
}

impl Reference {
    /// The frames of the caller of this function and outward; the first is a return address within the
    /// caller.
    #[inline(never)]
    pub fn here() -> Reference {
        unsafe extern "C" fn each(context: *mut c_void, data: *mut c_void) -> c_int {
            let mut before = 0;
            // SAFETY: libgcc gives a valid context; `data` is the structure below.
            let (ip, reference) =
                unsafe { (_Unwind_GetIPInfo(context, &mut before) as u64, &mut *data.cast::<Reference>()) };
            if ip != 0 && reference.len < reference.frames.len() {
                reference.frames[reference.len] = (ip, before != 0);
                reference.len += 1;
            }
            0
        }
        let mut reference = Reference { frames: [(0, false); 600], len: 0 };
        // SAFETY: `each` keeps to its contract, and the structure outlives the call.
        unsafe { _Unwind_Backtrace(each, (&raw mut reference).cast()) };
        // Without the frame of this function.
        reference.frames.copy_within(1.., 0);
        reference.len -= 1;
        reference
    }

    pub fn frames(&self) -> &[(u64, bool)] {
        &self.frames[..self.len]
    }
}

/// Frames of ours in the form of [`Reference::frames`].
pub fn pairs(frames: &[Frame]) -> Vec<(u64, bool)> {
    frames.iter().map(|frame| (frame.address, frame.exact)).collect()
}

/// Zeroed memory for a tree of this many nodes.
pub fn tree_memory(nodes: usize) -> Vec<AtomicU64> {
    (0..(nodes + 1) * WORDS_PER_NODE).map(|_| AtomicU64::new(0)).collect()
}

/// A small generator of pseudo-random numbers (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }
}

/// A shared object compiled by the test and loaded for the rest of the process's life.
pub struct Object(*mut c_void);

impl Object {
    /// Compiles C or assembly text with the system's C compiler.
    pub fn compile(name: &str, extension: &str, text: &str, options: &[&str]) -> Object {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = folder.join(format!("{name}-{}.{extension}", std::process::id()));
        let output = source.with_extension("so");
        std::fs::write(&source, text).expect("write source");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let run = std::process::Command::new(&compiler)
            .args(["-shared", "-fPIC"])
            .args(options)
            .arg(&source)
            .arg("-o")
            .arg(&output)
            .output()
            .expect("the C compiler runs");
        assert!(run.status.success(), "{compiler}: {}", String::from_utf8_lossy(&run.stderr));
        let path = std::ffi::CString::new(output.to_str().expect("path")).expect("path");
        // SAFETY: loads an object without constructors.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
        // SAFETY: dlerror after a failure gives a string or null.
        assert!(!handle.is_null(), "dlopen: {:?}", unsafe { CStr::from_ptr(libc::dlerror()) });
        let _ = std::fs::remove_file(source);
        let _ = std::fs::remove_file(output);
        Object(handle)
    }

    /// The address of a symbol.
    pub fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: a valid handle and string.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!address.is_null(), "{name:?}");
        address
    }

    /// Unloads the object.
    ///
    /// # Safety
    /// Nothing of it may be used any more, its sections in a [`Modules`] included.
    pub unsafe fn close(self) {
        // SAFETY: the caller's promise.
        unsafe { libc::dlclose(self.0) };
    }
}
