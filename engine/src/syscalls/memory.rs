//! mmap and its relatives: addresses are chosen here, and changes of code are told to the cache.
//!
//! # Safety
//! `unsafe` here changes mappings of the guest's zone only: ranges that touch the engine's are refused first.
#![allow(unsafe_code, reason = "changes guest mappings")]

use super::{Call, Outcome};
use crate::space::{self, Mapping, PAGE, Space};
use crate::state::Engine;
use crate::sys::{self, errno, nr};
use crate::{client_memory, code, limits, loader, modules};
use core::sync::atomic::{AtomicU64, Ordering};

fn aligned(address: u64) -> bool {
    address.is_multiple_of(PAGE)
}

/// Where a mapping without a fixed place goes.
fn choose(space: &Space, length: u64, protection: u64, flags: u64, is_file: bool) -> Option<u64> {
    let code_like = protection & sys::PROT_EXEC != 0 || flags & sys::MAP_DENYWRITE != 0;
    let low = flags & sys::MAP_32BIT != 0
        || (is_file && flags & sys::MAP_PRIVATE != 0 && length <= 256 << 20)
        || (code_like && length <= 64 << 20);
    let found = if low { space.free_low(length, PAGE) } else { None };
    if flags & sys::MAP_32BIT != 0 {
        return found;
    }
    found.or_else(|| space.free_high(length))
}

/// mmap.
pub(super) fn mmap(engine: &Engine, a: &[u64; 6]) -> i64 {
    let [hint, length, protection, flags, fd, offset] = *a;
    let fixed = flags & (sys::MAP_FIXED | sys::MAP_FIXED_NOREPLACE) != 0;
    if length == 0 || length > space::GUEST_END || (fixed && !aligned(hint)) {
        return if length > space::GUEST_END { -errno::ENOMEM } else { -errno::EINVAL };
    }
    let length = length.next_multiple_of(PAGE);
    let anonymous = flags & sys::MAP_ANONYMOUS != 0;
    let heap = limits::heap_bytes(engine);
    let mut space = engine.space.lock();
    let at = if fixed {
        if hint.checked_add(length).is_none_or(|end| space::is_engine_range(hint, end)) {
            return -errno::ENOMEM;
        }
        hint
    } else {
        let hint = hint & !(PAGE - 1);
        let usable = hint >= 0x1_0000
            && hint.checked_add(length).is_some_and(|end| !space::is_engine_range(hint, end))
            && space.is_free(hint, hint + length)
            && flags & sys::MAP_32BIT == 0;
        match usable.then_some(hint).or_else(|| choose(&space, length, protection, flags, !anonymous)) {
            Some(at) => at,
            None => return -errno::ENOMEM,
        }
    };
    let more = length - limits::mapped(&space, at, at + length);
    let data = flags & sys::MAP_PRIVATE != 0 && protection & sys::PROT_WRITE != 0;
    if !limits::allow(engine, &space, heap, more, data) {
        return -errno::ENOMEM;
    }
    // Growing downwards is for stacks that programs do not make this way any more.
    let place = if flags & sys::MAP_FIXED != 0 { sys::MAP_FIXED } else { sys::MAP_FIXED_NOREPLACE };
    let kernel_flags =
        flags & !(sys::MAP_FIXED | sys::MAP_FIXED_NOREPLACE | sys::MAP_32BIT | sys::MAP_GROWSDOWN) | place;
    // SAFETY: the range is the guest's, checked or chosen above.
    let mapped = match unsafe { sys::mmap(at, length, protection, kernel_flags, fd as i64, offset) } {
        Ok(mapped) => mapped,
        Err(error) => return -error,
    };
    let file = if !anonymous {
        loader::identity(fd as i64)
    } else if flags & sys::MAP_SHARED != 0 {
        static OBJECTS: AtomicU64 = AtomicU64::new(1 << 32);
        Some((space::SHARED_MEMORY, OBJECTS.fetch_add(1, Ordering::Relaxed)))
    } else {
        None
    };
    let mapping = Mapping {
        end: mapped + length,
        protection: protection as u8 & 7,
        shared: flags & sys::MAP_SHARED != 0,
        file,
        offset: if anonymous { 0 } else { offset },
        guarded: false,
    };
    let replaced = space.insert(mapped, mapping);
    client_memory::mapped(engine, mapped, length);
    drop(space);
    if replaced {
        code::discard(engine, mapped, mapped + length);
    }
    if !anonymous && protection & sys::PROT_EXEC != 0 {
        modules::mapped(engine, mapped, fd as i64);
    }
    mapped as i64
}

