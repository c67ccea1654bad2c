//! The names of allocation functions: libc's, C++'s, and those of allocators that programs link with.
//!
//! Not here: where they are (`symbols`), what stands in for them (`heap_calls`).

/// What stands in for a guest function. Arguments are in the order of the functions named, unless it says otherwise.
#[allow(missing_docs, reason = "the functions' own names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Function {
    Malloc,
    Zalloc,
    Calloc,
    Realloc,
    /// Zeroes what is new.
    Rezalloc,
    /// Frees the old block also when there is no memory.
    Reallocf,
    ReallocArray,
    /// (pointer to the pointer, number, size); returns an error number.
    ReallocArr,
    /// As ReallocArray; zeroes what is new.
    Recalloc,
    /// (pointer, size, alignment)
    ReallocAligned,
    /// As ReallocAligned; zeroes what is new.
    RezallocAligned,
    /// (pointer, number, size, alignment); zeroes what is new.
    RecallocAligned,
    /// Grows or shrinks in place, which never works.
    Expand,
    Free,
    /// One function for free and both operators delete, or a free that takes blocks of any family.
    FreeAny,
    /// (alignment, size); also the name of aligned_alloc where that is the same function.
    Memalign,
    /// (alignment, size), where it is a function of its own.
    AlignedAlloc,
    /// (size, alignment)
    AlignedSizeFirst,
    ZallocAligned,
    /// (number, size, alignment)
    CallocAligned,
    PosixMemalign,
    Valloc,
    Pvalloc,
    UsableSize,
    /// Whether a pointer is a block's.
    IsOwned,
    Strdup,
    Strndup,
    New,
    NewArray,
    NewAligned,
    NewArrayAligned,
    NewNothrow,
    NewArrayNothrow,
    NewAlignedNothrow,
    NewArrayAlignedNothrow,
    /// (number, size)
    NewN,
    /// (pointer, size), throws
    NewRealloc,
    /// (pointer, number, size), throws
    NewReallocN,
    Delete,
    DeleteArray,
    /// (pointer, size)
    DeleteSized,
    DeleteArraySized,
    /// (pointer, alignment)
    DeleteAligned,
    DeleteArrayAligned,
    /// (pointer, size, alignment)
    DeleteSizedAligned,
    DeleteArraySizedAligned,
    /// (pointer, size)
    FreeSized,
    /// (pointer, alignment, size)
    FreeAlignedSized,
    /// Rust's default allocator, which knows the size and the alignment: (pointer, size, alignment)
    RustDealloc,
    /// (pointer, size, alignment, new size)
    RustRealloc,
    /// jemalloc's extended interface: (size, flags)
    Mallocx,
    Rallocx,
    Xallocx,
    Sallocx,
    Nallocx,
    Mallinfo,
    Mallinfo2,
    ReturnZero,
    /// Not replaced: makes blocks that are the allocator's own.
    OwnBlocks,
}

impl Function {
    /// All functions, at the index that is their number.
    const ALL: [Function; 59] = {
        use Function as F;
        [
            F::Malloc,
            F::Zalloc,
            F::Calloc,
            F::Realloc,
            F::Rezalloc,
            F::Reallocf,
            F::ReallocArray,
            F::ReallocArr,
            F::Recalloc,
            F::ReallocAligned,
            F::RezallocAligned,
            F::RecallocAligned,
            F::Expand,
            F::Free,
            F::FreeAny,
            F::Memalign,
            F::AlignedAlloc,
            F::AlignedSizeFirst,
            F::ZallocAligned,
            F::CallocAligned,
            F::PosixMemalign,
            F::Valloc,
            F::Pvalloc,
            F::UsableSize,
            F::IsOwned,
            F::Strdup,
            F::Strndup,
            F::New,
            F::NewArray,
            F::NewAligned,
            F::NewArrayAligned,
            F::NewNothrow,
            F::NewArrayNothrow,
            F::NewAlignedNothrow,
            F::NewArrayAlignedNothrow,
            F::NewN,
            F::NewRealloc,
            F::NewReallocN,
            F::Delete,
            F::DeleteArray,
            F::DeleteSized,
            F::DeleteArraySized,
            F::DeleteAligned,
            F::DeleteArrayAligned,
            F::DeleteSizedAligned,
            F::DeleteArraySizedAligned,
            F::FreeSized,
            F::FreeAlignedSized,
            F::RustDealloc,
            F::RustRealloc,
            F::Mallocx,
            F::Rallocx,
            F::Xallocx,
            F::Sallocx,
            F::Nallocx,
            F::Mallinfo,
            F::Mallinfo2,
            F::ReturnZero,
            F::OwnBlocks,
        ]
    };

