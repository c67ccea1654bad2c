//! Names of the string functions that the engine stands in for.
//!
//! Not here: where they are (`symbols`), what they do (`narrow`, `wide`).

/// A function. `...Chk`: its form with the bytes that the destination has as the last argument. `...L`: with a locale.
#[allow(missing_docs, reason = "the functions' own names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Function {
    Memcpy,
    Memmove,
    Mempcpy,
    Memccpy,
    Memset,
    Memcmp,
    Memchr,
    Memrchr,
    Rawmemchr,
    Strlen,
    Strnlen,
    Strcpy,
    Stpcpy,
    Strncpy,
    Stpncpy,
    Strlcpy,
    Strcat,
    Strncat,
    Strlcat,
    Strcmp,
    Strncmp,
    Strcasecmp,
    Strncasecmp,
    StrcasecmpL,
    StrncasecmpL,
    Strchr,
    Strrchr,
    Strchrnul,
    Strstr,
    Strspn,
    Strcspn,
    Strpbrk,
    MemcpyChk,
    MemmoveChk,
    MempcpyChk,
    MemsetChk,
    StrcpyChk,
    StpcpyChk,
    StrncpyChk,
    StpncpyChk,
    StrcatChk,
    StrncatChk,
    Wcslen,
    Wcsnlen,
    Wcscpy,
    Wcpcpy,
    Wcsncpy,
    Wcpncpy,
    Wcscat,
    Wcsncat,
    Wcscmp,
    Wcsncmp,
    Wcschr,
    Wcsrchr,
    Wmemchr,
    Wmemcmp,
    Wmemset,
}

/// All functions with their names, in the order of their numbers. What some of them are also called (bcmp, index,
/// rindex, `__stpcpy`) are names of the same code in every libc, or of code that calls it.
const NAMES: &[(&[u8], Function)] = {
    use Function as F;
    &[
        (b"memcpy", F::Memcpy),
        (b"memmove", F::Memmove),
        (b"mempcpy", F::Mempcpy),
        (b"memccpy", F::Memccpy),
        (b"memset", F::Memset),
        (b"memcmp", F::Memcmp),
        (b"memchr", F::Memchr),
        (b"memrchr", F::Memrchr),
        (b"rawmemchr", F::Rawmemchr),
        (b"strlen", F::Strlen),
        (b"strnlen", F::Strnlen),
        (b"strcpy", F::Strcpy),
        (b"stpcpy", F::Stpcpy),
        (b"strncpy", F::Strncpy),
        (b"stpncpy", F::Stpncpy),
        (b"strlcpy", F::Strlcpy),
        (b"strcat", F::Strcat),
        (b"strncat", F::Strncat),
        (b"strlcat", F::Strlcat),
        (b"strcmp", F::Strcmp),
        (b"strncmp", F::Strncmp),
        (b"strcasecmp", F::Strcasecmp),
        (b"strncasecmp", F::Strncasecmp),
        (b"strcasecmp_l", F::StrcasecmpL),
        (b"strncasecmp_l", F::StrncasecmpL),
        (b"strchr", F::Strchr),
        (b"strrchr", F::Strrchr),
        (b"strchrnul", F::Strchrnul),
        (b"strstr", F::Strstr),
        (b"strspn", F::Strspn),
        (b"strcspn", F::Strcspn),
        (b"strpbrk", F::Strpbrk),
        (b"__memcpy_chk", F::MemcpyChk),
        (b"__memmove_chk", F::MemmoveChk),
        (b"__mempcpy_chk", F::MempcpyChk),
        (b"__memset_chk", F::MemsetChk),
        (b"__strcpy_chk", F::StrcpyChk),
        (b"__stpcpy_chk", F::StpcpyChk),
        (b"__strncpy_chk", F::StrncpyChk),
        (b"__stpncpy_chk", F::StpncpyChk),
        (b"__strcat_chk", F::StrcatChk),
        (b"__strncat_chk", F::StrncatChk),
        (b"wcslen", F::Wcslen),
        (b"wcsnlen", F::Wcsnlen),
        (b"wcscpy", F::Wcscpy),
        (b"wcpcpy", F::Wcpcpy),
        (b"wcsncpy", F::Wcsncpy),
        (b"wcpncpy", F::Wcpncpy),
        (b"wcscat", F::Wcscat),
        (b"wcsncat", F::Wcsncat),
        (b"wcscmp", F::Wcscmp),
        (b"wcsncmp", F::Wcsncmp),
        (b"wcschr", F::Wcschr),
        (b"wcsrchr", F::Wcsrchr),
        (b"wmemchr", F::Wmemchr),
        (b"wmemcmp", F::Wmemcmp),
        (b"wmemset", F::Wmemset),
    ]
};

impl Function {
    /// The function with a number.
    #[inline]
    pub fn from_number(number: u8) -> Option<Function> {
        NAMES.get(usize::from(number)).map(|(_, function)| *function)
    }

    /// The function with a name.
    pub fn named(name: &[u8]) -> Option<Function> {
        // Symbol tables are long.
        if !matches!(name, [b'm' | b's' | b'r' | b'w', ..] | [b'_', b'_', b'm' | b's', ..]) {
            return None;
        }
        // glibc's own names for functions that a program may define itself.
        let plain: &[u8] = match name {
            b"__memcmpeq" => b"memcmp",
            b"__rawmemchr" => b"rawmemchr",
            _ => name,
        };
        NAMES.iter().find(|(known, _)| *known == plain).map(|(_, function)| *function)
    }

    /// The name in a report of an overlap: Valgrind's.
    pub fn overlap_name(self) -> &'static [u8] {
        use Function as F;
        match self {
            F::MemcpyChk => b"memcpy_chk",
            F::MempcpyChk => b"mempcpy",
            F::StrcpyChk => b"strcpy",
            F::StpcpyChk => b"stpcpy",
            F::StrncpyChk => b"strncpy",
            F::StpncpyChk => b"stpncpy",
            F::StrcatChk => b"strcat",
            F::StrncatChk => b"strncat",
            _ => NAMES[self as usize].0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        for (number, (name, function)) in NAMES.iter().enumerate() {
            assert_eq!(*function as usize, number);
            assert_eq!(Function::from_number(number as u8), Some(*function));
            assert_eq!(Function::named(name), Some(*function), "{}", name.escape_ascii());
        }
        assert_eq!(Function::from_number(NAMES.len() as u8), None);
        assert_eq!(Function::named(b"__memcmpeq"), Some(Function::Memcmp));
        // Names that programs give to functions of their own.
        for name in ["index", "rindex", "copy", "strings", "memory", "_memcpy", ""] {
            assert_eq!(Function::named(name.as_bytes()), None);
        }
    }
}
