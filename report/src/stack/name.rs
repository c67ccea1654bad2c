//! What a demangled function name tells: the path of the function behind return type, parameters and template
//! arguments, and whether that path belongs to an allocator, a standard library or the code that calls `main`.
//!
//! Works on the text alone and never fails: a name that it cannot take apart is judged by its first path component.

/// A function name, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    /// The name without return type and parameters: `std::vector<int>::push_back`.
    path: &'a str,
}

/// C functions that allocate or free.
const ALLOCATORS: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "free",
    "cfree",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "free_sized",
    "free_aligned_sized",
    "mallocx",
    "rallocx",
    "xallocx",
    "dallocx",
    "sdallocx",
];

/// Further names that mean an allocator only behind one of the [`PREFIXES`].
const PREFIXED: &[&str] = &[
    "new",
    "new_aligned",
    "new_nothrow",
    "zalloc",
    "malloc_aligned",
    "zalloc_aligned",
    "realloc_aligned",
    "calloc_aligned",
    "malloc_small",
    "heap_malloc",
    "heap_malloc_zero_aligned_at",
];

/// Prefixes of the exported names of glibc, jemalloc, mimalloc and tcmalloc.
const PREFIXES: &[&str] = &[
    "__libc_",
    "__GI___libc_",
    "__GI_",
    "__",
    "_int_",
    "_rjem_",
    "_rjem_je_",
    "je_",
    "mi_",
    "tc_",
    "TCMalloc_",
];

/// What calls `main` or a thread's first function, in glibc and musl.
const STARTS: &[&str] = &[
    "_start",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "__libc_start_main_stage2",
    "libc_start_main_stage2",
    "generic_start_main",
    "_start_c",
    "(below main)",
    "start_thread",
    "clone",
    "__clone",
    "clone3",
    "__clone3",
    "__clone_internal",
    "start",
    "_dl_start_user",
    "_dl_start",
];

/// Roots of the standard libraries' paths.
const STANDARD: &[&str] =
    &["std", "core", "alloc", "__gnu_cxx", "__cxxabiv1", "proc_macro", "hashbrown", "__rustc"];

impl<'a> Name<'a> {
    pub(super) fn of(function: &'a str) -> Name<'a> {
        Name { path: strip(function) }
    }

    /// malloc and its relatives, operator new and delete, the entry points of Rust's allocator.
    pub(super) fn is_allocator(self) -> bool {
        let path = self.path;
        if ["operator new", "operator delete"].iter().any(|operator| path.starts_with(operator)) {
            return true;
        }
        // Since 1.87: `__rustc::__rust_alloc`, or `__rustc[hash]::__rust_alloc`.
        let last = path.rsplit("::").next().unwrap_or(path);
        if ["__rust_", "__rg_", "__rdl_"].iter().any(|prefix| last.starts_with(prefix)) {
            return ["alloc", "realloc", "dealloc", "alloc_zeroed", "alloc_error_handler"]
                .iter()
                .any(|suffix| last.ends_with(suffix));
        }
        // glibc versions symbols ("malloc@@GLIBC_2.2.5").
        let plain = path.split('@').next().unwrap_or(path);
        ALLOCATORS.contains(&plain)
            || PREFIXES
                .iter()
                .filter_map(|prefix| plain.strip_prefix(prefix))
                .any(|rest| ALLOCATORS.contains(&rest) || PREFIXED.contains(&rest))
    }

    pub(super) fn is_start(self) -> bool {
        let plain = self.path.split('@').next().unwrap_or(self.path);
        STARTS.contains(&plain)
    }

    /// Rust's std, core and alloc; C++'s std.
    pub(super) fn is_standard(self) -> bool {
        let Some(inner) = self.path.strip_prefix('<') else { return is_standard_path(self.path) };
        // `<Self as Trait>::method`: the code belongs to whoever owns Self; for a bare parameter or a primitive type
        // to whoever owns the trait.
        let Some(end) = closing(inner) else { return false };
        let inner = &inner[..end];
        let (this, of_trait) = match split_as(inner) {
            Some((this, of_trait)) => (this, Some(of_trait)),
            None => (inner, None),
        };
        let this = this.trim_start_matches(['&', '*', '[', '(']);
        let this = ["mut ", "const ", "dyn "].iter().fold(this, |this, word| this.trim_start_matches(word));
        let this = this.trim_start_matches('[');
        if this.contains("::") {
            is_standard_path(this)
        } else {
            // Only the standard library has methods of its own on primitive types.
            of_trait.is_none_or(is_standard_path)
        }
    }
}

fn is_standard_path(path: &str) -> bool {
    let Some((root, _)) = path.split_once("::") else { return false };
    // Symbols may carry the crate's hash: core[1e9b27a1f3]::ptr.
    let root = root.split('[').next().unwrap_or(root);
    STANDARD.contains(&root)
}

/// Cuts parameters off the end and a return type off the front, both at nesting depth 0.
fn strip(function: &str) -> &str {
    if function.starts_with("operator") || function.starts_with('<') || function.starts_with("(below main)") {
        return function;
    }
    let (mut depth, mut start) = (0usize, 0);
    let bytes = function.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            // `operator<`, `operator->`, `operator()` would unbalance the count; what precedes them suffices.
            b'o' if depth == 0
                && function[i..].starts_with("operator")
                && (i == 0 || !word(bytes[i - 1])) =>
            {
                return &function[start..];
            }
            b'(' if depth == 0 && function[i..].starts_with("(anonymous namespace)") => depth += 1,
            b'(' if depth == 0 => return &function[start..i],
            b'<' | b'[' | b'{' | b'(' => depth += 1,
            b'>' | b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => start = i + 1,
            _ => {}
        }
    }
    &function[start..]
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The index of the `>` that closes a `<` before `text`; `->` is none.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    let mut previous = b' ';
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if previous != b'-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
        previous = byte;
    }
    None
}

/// Splits `Self as Trait` at depth 0.
fn split_as(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0i32;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth -= 1,
            b' ' if depth == 0 && text[i..].starts_with(" as ") => return Some((&text[..i], &text[i + 4..])),
            _ => {}
        }
    }
    None
}