/// munmap.
pub(super) fn munmap(engine: &Engine, start: u64, length: u64) -> i64 {
    let Some(end) = start.checked_add(length).map(|end| end.next_multiple_of(PAGE)) else {
        return -errno::EINVAL;
    };
    if length == 0 || !aligned(start) {
        return -errno::EINVAL;
    }
    if space::is_engine_range(start, end) {
        return if end > space::GUEST_END { -errno::EINVAL } else { 0 };
    }
    let mut space = engine.space.lock();
    // SAFETY: the guest's range.
    let result = unsafe { sys::call(nr::MUNMAP, &[start, length]) };
    if result < 0 {
        return result;
    }
    let executable = space.remove(start, end);
    drop(space);
    if executable {
        modules::unmapped(engine, start, end);
        code::discard(engine, start, end);
    }
    0
}

/// mprotect and pkey_mprotect.
pub(super) fn mprotect(engine: &Engine, call: &Call) -> i64 {
    let [start, length, protection, ..] = call.args;
    let end = start.saturating_add(length).next_multiple_of(PAGE);
    if length != 0 && space::is_engine_range(start, end) {
        return -errno::ENOMEM;
    }
    let heap = limits::heap_bytes(engine);
    let mut space = engine.space.lock();
    if protection & sys::PROT_WRITE != 0 && engine.limits.any() {
        // No more memory than before, but more data.
        let more = limits::new_data(&space, start, end);
        if more != 0 && !limits::allow_data(engine, &space, heap, more) {
            return -errno::ENOMEM;
        }
    }
    // SAFETY: the guest's range.
    let result = unsafe { sys::call(call.number, &call.args) };
    if result < 0 || length == 0 {
        return result;
    }
    let executable = space.protect(start, end, protection as u8 & 7);
    let is_file = space.find(start).is_some_and(|(_, mapping)| mapping.is_file());
    drop(space);
    if executable {
        code::discard(engine, start, end);
    }
    if is_file && protection & sys::PROT_EXEC != 0 {
        modules::mapped(engine, start, -1);
    }
    0
}

/// brk, emulated behind the program's image.
pub(super) fn brk(engine: &Engine, wanted: u64) -> i64 {
    let heap = limits::heap_bytes(engine);
    let mut space = engine.space.lock();
    let (start, current) = space.brk;
    if wanted < start || wanted > start + (8 << 30) {
        return current as i64;
    }
    let (old_end, new_end) = (current.next_multiple_of(PAGE), wanted.next_multiple_of(PAGE));
    if new_end > old_end {
        if space::is_engine_range(old_end, new_end) || !space.is_free(old_end, new_end + PAGE) {
            return current as i64;
        }
        if !limits::allow(engine, &space, heap, new_end - old_end, true) {
            return current as i64;
        }
        let protection = sys::PROT_READ | sys::PROT_WRITE;
        let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS;
        if loader::map(&mut space, old_end, new_end - old_end, protection, flags, -1, 0, None).is_err() {
            return current as i64;
        }
        client_memory::mapped(engine, old_end, new_end - old_end);
    } else if new_end < old_end {
        // SAFETY: the guest's own heap pages.
        unsafe { sys::call(nr::MUNMAP, &[new_end, old_end - new_end]) };
        space.remove(new_end, old_end);
    }
    space.brk.1 = wanted;
    wanted as i64
}

/// mremap: a move is placed by us, because the kernel would choose an address outside the guest's zone.
pub(super) fn mremap(engine: &Engine, a: &[u64; 6]) -> i64 {
    const MAYMOVE: u64 = 1;
    const FIXED: u64 = 2;
    const DONTUNMAP: u64 = 4;
    let [old, old_length, new_length, flags, new_at, _] = *a;
    let (old_pages, new_pages) = (old_length.next_multiple_of(PAGE), new_length.next_multiple_of(PAGE));
    if !aligned(old) || new_pages == 0 || new_pages > space::GUEST_END {
        return -errno::EINVAL;
    }
    if space::is_engine_range(old, old.saturating_add(old_pages.max(PAGE))) {
        return -errno::EFAULT;
    }
    let heap = limits::heap_bytes(engine);
    let mut space = engine.space.lock();
    let Some(source) = space.find(old).map(|(start, mapping)| {
        let mut source = mapping.clone();
        source.offset += old - start;
        source
    }) else {
        return -errno::EFAULT;
    };
    let kept = if flags & DONTUNMAP != 0 { 0 } else { old_pages };
    let data = !source.shared && source.protection & 2 != 0;
    if new_pages > kept && !limits::allow(engine, &space, heap, new_pages - kept, data) {
        return -errno::ENOMEM;
    }
    let target = if flags & FIXED != 0 {
        if !aligned(new_at) || space::is_engine_range(new_at, new_at.saturating_add(new_pages)) {
            return -errno::EINVAL;
        }
        new_at
    } else if flags & DONTUNMAP == 0
        && (new_pages <= old_pages || space.is_free(old + old_pages, old + new_pages))
        && !space::is_engine_range(old, old + new_pages)
    {
        old
    } else if flags & MAYMOVE != 0 {
        match choose(&space, new_pages, u64::from(source.protection), 0, false) {
            Some(at) => at,
            None => return -errno::ENOMEM,
        }
    } else {
        return -errno::ENOMEM;
    };
    let result = if target == old {
        // SAFETY: the guest's range; without MAYMOVE the kernel stays in place.
        unsafe { sys::call(nr::MREMAP, &[old, old_length, new_length, 0]) }
    } else {
        let flags = MAYMOVE | FIXED | flags & DONTUNMAP;
        // SAFETY: both ranges are the guest's.
        unsafe { sys::call(nr::MREMAP, &[old, old_length, new_length, flags, target]) }
    };
    if result < 0 {
        return result;
    }
    let mut executable = source.protection & 4 != 0;
    if flags & DONTUNMAP == 0 && old_pages != 0 {
        executable |= space.remove(old, old + old_pages);
    }
    let moved = Mapping { end: target + new_pages, guarded: false, ..source };
    executable |= space.insert(target, moved);
    if target != old {
        client_memory::moved(engine, old, target, old_pages.min(new_pages));
    }
    client_memory::mapped(engine, target + old_pages.min(new_pages), new_pages.saturating_sub(old_pages));
    drop(space);
    if executable {
        code::discard(engine, old, old + old_pages.max(PAGE));
        code::discard(engine, target, target + new_pages);
    }
    result
}

