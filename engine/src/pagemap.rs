//! The kernel's page map of this process: which pages hold something, without touching any.
//!
//! A page is present when it is in memory or swapped out (bits 63 and 62 of `/proc/self/pagemap`, see the kernel's
//! `Documentation/admin-guide/mm/pagemap.rst`). So are the zero page and each page of a huge page; not so what was never
//! touched or was given back, and a file's pages that this process has not touched, whatever the page cache holds.
//!
//! The map is read in windows of 2 MiB. Between them the ioctl PAGEMAP_SCAN (Linux 6.7) finds the next page, at the
//! price of the page tables that exist: a hole of 1 TiB costs microseconds, and half a second if it is read. Its
//! PAGE_IS_PRESENT and PAGE_IS_SWAPPED are those two bits (`fs/proc/task_mmu.c`), except that it also reports a page of
//! hugetlbfs that is being moved, which reading takes for a hole.
//!
//! What always holds: whatever the kernel does not tell counts as present.
#![allow(unsafe_code, reason = "system calls that fill the engine's own buffers")]

use crate::space::PAGE;
use crate::{loader, sys};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell, RefMut};

/// Pages that one window tells about.
const WINDOW_PAGES: u64 = 512;
/// Bytes of a window.
const WINDOW: u64 = WINDOW_PAGES * PAGE;
/// Windows kept. Heuristics jump between blocks and code, so one is not enough.
const WINDOWS: usize = 64;

/// What the kernel says of an aligned run of pages.
#[derive(Clone)]
struct Window {
    /// Address divided by [`WINDOW`], plus 1; 0 = empty.
    number: u64,
    /// Bit for each page.
    present: [u64; WINDOW_PAGES as usize / 64],
}

impl Window {
    fn has(&self, page: u64) -> bool {
        self.present[page as usize / 64] >> (page % 64) & 1 != 0
    }

    /// The first present page from `page` on.
    fn next(&self, page: u64) -> Option<u64> {
        let first = page / 64;
        let from = |at| if at == first { u64::MAX << (page % 64) } else { u64::MAX };
        (first..).zip(&self.present[first as usize..]).find_map(|(at, bits)| {
            let bits = bits & from(at);
            (bits != 0).then(|| at * 64 + u64::from(bits.trailing_zeros()))
        })
    }
}

/// The page map, open.
pub struct PageMap {
    /// Descriptor; negative when it could not be opened.
    fd: i64,
    /// The ioctl has not failed yet.
    scans: Cell<bool>,
    windows: RefCell<Vec<Window>>,
}

impl PageMap {
    /// Opens the calling process's page map.
    pub fn open() -> PageMap {
        PageMap::of(loader::open(b"/proc/self/pagemap").unwrap_or(-1))
    }

    fn of(fd: i64) -> PageMap {
        let empty = Window { number: 0, present: [0; WINDOW_PAGES as usize / 64] };
        PageMap { fd, scans: Cell::new(true), windows: RefCell::new(alloc::vec![empty; WINDOWS]) }
    }

    /// Whether the kernel holds the page at `address`; true when it does not tell.
    pub fn present(&self, address: u64) -> bool {
        self.window(address / WINDOW).is_none_or(|window| window.has(address % WINDOW / PAGE))
    }

    /// The first address from `address` (a multiple of 4096) on that lies in a present page; `end` when there is none
    /// before it.
    pub fn next(&self, address: u64, end: u64) -> u64 {
        let mut at = address;
        while at < end {
            let number = at / WINDOW;
            let Some(window) = self.window(number) else { return at };
            if let Some(page) = window.next(at % WINDOW / PAGE) {
                return end.min(number * WINDOW + page * PAGE);
            }
            drop(window);
            at = (number + 1) * WINDOW;
            // A single window is read anyway, for what comes behind `end`.
            if self.scans.get() && end.saturating_sub(at) > WINDOW {
                match self.scan(at, end) {
                    Ok(found) => return found,
                    // An old kernel does not know it. Whatever else it is, reading goes on.
                    Err(_) => self.scans.set(false),
                }
            }
        }
        end
    }

    /// The window with a number, read when it is not kept; `None` when that fails.
    fn window(&self, number: u64) -> Option<RefMut<'_, Window>> {
        if self.fd < 0 {
            return None;
        }
        let windows = self.windows.borrow_mut();
        let mut window = RefMut::map(windows, |windows| &mut windows[number as usize % WINDOWS]);
        if window.number != number + 1 {
            let mut entries = [0u64; WINDOW_PAGES as usize];
            // SAFETY: the kernel writes at most the buffer's length.
            let read = unsafe {
                let (bytes, at) = (WINDOW_PAGES * 8, number * WINDOW_PAGES * 8);
                sys::call(sys::nr::PREAD64, &[self.fd as u64, entries.as_mut_ptr() as u64, bytes, at])
            };
            if read < (WINDOW_PAGES * 8) as i64 {
                return None;
            }
            window.number = number + 1;
            for (bits, entries) in window.present.iter_mut().zip(entries.chunks_exact(64)) {
                *bits = entries.iter().rev().fold(0, |bits, entry| bits << 1 | u64::from(entry >> 62 != 0));
            }
        }
        Some(window)
    }

    /// The first present page of a range; `end` when there is none.
    ///
    /// # Errors
    /// ENOTTY before Linux 6.7.
    fn scan(&self, start: u64, end: u64) -> Result<u64, i64> {
        /// `_IOWR('f', 16, struct pm_scan_arg)`.
        const PAGEMAP_SCAN: u64 = 0xc060_6610;
        const PAGE_IS_PRESENT: u64 = 1 << 3;
        const PAGE_IS_SWAPPED: u64 = 1 << 4;
        const EITHER: u64 = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
        // struct page_region: start, end, categories.
        let mut found = [0u64; 3];
        // struct pm_scan_arg: its size, flags, start, end, where the walk ended (out), the regions and how many, how many
        // pages to find, and the categories: which are inverted, which are all needed, one of which is needed, which are
        // told.
        let mut argument = [96, 0, start, end, 0, found.as_mut_ptr() as u64, 1, 1, 0, 0, EITHER, EITHER];
        // SAFETY: the kernel reads the argument, writes its fifth word, and writes at most one region.
        let regions = sys::result(unsafe {
            sys::call(sys::nr::IOCTL, &[self.fd as u64, PAGEMAP_SCAN, argument.as_mut_ptr() as u64])
        })?;
        Ok(if regions == 0 { end } else { found[0].clamp(start, end) })
    }
}

impl Drop for PageMap {
    fn drop(&mut self) {
        if self.fd >= 0 {
            loader::close(self.fd);
        }
    }
}

#[cfg(test)]
mod tests;