    fn frees(self) -> bool {
        use Function as F;
        matches!(
            self,
            F::Free
                | F::FreeAny
                | F::Delete
                | F::DeleteArray
                | F::DeleteSized
                | F::DeleteArraySized
                | F::DeleteAligned
                | F::DeleteArrayAligned
                | F::DeleteSizedAligned
                | F::DeleteArraySizedAligned
                | F::FreeSized
                | F::FreeAlignedSized
                | F::RustDealloc
        )
    }
}

/// A function, and how it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// The function.
    pub function: Function,
    /// The first argument is one of mimalloc's heaps; the function's own follow.
    pub of_heap: bool,
    /// It belongs to an allocator that the program is linked with: pointers that are not our blocks are its own.
    pub foreign: bool,
}

const OF_HEAP: u32 = 0x100;
const FOREIGN: u32 = 0x200;

impl Replacement {
    /// libc's or C++'s.
    pub const fn plain(function: Function) -> Replacement {
        Replacement { function, of_heap: false, foreign: false }
    }

    /// The number that emitted code passes on.
    pub fn number(self) -> u32 {
        self.function as u32 | if self.of_heap { OF_HEAP } else { 0 } | if self.foreign { FOREIGN } else { 0 }
    }

    /// The replacement with a number.
    #[inline]
    pub fn from_number(number: u32) -> Option<Replacement> {
        let function = *Function::ALL.get((number & 0xff) as usize)?;
        Some(Replacement { function, of_heap: number & OF_HEAP != 0, foreign: number & FOREIGN != 0 })
    }

    /// What stands in for a function with two names: of frees that say different things, one that takes any block.
    #[must_use]
    pub fn or(self, other: Replacement) -> Replacement {
        let foreign = self.foreign || other.foreign;
        if self.function != other.function && self.function.frees() && other.function.frees() {
            return Replacement { function: Function::FreeAny, foreign, ..self };
        }
        let first = if self.function <= other.function { self } else { other };
        Replacement { foreign, ..first }
    }
}

type Names = &'static [(&'static [u8], Function)];

/// libc's and C++'s.
const PLAIN: Names = &[
    (b"malloc", Function::Malloc),
    (b"calloc", Function::Calloc),
    (b"realloc", Function::Realloc),
    (b"reallocarray", Function::ReallocArray),
    (b"free", Function::Free),
    (b"cfree", Function::Free),
    (b"free_sized", Function::FreeSized),
    (b"free_aligned_sized", Function::FreeAlignedSized),
    (b"memalign", Function::Memalign),
    (b"aligned_alloc", Function::AlignedAlloc),
    (b"posix_memalign", Function::PosixMemalign),
    (b"valloc", Function::Valloc),
    (b"pvalloc", Function::Pvalloc),
    (b"malloc_usable_size", Function::UsableSize),
    (b"malloc_size", Function::UsableSize),
    (b"malloc_trim", Function::ReturnZero),
    (b"malloc_stats", Function::ReturnZero),
    (b"mallinfo", Function::Mallinfo),
    (b"mallinfo2", Function::Mallinfo2),
    (b"__libc_malloc", Function::Malloc),
    (b"__libc_calloc", Function::Calloc),
    (b"__libc_realloc", Function::Realloc),
    (b"__libc_free", Function::Free),
    (b"__libc_cfree", Function::Free),
    (b"__libc_memalign", Function::Memalign),
    (b"__libc_valloc", Function::Valloc),
    (b"__libc_pvalloc", Function::Pvalloc),
    (b"__posix_memalign", Function::PosixMemalign),
    // musl: what its own code calls.
    (b"__libc_malloc_impl", Function::Malloc),
    (b"__simple_malloc", Function::Malloc),
    (b"__malloc_donate", Function::ReturnZero),
    (b"_Znwm", Function::New),
    (b"_Znam", Function::NewArray),
    (b"_ZnwmSt11align_val_t", Function::NewAligned),
    (b"_ZnamSt11align_val_t", Function::NewArrayAligned),
    (b"_ZnwmRKSt9nothrow_t", Function::NewNothrow),
    (b"_ZnamRKSt9nothrow_t", Function::NewArrayNothrow),
    (b"_ZnwmSt11align_val_tRKSt9nothrow_t", Function::NewAlignedNothrow),
    (b"_ZnamSt11align_val_tRKSt9nothrow_t", Function::NewArrayAlignedNothrow),
    (b"_ZdlPv", Function::Delete),
    (b"_ZdlPvm", Function::DeleteSized),
    (b"_ZdlPvSt11align_val_t", Function::DeleteAligned),
    (b"_ZdlPvmSt11align_val_t", Function::DeleteSizedAligned),
    (b"_ZdlPvRKSt9nothrow_t", Function::Delete),
    (b"_ZdlPvSt11align_val_tRKSt9nothrow_t", Function::DeleteAligned),
    (b"_ZdaPv", Function::DeleteArray),
    (b"_ZdaPvm", Function::DeleteArraySized),
    (b"_ZdaPvSt11align_val_t", Function::DeleteArrayAligned),
    (b"_ZdaPvmSt11align_val_t", Function::DeleteArraySizedAligned),
    (b"_ZdaPvRKSt9nothrow_t", Function::DeleteArray),
    (b"_ZdaPvSt11align_val_tRKSt9nothrow_t", Function::DeleteArrayAligned),
    (b"__builtin_new", Function::New),
    (b"__builtin_delete", Function::Delete),
    (b"__builtin_vec_new", Function::NewArray),
    (b"__builtin_vec_delete", Function::DeleteArray),
];

