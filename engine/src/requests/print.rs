//! printf for the guest's VALGRIND_PRINTF: a format and a `va_list` of the x86-64 ABI into text.
//!
//! Knows flags, width and precision (also `*`), the length modifiers, and `d i u x X o p s c f F e E g G n %`; `e` and
//! `g` print as `f`, as Valgrind's own printf has no more. Bad pointers print as `(unreadable)`; output ends at [`MOST`] bytes.

use crate::guest_mem;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Most bytes of a text.
const MOST: usize = 8192;

/// Where arguments come from.
pub(super) trait Arguments {
    /// The next integer or pointer.
    fn word(&mut self) -> u64;
    /// The next floating-point number.
    fn double(&mut self) -> f64;
    /// The string at an address, of at most `limit` bytes; `None` when it cannot be read.
    fn string(&self, at: u64, limit: usize) -> Option<Vec<u8>>;
}

/// A `va_list`: what remains of the register save area, and the arguments on the stack.
pub(super) struct VaList {
    gp_offset: u32,
    fp_offset: u32,
    overflow: u64,
    saved: u64,
}

impl VaList {
    /// Reads the structure at `at`.
    pub(super) fn read(at: u64) -> Option<VaList> {
        let offsets = guest_mem::read_u64(at)?;
        let (overflow, saved) = (guest_mem::read_u64(at + 8)?, guest_mem::read_u64(at + 16)?);
        Some(VaList { gp_offset: offsets as u32, fp_offset: (offsets >> 32) as u32, overflow, saved })
    }

    fn next_on_stack(&mut self) -> u64 {
        let at = self.overflow;
        self.overflow = at.wrapping_add(8);
        guest_mem::read_u64(at).unwrap_or(0)
    }
}

impl Arguments for VaList {
    fn word(&mut self) -> u64 {
        // Six registers of 8 bytes.
        if self.gp_offset >= 48 {
            return self.next_on_stack();
        }
        let at = self.saved.wrapping_add(u64::from(self.gp_offset));
        self.gp_offset += 8;
        guest_mem::read_u64(at).unwrap_or(0)
    }

    fn double(&mut self) -> f64 {
        // Then eight of 16.
        if self.fp_offset >= 176 {
            return f64::from_bits(self.next_on_stack());
        }
        let at = self.saved.wrapping_add(u64::from(self.fp_offset));
        self.fp_offset += 16;
        f64::from_bits(guest_mem::read_u64(at).unwrap_or(0))
    }

    fn string(&self, at: u64, limit: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut at = at;
        while text.len() < limit {
            // Not beyond the page: the next may be missing.
            let mut bytes = [0u8; 256];
            let room = ((4096 - (at & 4095)) as usize).min(256).min(limit - text.len());
            let count = guest_mem::read(at, &mut bytes[..room]);
            if let Some(end) = bytes[..count].iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&bytes[..end]);
                return Some(text);
            }
            text.extend_from_slice(&bytes[..count]);
            if count < room {
                return None;
            }
            at += count as u64;
        }
        Some(text)
    }
}

/// A conversion, from behind its `%`.
#[derive(Debug, Default, Clone, Copy)]
struct Conversion {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternative: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of the integer.
    bytes: u32,
}

/// The text that `format` makes of the arguments.
pub(super) fn format(format: &[u8], arguments: &mut impl Arguments) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = format;
    while let Some((&byte, behind)) = rest.split_first()
        && out.len() < MOST
    {
        if byte != b'%' {
            out.push(byte);
            rest = behind;
            continue;
        }
        match convert(behind, arguments, &mut out) {
            Some(behind) => rest = behind,
            None => {
                // Not a conversion: as it is.
                out.push(b'%');
                rest = behind;
            }
        }
    }
    out.truncate(MOST);
    out
}

/// Prints one conversion; what follows it, or `None` when there is no such conversion.
fn convert<'f>(mut rest: &'f [u8], arguments: &mut impl Arguments, out: &mut Vec<u8>) -> Option<&'f [u8]> {
    let mut how = Conversion { bytes: 4, ..Conversion::default() };
    loop {
        match rest.first()? {
            b'-' => how.left = true,
            b'0' => how.zero = true,
            b'+' => how.plus = true,
            b' ' => how.space = true,
            b'#' => how.alternative = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    let (width, behind) = number(rest, arguments);
    how.left |= width < 0;
    how.width = width.unsigned_abs() as usize;
    rest = behind;
    if let Some(behind) = rest.strip_prefix(b".") {
        let (precision, behind) = number(behind, arguments);
        how.precision = usize::try_from(precision).ok();
        rest = behind;
    }
    loop {
        how.bytes = match rest.first()? {
            b'h' => how.bytes / 2,
            b'l' | b'z' | b'j' | b't' | b'L' | b'q' => 8,
            _ => break,
        };
        rest = &rest[1..];
    }
    let (&what, behind) = rest.split_first()?;
    match what {
        b'%' => out.push(b'%'),
        b'n' => {
            // Nothing is stored: this printf only tells.
            arguments.word();
        }
        b'c' => {
            let byte = arguments.word() as u8;
            pad(out, how, &[byte]);
        }
        b's' => {
            let at = arguments.word();
            let limit = how.precision.unwrap_or(MOST).min(MOST);
            let text = match at {
                0 => Some(b"(null)".to_vec()),
                at => arguments.string(at, limit),
            };
            let text = text.unwrap_or_else(|| b"(unreadable)".to_vec());
            pad(out, Conversion { zero: false, ..how }, &text);
        }
        b'd' | b'i' => {
            let value = signed(arguments.word(), how.bytes);
            integer(out, how, sign(value < 0, how), &format!("{}", value.unsigned_abs()));
        }
        b'u' => integer(out, how, "", &format!("{}", unsigned(arguments.word(), how.bytes))),
        b'x' | b'X' | b'o' => {
            let value = unsigned(arguments.word(), how.bytes);
            let (prefix, digits) = match what {
                b'x' => ("0x", format!("{value:x}")),
                b'X' => ("0X", format!("{value:X}")),
                _ => ("0", format!("{value:o}")),
            };
            integer(out, how, if how.alternative && value != 0 { prefix } else { "" }, &digits);
        }
        b'p' => {
            let digits = format!("{:x}", arguments.word());
            integer(out, how, "0x", &digits);
        }
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' => {
            let value = arguments.double();
            let digits = format!("{:.*}", how.precision.unwrap_or(6).min(60), value.abs());
            let how = Conversion { precision: None, zero: how.zero && value.is_finite(), ..how };
            integer(out, how, sign(value.is_sign_negative() && !value.is_nan(), how), &digits);
        }
        _ => return None,
    }
    Some(behind)
}

