//! The guest's initial stack: strings, argv, envp and the auxiliary vector, laid out as the kernel does.

use crate::guest_mem;
use crate::loader::Image;
use alloc::vec::Vec;

/// Keys of the auxiliary vector.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod at {
    pub const NULL: u64 = 0;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const BASE: u64 = 7;
    pub const ENTRY: u64 = 9;
    pub const PLATFORM: u64 = 15;
    pub const BASE_PLATFORM: u64 = 24;
    pub const RANDOM: u64 = 25;
    pub const RSEQ_FEATURE_SIZE: u64 = 27;
    pub const RSEQ_ALIGN: u64 = 28;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
}

/// What the kernel gave to the engine's own image.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Arguments, meant for the guest.
    pub arguments: Vec<Vec<u8>>,
    /// Environment, meant for the guest.
    pub environment: Vec<Vec<u8>>,
    /// The auxiliary vector.
    pub auxiliary: Vec<(u64, u64)>,
    /// The bytes behind AT_RANDOM.
    pub random: [u8; 16],
    /// The string behind AT_PLATFORM.
    pub platform: Vec<u8>,
}

/// Addresses that the kernel keeps for /proc.
#[derive(Debug, Default, Clone, Copy)]
pub struct Layout {
    /// Initial stack pointer.
    pub sp: u64,
    /// Argument strings.
    pub arguments: (u64, u64),
    /// Environment strings.
    pub environment: (u64, u64),
    /// The auxiliary vector and its bytes.
    pub auxiliary: (u64, u64),
}

/// Writes the stack below `top`. `vdso` is the vdso's new address, 0 when there is none.
/// `None` when the strings do not fit into the stack's mapping.
pub fn build(
    top: u64,
    inherited: &Inherited,
    execfn: &[u8],
    program: &Image,
    interpreter: Option<&Image>,
    vdso: u64,
) -> Option<Layout> {
    let mut sp = top - 8;
    let mut layout = Layout::default();
    let push = |sp: &mut u64, bytes: &[u8]| -> Option<u64> {
        *sp -= bytes.len() as u64 + 1;
        let whole = guest_mem::write(*sp, bytes) == bytes.len();
        (whole && guest_mem::write(*sp + bytes.len() as u64, &[0]) == 1).then_some(*sp)
    };
    let execfn = push(&mut sp, execfn)?;
    // Strings lie in rising order of their index, so they are written from the last to the first.
    layout.environment.1 = sp;
    let mut environment = Vec::new();
    for string in inherited.environment.iter().rev() {
        environment.push(push(&mut sp, string)?);
    }
    layout.environment.0 = sp;
    layout.arguments.1 = sp;
    let mut arguments = Vec::new();
    for string in inherited.arguments.iter().rev() {
        arguments.push(push(&mut sp, string)?);
    }
    layout.arguments.0 = sp;
    let platform = push(&mut sp, &inherited.platform)?;
    sp = (sp & !15) - 16;
    let random = sp;
    if guest_mem::write(random, &inherited.random) != 16 {
        return None;
    }

    let mut words: Vec<u64> = Vec::new();
    words.push(arguments.len() as u64);
    words.extend(arguments.iter().rev());
    words.push(0);
    words.extend(environment.iter().rev());
    words.push(0);
    let auxiliary_at = words.len();
    for &(key, value) in &inherited.auxiliary {
        let value = match key {
            at::PHDR => program.phdr,
            at::PHNUM => program.phnum,
            at::BASE => interpreter.map_or(0, |image| image.bias),
            at::ENTRY => program.entry,
            at::EXECFN => execfn,
            at::RANDOM => random,
            at::PLATFORM => platform,
            at::SYSINFO_EHDR if vdso != 0 => vdso,
            // No restartable sequences: the kernel would look for the guest's pc, which never matches.
            at::SYSINFO_EHDR | at::RSEQ_FEATURE_SIZE | at::RSEQ_ALIGN | at::BASE_PLATFORM => continue,
            _ => value,
        };
        words.extend([key, value]);
    }
    words.extend([at::NULL, 0]);
    sp = (sp - 8 * words.len() as u64) & !15;
    layout.auxiliary = (sp + 8 * auxiliary_at as u64, 8 * (words.len() - auxiliary_at) as u64);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    layout.sp = sp;
    (guest_mem::write(sp, &bytes) == bytes.len()).then_some(layout)
}
