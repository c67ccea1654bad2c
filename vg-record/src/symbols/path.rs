//! Paths of source files as they are told: one spelling for each.
//!
//! Compilers join the directory that they ran in, a directory of the line table and a name:
//! `./elf/../sysdeps/x86/dl-cacheinfo.h`. Only the text is looked at, for the files are often not there: `a/../b` becomes
//! `b` also where `a` would be a symbolic link.

use std::borrow::Cow;

/// The path without `.`, empty components, and `..` behind a name. A leading `..` stays, as does the root.
pub(super) fn normal(path: &str) -> Cow<'_, str> {
    let is_plain = |(at, part): (usize, &str)| part != "." && part != ".." && (at == 0 || !part.is_empty());
    if path.split('/').enumerate().all(is_plain) {
        return Cow::Borrowed(path);
    }
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." => {
                parts.pop();
            }
            // Above the root is the root.
            ("..", None) if is_absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(match (is_absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    })
}

#[cfg(test)]
mod tests {
    use super::normal;
    use std::borrow::Cow;

    #[test]
    fn one_spelling_for_each_file() {
        let cases = [
            ("./elf/../sysdeps/x.c", "sysdeps/x.c"),
            ("./string/../sysdeps/x86_64/multiarch/../multiarch/s.S", "sysdeps/x86_64/multiarch/s.S"),
            ("a/./b", "a/b"),
            ("a//b", "a/b"),
            ("a///./b/", "a/b"),
            ("/a/../../b", "/b"),
            ("//a", "/a"),
            ("/..", "/"),
            ("../a/../../b", "../../b"),
            ("../../a.c", "../../a.c"),
            ("a/..", "."),
            ("./a.c", "a.c"),
            ("a/b/../../../c", "../c"),
            // Names that only look like it.
            ("a/...", "a/..."),
            ("a/..b/.c", "a/..b/.c"),
            ("", ""),
            ("<built-in>", "<built-in>"),
        ];
        for (path, expected) in cases {
            assert_eq!(normal(path), expected, "{path}");
            assert_eq!(normal(expected), expected, "{path}");
        }
    }

    #[test]
    fn what_is_normal_is_not_copied() {
        for path in ["/usr/src/a.c", "a.c", "src/main.rs", ""] {
            assert!(matches!(normal(path), Cow::Borrowed(_)), "{path}");
        }
    }
}
