//! Finding pages by the ioctl against reading all of the map, on mappings of this process and on a map in a file.

use super::*;

const READ_WRITE: u64 = sys::PROT_READ | sys::PROT_WRITE;
const PRIVATE: u64 = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE;
const TIB: u64 = 1 << 40;

/// A mapping of its own, removed at the end.
struct Mapped {
    start: u64,
    bytes: u64,
}

impl Mapped {
    fn new(bytes: u64, flags: u64, fd: i64) -> Mapped {
        // SAFETY: a new mapping where the kernel has room.
        let start = unsafe { sys::mmap(0, bytes, READ_WRITE, flags, fd, 0) }.expect("address space");
        Mapped { start, bytes }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes
    }

    /// The first window boundary behind `offset`.
    fn window(&self, offset: u64) -> u64 {
        (self.start + offset).next_multiple_of(WINDOW)
    }

    fn read(&self, at: u64) {
        assert!((self.start..self.end()).contains(&at));
        // SAFETY: a readable byte of the mapping.
        unsafe { (at as *const u8).read_volatile() };
    }

    fn write(&self, at: u64) {
        assert!((self.start..self.end()).contains(&at));
        // SAFETY: a writable byte of the mapping, which nothing else refers to.
        unsafe { (at as *mut u8).write_volatile(1) };
    }

    fn advise(&self, at: u64, bytes: u64, advice: u64) -> bool {
        assert!(self.start <= at && at + bytes <= self.end());
        // SAFETY: concerns bytes of the mapping only.
        unsafe { sys::call(sys::nr::MADVISE, &[at, bytes, advice]) == 0 }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: nothing refers to it any more.
        unsafe { sys::call(sys::nr::MUNMAP, &[self.start, self.bytes]) };
    }
}

fn file(bytes: u64) -> i64 {
    // SAFETY: the kernel reads the name.
    unsafe {
        let fd = sys::call(sys::nr::MEMFD_CREATE, &[c"pages".as_ptr() as u64, 1]);
        assert!(fd >= 0 && sys::call(sys::nr::FTRUNCATE, &[fd as u64, bytes]) == 0);
        fd
    }
}

/// All present pages of a range, as the scan of the heap asks for them.
fn pages(map: &PageMap, start: u64, end: u64) -> Vec<u64> {
    let mut pages = Vec::new();
    let mut at = map.next(start, end);
    while at < end {
        assert!(map.present(at));
        pages.push(at);
        at = map.next(at + PAGE, end);
    }
    assert_eq!(at, end);
    pages
}

/// An open page map that never uses the ioctl.
fn reading() -> PageMap {
    let map = PageMap::open();
    map.scans.set(false);
    map
}

/// The pages of a range, by each of the two ways; the ioctl must not have failed where the kernel has it.
fn both_ways(start: u64, end: u64) -> Vec<u64> {
    let map = PageMap::open();
    let known = map.scan(start, end).is_ok();
    let found = pages(&map, start, end);
    assert!(map.scans.get() || !known);
    assert_eq!(found, pages(&reading(), start, end));
    found
}

#[test]
fn states_of_pages() {
    const DONTNEED: u64 = 4;
    const PAGEOUT: u64 = 21;
    const GUARD_INSTALL: u64 = 102;
    let memory = Mapped::new(64 * WINDOW, PRIVATE, -1);
    let at = |window: u64, page: u64| memory.window(window * WINDOW) + page * PAGE;
    let mut expected = alloc::vec![at(0, 0), at(0, 511), at(1, 0), at(7, 63), at(7, 64), at(40, 300)];
    for &page in &expected {
        memory.write(page);
    }
    // The zero page; one that was given back; one that nobody may access any more; perhaps a swapped one.
    memory.read(at(50, 1));
    memory.write(at(52, 2));
    assert!(memory.advise(at(52, 2), PAGE, DONTNEED));
    memory.write(at(54, 3));
    memory.write(at(56, 4));
    // SAFETY: a page of the mapping that nothing refers to.
    assert_eq!(unsafe { sys::call(sys::nr::MPROTECT, &[at(54, 3), PAGE, 0]) }, 0);
    memory.advise(at(56, 4), PAGE, PAGEOUT);
    expected.extend([at(50, 1), at(54, 3), at(56, 4)]);
    assert_eq!(both_ways(memory.start, memory.end()), expected);
    // From within a page's window, and up to one that is not there any more.
    assert_eq!(both_ways(at(0, 1), at(40, 300)), expected[1..5]);
    // What stands for a guard (Linux 6.13) cannot be read, but both ways say the same.
    memory.advise(at(60, 0), 3 * PAGE, GUARD_INSTALL);
    both_ways(memory.start, memory.end());
}

