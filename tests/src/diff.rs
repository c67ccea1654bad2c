//! A line difference for failure messages.

use std::fmt::Write as _;

/// Differing lines of two texts with the common head and tail left out, `-` for `left`, `+` for `right`, or
/// `None` when they are equal. At most `limit` lines of each side are shown.
pub fn lines(left: &str, right: &str, limit: usize) -> Option<String> {
    if left == right {
        return None;
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (left.lines().collect(), right.lines().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut text = format!("first difference at line {}\n", head + 1);
    for (mark, side) in [('-', a), ('+', b)] {
        for line in side.iter().take(limit) {
            let _ = writeln!(text, "{mark} {}", line.chars().take(300).collect::<String>());
        }
        if side.len() > limit {
            let _ = writeln!(text, "{mark} ... {} more lines", side.len() - limit);
        }
    }
    if a.is_empty() && b.is_empty() {
        text.push_str("only the line ends differ\n");
    }
    Some(text)
}
