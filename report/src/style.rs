//! Colour on a terminal, by the conventions that other tools keep: `--color`, NO_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM.
//!
//! [`Style`] is a value without state: text that goes through a plain style comes out unchanged.

use std::ffi::OsString;
use std::fmt::Display;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether and how text is emphasised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    /// No emphasis.
    pub const PLAIN: Style = Style { on: false };

    /// The style for a stream that is a terminal or not. `environment` looks a variable up.
    pub fn choose(color: Color, terminal: bool, environment: impl Fn(&str) -> Option<OsString>) -> Style {
        // An empty NO_COLOR does not count: https://no-color.org
        let set = |name| environment(name).is_some_and(|value| !value.is_empty());
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto
                if set("CLICOLOR_FORCE") && environment("CLICOLOR_FORCE").is_some_and(|v| v != "0") =>
            {
                true
            }
            Color::Auto => {
                terminal
                    && environment("CLICOLOR").is_none_or(|value| value != "0")
                    && environment("TERM").is_none_or(|value| value != "dumb")
            }
        };
        Style { on }
    }

    /// The style for this process's stdout.
    pub fn for_stdout(color: Color) -> Style {
        use std::io::IsTerminal;
        Style::choose(color, std::io::stdout().is_terminal(), |name| std::env::var_os(name))
    }

    /// A heading or the line to read first.
    pub fn strong(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// A finding that is certain.
    pub fn bad(self, text: impl Display) -> String {
        self.wrap("1;31", text)
    }

    /// A finding that is not certain.
    pub fn doubtful(self, text: impl Display) -> String {
        self.wrap("1;33", text)
    }

    /// What matters less.
    pub fn faint(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(color: Color, terminal: bool, variables: &[(&str, &str)]) -> bool {
        Style::choose(color, terminal, |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
        })
        .on
    }

    #[test]
    fn the_conventions_hold() {
        assert!(on(Color::Auto, true, &[]));
        assert!(!on(Color::Auto, false, &[]));
        assert!(!on(Color::Auto, true, &[("NO_COLOR", "1")]));
        assert!(on(Color::Auto, true, &[("NO_COLOR", "")]));
        assert!(!on(Color::Auto, true, &[("TERM", "dumb")]));
        assert!(!on(Color::Auto, true, &[("CLICOLOR", "0")]));
        assert!(on(Color::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!on(Color::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!on(Color::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(on(Color::Always, false, &[("NO_COLOR", "1")]));
        assert!(!on(Color::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_plain_style_changes_nothing() {
        assert_eq!(Style::PLAIN.bad("text"), "text");
        assert_eq!(Style { on: true }.strong(1), "\x1b[1m1\x1b[0m");
    }
}