#[test]
fn huge_pages() {
    const DONTNEED: u64 = 4;
    const HUGEPAGE: u64 = 14;
    const NOHUGEPAGE: u64 = 15;
    let memory = Mapped::new(32 * WINDOW, PRIVATE, -1);
    let (whole, half) = (memory.window(5 * WINDOW), memory.window(20 * WINDOW));
    memory.advise(memory.start, memory.bytes, HUGEPAGE);
    memory.write(whole + 77 * PAGE);
    memory.write(half);
    memory.write(half + WINDOW - PAGE);
    // Or the kernel may make the half whole again, in the background.
    memory.advise(memory.start, memory.bytes, NOHUGEPAGE);
    assert!(memory.advise(half, WINDOW / 2, DONTNEED));
    let found = both_ways(memory.start, memory.end());
    assert!(found.contains(&(whole + 77 * PAGE)) && found.contains(&(half + WINDOW - PAGE)));
    assert!(!found.contains(&half));
}

#[test]
fn files_count_where_they_were_touched() {
    let fd = file(64 * WINDOW);
    let writer = Mapped::new(64 * WINDOW, sys::MAP_SHARED, fd);
    for (flags, own) in [(sys::MAP_SHARED, true), (sys::MAP_PRIVATE, false)] {
        let memory = Mapped::new(64 * WINDOW, flags, fd);
        let (far, near) = (memory.end() - PAGE, memory.start + 10 * WINDOW);
        // In the page cache, but not touched here.
        writer.write(writer.start + 30 * WINDOW);
        writer.write(writer.end() - PAGE);
        memory.write(far);
        if own {
            memory.write(near);
        } else {
            memory.read(near);
        }
        let found = both_ways(memory.start, memory.end());
        assert!(found.contains(&near) && found.contains(&far));
        assert!(!found.contains(&(memory.start + 30 * WINDOW)));
    }
    loader::close(fd);
}

#[test]
fn unmapped_memory_between_mappings_is_skipped() {
    let memory = Mapped::new(16 * WINDOW, PRIVATE, -1);
    memory.write(memory.start);
    memory.write(memory.end() - PAGE);
    // SAFETY: a part of the mapping that nothing refers to.
    unsafe { sys::call(sys::nr::MUNMAP, &[memory.start + WINDOW, 14 * WINDOW]) };
    assert_eq!(both_ways(memory.start, memory.end()), [memory.start, memory.end() - PAGE]);
}

/// By reading, this takes minutes.
#[test]
fn terabytes_are_cheap() {
    let memory = Mapped::new(60 * TIB, PRIVATE, -1);
    let map = PageMap::open();
    if map.scan(memory.start, memory.start + WINDOW).is_err() {
        eprintln!("skipped: the kernel has no PAGEMAP_SCAN");
        return;
    }
    let expected =
        [memory.start, memory.start + 30 * TIB, memory.start + 30 * TIB + PAGE, memory.end() - PAGE];
    for page in expected {
        memory.write(page);
    }
    for _ in 0..100 {
        assert_eq!(pages(&map, memory.start, memory.end()), expected);
    }
    assert!(map.scans.get());
}

#[test]
fn without_the_ioctl_the_map_is_read() {
    // A page map as Linux before 6.7 has it: entries to read, and ENOTTY for the ioctl.
    const WINDOWS_IN_FILE: u64 = 8;
    let fd = file(WINDOWS_IN_FILE * WINDOW_PAGES * 8);
    let expected = [3, 511, 512, 2000, 2001, 4095];
    for page in expected {
        let entry: u64 = if page % 2 == 0 { 1 << 62 } else { 1 << 63 | 5 };
        // SAFETY: the kernel reads the entry.
        let written =
            unsafe { sys::call(sys::nr::PWRITE64, &[fd as u64, &raw const entry as u64, 8, page * 8]) };
        assert_eq!(written, 8);
    }
    let map = PageMap::of(fd);
    let end = WINDOWS_IN_FILE * WINDOW;
    const ENOTTY: i64 = 25;
    assert_eq!(map.scan(0, end), Err(ENOTTY));
    assert!(map.scans.get());
    assert_eq!(pages(&map, 0, end), expected.map(|page| page * PAGE));
    assert!(!map.scans.get());
    assert_eq!(map.next(5 * PAGE, 400 * PAGE), 400 * PAGE);
    // Behind its end nothing is known: present.
    assert!(map.present(end));
    assert_eq!(map.next(4096 * PAGE, 2 * end), 4096 * PAGE);
}

#[test]
fn without_a_page_map_everything_is_present() {
    let map = PageMap::of(-1);
    assert!(map.present(0) && map.present(TIB));
    assert_eq!(map.next(TIB, 2 * TIB), TIB);
}