/// jemalloc's extended interface: with a prefix, or without one in a module that has jemalloc's `mallctl`.
const JEMALLOC: Names = &[
    (b"mallocx", Function::Mallocx),
    (b"rallocx", Function::Rallocx),
    (b"xallocx", Function::Xallocx),
    (b"sallocx", Function::Sallocx),
    (b"dallocx", Function::Free),
    (b"sdallocx", Function::Free),
    (b"nallocx", Function::Nallocx),
];

/// mimalloc's functions behind `mi_`. Its free takes what its operators new gave, too. Those for blocks at an offset from an alignment ignore the offset for our blocks.
const MIMALLOC: Names = &[
    (b"zalloc", Function::Zalloc),
    (b"mallocn", Function::Calloc),
    (b"malloc_small", Function::Malloc),
    (b"zalloc_small", Function::Zalloc),
    (b"malloc_aligned", Function::AlignedSizeFirst),
    (b"zalloc_aligned", Function::ZallocAligned),
    (b"calloc_aligned", Function::CallocAligned),
    (b"reallocn", Function::ReallocArray),
    (b"reallocf", Function::Reallocf),
    (b"reallocarr", Function::ReallocArr),
    (b"rezalloc", Function::Rezalloc),
    (b"recalloc", Function::Recalloc),
    (b"realloc_aligned", Function::ReallocAligned),
    (b"realloc_aligned_at", Function::ReallocAligned),
    (b"rezalloc_aligned", Function::RezallocAligned),
    (b"rezalloc_aligned_at", Function::RezallocAligned),
    (b"recalloc_aligned", Function::RecallocAligned),
    (b"recalloc_aligned_at", Function::RecallocAligned),
    (b"aligned_recalloc", Function::RecallocAligned),
    (b"aligned_offset_recalloc", Function::RecallocAligned),
    (b"expand", Function::Expand),
    (b"_expand", Function::Expand),
    (b"free", Function::FreeAny),
    (b"cfree", Function::FreeAny),
    (b"free_size", Function::FreeAny),
    (b"free_size_aligned", Function::FreeAny),
    (b"free_aligned", Function::FreeAny),
    (b"usable_size", Function::UsableSize),
    (b"is_in_heap_region", Function::IsOwned),
    (b"check_owned", Function::IsOwned),
    (b"strdup", Function::Strdup),
    (b"strndup", Function::Strndup),
    (b"new", Function::New),
    (b"new_nothrow", Function::NewNothrow),
    (b"new_aligned", Function::NewAligned),
    (b"new_aligned_nothrow", Function::NewAlignedNothrow),
    (b"new_n", Function::NewN),
    (b"new_realloc", Function::NewRealloc),
    (b"new_reallocn", Function::NewReallocN),
    (b"malloc_aligned_at", Function::OwnBlocks),
    (b"zalloc_aligned_at", Function::OwnBlocks),
    (b"calloc_aligned_at", Function::OwnBlocks),
    (b"realpath", Function::OwnBlocks),
];