/// madvise: the kernel does it; advice that drops pages may drop code.
pub(super) fn madvise(engine: &Engine, a: &[u64; 6]) -> Outcome {
    const DONTNEED: u64 = 4;
    const REMOVE: u64 = 9;
    let [start, length, advice, ..] = *a;
    let end = start.saturating_add(length).next_multiple_of(PAGE);
    if length != 0 && space::is_engine_range(start, end) && end > space::GUEST_END {
        return Outcome::Done(-errno::ENOMEM);
    }
    if !matches!(advice, DONTNEED | REMOVE) || length == 0 {
        return Outcome::Pass;
    }
    // SAFETY: the guest's range.
    let result = unsafe { sys::call(nr::MADVISE, a) };
    let space = engine.space.lock();
    let executable = space.find(start).is_some_and(|(_, mapping)| mapping.protection & 4 != 0);
    drop(space);
    if executable {
        code::discard(engine, start, end);
    }
    Outcome::Done(result)
}

/// shmat: placed by us.
pub(super) fn shmat(engine: &Engine, a: &[u64; 6]) -> i64 {
    const SHM_RDONLY: u64 = 0o10000;
    const SHM_REMAP: u64 = 0o40000;
    let [id, wanted, flags, ..] = *a;
    let mut info = [0u64; 14];
    const IPC_STAT: u64 = 2;
    const SHMCTL: u64 = 31;
    // SAFETY: struct shmid_ds is 112 bytes; its segment size lies at 48.
    let asked = unsafe { sys::call(SHMCTL, &[id, IPC_STAT, info.as_mut_ptr() as u64]) };
    if asked < 0 {
        return asked;
    }
    let length = info[6].next_multiple_of(PAGE);
    let heap = limits::heap_bytes(engine);
    let mut space = engine.space.lock();
    if !limits::allow(engine, &space, heap, length, false) {
        return -errno::ENOMEM;
    }
    let at = if wanted == 0 { space.free_high(length) } else { Some(wanted & !(PAGE - 1)) };
    let Some(at) = at else { return -errno::ENOMEM };
    if space::is_engine_range(at, at + length) || (flags & SHM_REMAP == 0 && !space.is_free(at, at + length))
    {
        return -errno::EINVAL;
    }
    // SAFETY: the guest's range.
    let result = unsafe { sys::call(nr::SHMAT, &[id, at, flags]) };
    if result >= 0 {
        let protection = if flags & SHM_RDONLY != 0 { 1 } else { 3 };
        let file = Some((space::SHARED_MEMORY, id));
        client_memory::mapped(engine, at, length);
        space.insert(
            at,
            Mapping { end: at + length, protection, shared: true, file, offset: 0, guarded: false },
        );
    }
    result
}

/// shmdt.
pub(super) fn shmdt(engine: &Engine, at: u64) -> i64 {
    if space::is_engine_range(at, at + 1) {
        return -errno::EINVAL;
    }
    let mut space = engine.space.lock();
    // SAFETY: the kernel detaches only what was attached.
    let result = unsafe { sys::call(nr::SHMDT, &[at]) };
    if result >= 0 {
        let end = space.find(at).map(|(_, mapping)| mapping.end);
        if let Some(end) = end {
            space.remove(at, end);
        }
    }
    result
}