/// Digits, or an argument for `*`. Bounded, so that nothing overflows.
fn number<'f>(rest: &'f [u8], arguments: &mut impl Arguments) -> (i64, &'f [u8]) {
    if let Some(behind) = rest.strip_prefix(b"*") {
        return (i64::from(arguments.word() as i32).clamp(-(MOST as i64), MOST as i64), behind);
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value =
        rest[..digits].iter().fold(0, |value, digit| (value * 10 + i64::from(digit - b'0')).min(MOST as i64));
    (value, &rest[digits..])
}

fn signed(word: u64, bytes: u32) -> i64 {
    let unused = 64 - 8 * bytes.max(1);
    (word << unused) as i64 >> unused
}

fn unsigned(word: u64, bytes: u32) -> u64 {
    let unused = 64 - 8 * bytes.max(1);
    word << unused >> unused
}

fn sign(negative: bool, how: Conversion) -> &'static str {
    match (negative, how.plus, how.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

/// Sign or prefix, zeros up to precision or width, digits.
fn integer(out: &mut Vec<u8>, how: Conversion, prefix: &str, digits: &str) {
    let least = match how.precision {
        Some(precision) => precision,
        None if how.zero && !how.left => how.width.saturating_sub(prefix.len()),
        None => 0,
    };
    let mut text = String::from(prefix);
    for _ in digits.len()..least {
        text.push('0');
    }
    text.push_str(digits);
    pad(out, Conversion { zero: false, ..how }, text.as_bytes());
}

fn pad(out: &mut Vec<u8>, how: Conversion, text: &[u8]) {
    let blanks = core::iter::repeat_n(b' ', how.width.saturating_sub(text.len()));
    if how.left {
        out.extend_from_slice(text);
        out.extend(blanks);
    } else {
        out.extend(blanks);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    #[derive(Default)]
    struct List(VecDeque<u64>);

    impl Arguments for List {
        fn word(&mut self) -> u64 {
            self.0.pop_front().expect("an argument")
        }

        fn double(&mut self) -> f64 {
            f64::from_bits(self.word())
        }

        fn string(&self, at: u64, limit: usize) -> Option<Vec<u8>> {
            let text: &[u8] = if at == 1 { b"text" } else { return None };
            Some(text[..limit.min(text.len())].to_vec())
        }
    }

    fn print(text: &str, arguments: &[u64]) -> String {
        let mut list = List(arguments.iter().copied().collect());
        let out = String::from_utf8(format(text.as_bytes(), &mut list)).expect("text");
        assert!(list.0.is_empty(), "all arguments of {text} are used");
        out
    }

    #[test]
    fn as_the_c_library_prints() {
        let minus = |n: i64| n as u64;
        assert_eq!(print("plain 100%%\n", &[]), "plain 100%\n");
        assert_eq!(print("[%d|%5d|%-5d|%05d]", &[7, 7, 7, minus(-7)]), "[7|    7|7    |-0007]");
        assert_eq!(print("[%+d|% d|%.3d|%*d]", &[7, 7, 7, 4, 7]), "[+7| 7|007|   7]");
        assert_eq!(print("[%*d|%.*d]", &[minus(-4), 7, 2, 7]), "[7   |07]");
        assert_eq!(print("%d %ld %hhd", &[0xffff_ffff, u64::MAX, 0x1ff]), "-1 -1 -1");
        assert_eq!(
            print("%u %lu %hu", &[u64::MAX, u64::MAX, 0x1_ffff]),
            "4294967295 18446744073709551615 65535"
        );
        assert_eq!(print("%x %#X %#lo %p", &[255, 255, 8, 0x10]), "ff 0XFF 010 0x10");
        assert_eq!(print("%#08x", &[255]), "0x0000ff");
        assert_eq!(
            print("[%s|%6s|%-6s|%.2s|%s|%s]", &[1, 1, 1, 1, 0, 2]),
            "[text|  text|text  |te|(null)|(unreadable)]"
        );
        assert_eq!(print("%c%c", &[u64::from(b'a'), u64::from(b'b')]), "ab");
        assert_eq!(
            print("%f %.1f %6.2f", &[1.5f64, 2.25, -3.0].map(f64::to_bits)),
            "1.500000 2.2 -3.00".replace("-3.00", " -3.00")
        );
    }

    #[test]
    fn what_is_no_conversion_stays() {
        assert_eq!(print("%y %", &[]), "%y %");
        assert_eq!(print("%5", &[]), "%5");
        assert_eq!(print("%99999999999d", &[1]).len(), MOST);
        assert_eq!(print("%n|%hhhhd", &[0, 0x1ff]), "|-1");
    }
}