/// mimalloc's functions behind `mi_heap_`. A heap can be destroyed with all its blocks, so they stay mimalloc's; only
/// what is done to a block of ours is answered.
const MIMALLOC_HEAP: Names = &[
    (b"malloc", Function::OwnBlocks),
    (b"malloc_small", Function::OwnBlocks),
    (b"zalloc", Function::OwnBlocks),
    (b"calloc", Function::OwnBlocks),
    (b"mallocn", Function::OwnBlocks),
    (b"strdup", Function::OwnBlocks),
    (b"strndup", Function::OwnBlocks),
    (b"realpath", Function::OwnBlocks),
    (b"malloc_aligned", Function::OwnBlocks),
    (b"malloc_aligned_at", Function::OwnBlocks),
    (b"zalloc_aligned", Function::OwnBlocks),
    (b"zalloc_aligned_at", Function::OwnBlocks),
    (b"calloc_aligned", Function::OwnBlocks),
    (b"calloc_aligned_at", Function::OwnBlocks),
    (b"alloc_new", Function::OwnBlocks),
    (b"alloc_new_n", Function::OwnBlocks),
    (b"realloc", Function::Realloc),
    (b"reallocn", Function::ReallocArray),
    (b"reallocf", Function::Reallocf),
    (b"rezalloc", Function::Rezalloc),
    (b"recalloc", Function::Recalloc),
    (b"realloc_aligned", Function::ReallocAligned),
    (b"realloc_aligned_at", Function::ReallocAligned),
    (b"rezalloc_aligned", Function::RezallocAligned),
    (b"rezalloc_aligned_at", Function::RezallocAligned),
    (b"recalloc_aligned", Function::RecallocAligned),
    (b"recalloc_aligned_at", Function::RecallocAligned),
    (b"contains_block", Function::IsOwned),
    (b"check_owned", Function::IsOwned),
];

/// tcmalloc's functions behind `tc_`.
const TCMALLOC: Names = &[
    (b"malloc_skip_new_handler", Function::Malloc),
    (b"nallocx", Function::Nallocx),
    (b"new", Function::New),
    (b"new_nothrow", Function::NewNothrow),
    (b"new_aligned", Function::NewAligned),
    (b"new_aligned_nothrow", Function::NewAlignedNothrow),
    (b"newarray", Function::NewArray),
    (b"newarray_nothrow", Function::NewArrayNothrow),
    (b"newarray_aligned", Function::NewArrayAligned),
    (b"newarray_aligned_nothrow", Function::NewArrayAlignedNothrow),
    (b"delete", Function::Delete),
    (b"delete_nothrow", Function::Delete),
    (b"delete_sized", Function::DeleteSized),
    (b"delete_aligned", Function::DeleteAligned),
    (b"delete_aligned_nothrow", Function::DeleteAligned),
    (b"delete_sized_aligned", Function::DeleteSizedAligned),
    (b"deletearray", Function::DeleteArray),
    (b"deletearray_nothrow", Function::DeleteArray),
    (b"deletearray_sized", Function::DeleteArraySized),
    (b"deletearray_aligned", Function::DeleteArrayAligned),
    (b"deletearray_aligned_nothrow", Function::DeleteArrayAligned),
    (b"deletearray_sized_aligned", Function::DeleteArraySizedAligned),
];

/// oneTBB's functions behind `scalable_`.
const SCALABLE: Names = &[
    (b"aligned_malloc", Function::AlignedSizeFirst),
    (b"aligned_realloc", Function::ReallocAligned),
    (b"aligned_free", Function::Free),
    (b"msize", Function::UsableSize),
];

/// Prefixes of allocators that are linked in under names of their own, with the names behind the prefix beside those
/// of [`PLAIN`].
const PREFIXES: &[(&[u8], Names)] = &[
    (b"_rjem_", JEMALLOC),
    (b"je_", JEMALLOC),
    (b"mi_", MIMALLOC),
    (b"tc_", TCMALLOC),
    (b"scalable_", SCALABLE),
];

/// Functions of Rust's default allocator that know the block's size; what it allocates is asked of malloc.
const RUST: Names = &[(b"__rdl_dealloc", Function::RustDealloc), (b"__rdl_realloc", Function::RustRealloc)];

/// One of [`RUST`]'s by itself, or mangled as of crate `__rustc`.
fn rust(name: &[u8]) -> Option<Function> {
    let plain = match name.strip_prefix(b"_R") {
        Some(mangled) => mangled.get(mangled.len().checked_sub(b"7___rustc13___rdl_dealloc".len())?..)?,
        None => return find(RUST, name),
    };
    find(RUST, plain.strip_prefix(b"7___rustc13_")?)
}

