//! Linkage names into the names of the source language.

/// The name as a programmer writes it: Rust without its hash, C++ with parameters; anything else unchanged.
pub(super) fn demangle(raw: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(raw) {
        return format!("{name:#}");
    }
    if raw.starts_with("_Z") {
        let parsed = cpp_demangle::Symbol::new(raw.as_bytes()).ok();
        if let Some(name) = parsed.and_then(|symbol| symbol.demangle().ok()) {
            return name;
        }
    }
    raw.to_owned()
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn rust_cpp_and_others() {
        assert_eq!(demangle("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(demangle("_RNvCs15kBYyAo9fc_7mycrate7example"), "mycrate::example");
        assert_eq!(demangle("_Znwm"), "operator new(unsigned long)");
        assert_eq!(demangle("_ZN3foo3barEi"), "foo::bar(int)");
        assert_eq!(demangle("main"), "main");
        assert_eq!(demangle("_Z"), "_Z");
        assert_eq!(demangle(""), "");
    }
}
