//! Numbers and fields in the output formats: grouped digits for people, plain values for machines.
//!
//! Not here: the shape of any report.

/// Digits in groups of three, as Valgrind prints them: `72,704`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 byte`, `2,048 bytes`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// The last component of a path, as Valgrind names source files.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

/// One field of a CSV row (RFC 4180): quoted when it must be.
pub fn csv_field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// Text from a program for a terminal: control characters, which could forge lines or drive the terminal, become
/// `\u{..}`.
pub fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

/// `signal 9 (SIGKILL)`.
pub fn signal_name(number: u32) -> String {
    const NAMES: [&str; 32] = [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU",
        "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match NAMES.get(number as usize) {
        None | Some(&"") => format!("signal {number}"),
        Some(name) => format!("signal {number} (SIG{name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        let all = [(0, "0"), (999, "999"), (1000, "1,000"), (72704, "72,704"), (1234567, "1,234,567")];
        for (number, text) in all {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(counted(1, "byte", "bytes"), "1 byte");
        assert_eq!(counted(2048, "byte", "bytes"), "2,048 bytes");
        assert_eq!(counted(0, "byte", "bytes"), "0 bytes");
    }

    #[test]
    fn fields_and_names() {
        assert_eq!(csv_field("plain"), "plain");
        assert_eq!(csv_field("f(int, char)"), "\"f(int, char)\"");
        assert_eq!(csv_field("a \"b\""), "\"a \"\"b\"\"\"");
        assert_eq!(base_name("/a/b/c.rs"), "c.rs");
        assert_eq!(base_name("c.rs"), "c.rs");
        assert_eq!(base_name("/"), "/");
        assert_eq!(signal_name(9), "signal 9 (SIGKILL)");
        assert_eq!(signal_name(31), "signal 31 (SIGSYS)");
        assert_eq!(signal_name(40), "signal 40");
        assert_eq!(harmless("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