fn find(names: Names, name: &[u8]) -> Option<Function> {
    names.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// What stands in for the function of this name. `jemalloc`: the names of jemalloc's own interface count.
pub fn replacement(name: &[u8], jemalloc: bool) -> Option<Replacement> {
    if let Some(function) = find(PLAIN, name) {
        return Some(Replacement::plain(function));
    }
    if let Some(rest) = name.strip_prefix(b"mi_heap_") {
        let function = find(MIMALLOC_HEAP, rest)?;
        return Some(Replacement { function, of_heap: true, foreign: true });
    }
    if let Some(function) = rust(name) {
        return Some(Replacement::plain(function));
    }
    let prefixed = PREFIXES.iter().find_map(|(prefix, names)| Some((name.strip_prefix(*prefix)?, *names)));
    let function = match prefixed {
        Some((rest, names)) => {
            let plain = !rest.starts_with(b"_") && !rest.starts_with(b"mallinfo");
            find(names, rest).or_else(|| if plain { find(PLAIN, rest) } else { None })
        }
        None if jemalloc => find(JEMALLOC, name),
        None => None,
    };
    Some(Replacement { function: function?, of_heap: false, foreign: true })
}

/// Whether a name can be one of ours, by a look at its first bytes: symbol tables are long.
pub fn may_match(name: &[u8]) -> bool {
    matches!(
        name,
        [b'_', b'Z', b'n' | b'd', ..]
            | [b'_', b'_' | b'r' | b'p', ..]
            | [b'_', b'R', .., b'd' | b'r', b'e', b'a', b'l', b'l', b'o', b'c']
            | [b'm' | b'c' | b'r' | b'f' | b'a' | b'p' | b'v' | b'j' | b't' | b's' | b'd' | b'x' | b'n', ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes() {
        let function = |name: &[u8]| replacement(name, false).map(|found| found.function);
        assert_eq!(function(b"malloc"), Some(Function::Malloc));
        assert_eq!(function(b"_rjem_sdallocx"), Some(Function::Free));
        assert_eq!(function(b"mi_malloc_aligned"), Some(Function::AlignedSizeFirst));
        assert_eq!(function(b"mi_calloc"), Some(Function::Calloc));
        assert_eq!(function(b"mi_heap_calloc"), Some(Function::OwnBlocks));
        assert_eq!(function(b"mi_option_get"), None);
        assert_eq!(function(b"mi_free"), Some(Function::FreeAny));
        assert_eq!(function(b"__rdl_dealloc"), Some(Function::RustDealloc));
        let mangled = b"_RNvCsfLfy6EI15iL_7___rustc13___rdl_realloc";
        assert_eq!(function(mangled), Some(Function::RustRealloc));
        assert!(may_match(mangled));
        assert_eq!(function(b"_RNvCsfLfy6EI15iL_7___rustc14___rust_dealloc"), None);
        assert_eq!(function(b"_Rdealloc"), None);
        assert_eq!(function(b"mallocate"), None);
        assert_eq!(function(b"je__Znwm"), None);
        assert_eq!(function(b"tc_zalloc"), None);
        // A program's own function may be called so.
        assert_eq!(function(b"mallocx"), None);
        assert_eq!(replacement(b"mallocx", true).map(|found| found.function), Some(Function::Mallocx));
        for (name, _) in PLAIN.iter().chain(JEMALLOC) {
            assert!(may_match(name), "{}", core::str::from_utf8(name).unwrap_or("?"));
        }
    }

    #[test]
    fn numbers() {
        for (i, function) in Function::ALL.into_iter().enumerate() {
            assert_eq!(function as usize, i);
            for (of_heap, foreign) in [(false, false), (true, true)] {
                let replacement = Replacement { function, of_heap, foreign };
                assert_eq!(Replacement::from_number(replacement.number()), Some(replacement));
            }
        }
        assert_eq!(Replacement::from_number(Function::ALL.len() as u32), None);
    }

    #[test]
    fn one_function_with_several_names() {
        let plain = Replacement::plain;
        assert_eq!(plain(Function::Free).or(plain(Function::Delete)).function, Function::FreeAny);
        assert_eq!(plain(Function::NewArray).or(plain(Function::New)).function, Function::New);
        let own = replacement(b"mi_malloc", false).unwrap_or(plain(Function::Free));
        assert!(plain(Function::Malloc).or(own).foreign);
    }
}
