//! What a walk gives: frames, and why it ended.

/// One frame of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frame {
    /// The pc itself when `exact`, otherwise a return address (avma).
    pub address: u64,
    /// Id of the module that holds the address, 0 when none does.
    pub module: u32,
    /// `address` less the module's load bias; `address` when there is no module.
    pub svma: u64,
    /// `address` is an exact pc: the innermost frame, and a frame that a signal interrupted. Look up `address
    /// - 1` otherwise.
    pub exact: bool,
    /// Found without unwind information, by the frame pointer chain or by a scan of the stack.
    pub guessed: bool,
}

impl Frame {
    /// Bit of [`Frame::node_address`]: the address is an exact pc.
    pub const EXACT: u64 = 1 << 63;
    /// Bit of [`Frame::node_address`]: the frame was guessed.
    pub const GUESSED: u64 = 1 << 62;

    /// `svma` with [`Frame::EXACT`] and [`Frame::GUESSED`]: the address word of a stack tree node.
    pub fn node_address(&self) -> u64 {
        let flags = if self.exact { Self::EXACT } else { 0 } | if self.guessed { Self::GUESSED } else { 0 };
        (self.svma & !(Self::EXACT | Self::GUESSED)) | flags
    }
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The outermost frame: CFI says that there is no return address, or it is 0 or 1, or the frame pointer
    /// is 0 in code without CFI (the mark that the x86-64 ABI asks for).
    Outermost,
    /// The caller's limit of frames was reached.
    Limit,
    /// The stack could not be followed: unreadable, not rising, or nothing that looks like a return address.
    Lost,
}

/// Room for the frames of one walk, innermost first.
#[derive(Debug, Clone)]
pub struct FrameBuf<const N: usize> {
    len: usize,
    frames: [Frame; N],
}

impl<const N: usize> FrameBuf<N> {
    /// An empty buffer.
    pub const fn new() -> Self {
        let empty = Frame { address: 0, module: 0, svma: 0, exact: false, guessed: false };
        FrameBuf { len: 0, frames: [empty; N] }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames[..self.len]
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a frame; a full buffer drops it.
    #[inline]
    pub(crate) fn push(&mut self, frame: Frame) {
        if let Some(room) = self.frames.get_mut(self.len) {
            *room = frame;
            self.len += 1;
        }
    }
}

impl<const N: usize> Default for FrameBuf<N> {
    fn default() -> Self {
        Self::new()
    }
}
