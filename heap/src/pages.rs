//! The only way to memory: what the engine (or a test) must provide.

/// Source of memory for a [`Heap`](crate::Heap). Addresses and lengths are in bytes and multiples of 4096, except
/// those of [`zero`](Pages::zero).
///
/// # Safety
/// Memory that [`reserve`](Pages::reserve) returns must read as zero, be writable, be used by nobody else, be
/// aligned to 4096 bytes and stay mapped for as long as the implementing value lives. The heap builds its tables in
/// it. No such promise is needed for the arena, which the heap never touches itself.
#[allow(unsafe_code, reason = "the tables rely on what implementors promise")]
pub unsafe trait Pages: Sync {
    /// Makes `[address, address + bytes)` of the arena readable and writable by the guest, filled with zeros.
    /// Called for adjacent ranges in rising order, each range once. False when the system refuses: the allocation
    /// that needs the memory fails. An engine that has mapped the whole arena beforehand returns true.
    fn map(&self, address: u64, bytes: u64) -> bool;

    /// Lazily backed side memory at an address of the implementor's choice, out of the guest's sight. Much more is
    /// reserved than is ever touched (some GiB for an arena of 4 TiB): it must not count as used.
    fn reserve(&self, bytes: u64) -> Option<u64>;

    /// Gives the memory behind a part of the arena back to the system; the range stays mapped and reads as zero
    /// afterwards. False when that failed and the contents may be as before.
    fn decommit(&self, address: u64, bytes: u64) -> bool;

    /// Fills a part of the arena with zero bytes.
    fn zero(&self, address: u64, bytes: u64);

    /// A hint that a range of the arena will be a block of the thread's soon: of what the implementor keeps for it beside, it
    /// may bring near what is going to be written.
    fn is_next(&self, address: u64, bytes: u64) {
        let _ = (address, bytes);
    }

    /// Called while a lock is waited for, `turn` counting up from 0. Locks are held for a few
    /// microseconds (for as long as a call of the other methods takes, at most), and never while guest code runs.
    fn relax(&self, turn: u32) {
        let _ = turn;
        core::hint::spin_loop();
    }
}
