//! What emitted code takes for granted of definedness.

use crate::registers::Set;

/// What emitted code takes for granted of definedness, and what it does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is known of undefined values; memory operands are checked where `Config::check_stubs` says so.
    #[default]
    Plain,
    /// General registers and flags are defined; others are guarded.
    Clean,
    /// All registers are guarded.
    Guarded,
    /// Each instruction is followed, to the end of its segment.
    Precise(Start),
}

/// What precise code takes for granted where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// General registers and flags are defined.
    Clean,
    /// Nothing.
    Guarded,
}

impl Mode {
    /// Whether undefined values are looked for in emitted code, for precise code to follow them.
    pub(crate) fn guards(self) -> bool {
        matches!(self, Mode::Clean | Mode::Guarded)
    }

    /// Whether each instruction is followed.
    pub fn is_precise(self) -> bool {
        matches!(self, Mode::Precise(_))
    }

    /// The precise code that takes over from this one.
    pub fn precise(self) -> Mode {
        Mode::Precise(if self == Mode::Clean { Start::Clean } else { Start::Guarded })
    }

    /// Registers that have to be looked at.
    pub(crate) fn guarded(self) -> Set {
        match self {
            Mode::Plain | Mode::Precise(_) => Set::default(),
            Mode::Clean => Set::RARE,
            Mode::Guarded => Set::ALL,
        }
    }
}
