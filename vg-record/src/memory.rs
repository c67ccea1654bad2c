//! The shared memory as the recorder sets it up.
//!
//! Always holds: the mapping lives until the process ends, and the control block is complete before a guest starts.
//! Not here: its layout (`ring`).
#![allow(unsafe_code, reason = "vouches for the mapping that `ring` works on")]

use crate::cli::Cli;
use crate::sys;
use crate::trace::plain;
use anyhow::anyhow;
use ring::Shared;
use ring::shared::{self, SHARED_BYTES};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Relaxed;

/// The memory and the file behind it.
#[derive(Debug)]
pub(crate) struct Memory {
    file: OwnedFd,
    base: usize,
}

impl Memory {
    /// Makes and maps the memory; it is sparse and takes pages as rings are used.
    ///
    /// # Errors
    /// The system refuses the file or the mapping.
    pub(crate) fn new() -> anyhow::Result<Memory> {
        let make = || {
            let file = File::from(sys::memfd(c"vg-rings", false)?);
            file.set_len((shared::POISON_OFFSET + shared::ONES_BYTES) as u64)?;
            let file = OwnedFd::from(file);
            let base = sys::map_shared(&file, SHARED_BYTES)?;
            Ok::<_, std::io::Error>(Memory { file, base })
        };
        make().map_err(|error| {
            let limit = match error.raw_os_error() {
                Some(libc::EFBIG) => " (a limit of the file size is in the way: ulimit -f)",
                Some(libc::ENOMEM) => " (a limit of the address space is in the way: ulimit -v)",
                _ => "",
            };
            let gib = SHARED_BYTES >> 30;
            anyhow!("cannot reserve {gib} GiB of addresses for the rings: {}{limit}", plain(&error))
        })
    }

    /// A view of it.
    pub(crate) fn shared(&self) -> Shared {
        // SAFETY: `new` mapped SHARED_BYTES there, readable, writable and shared, and nothing ever unmaps it.
        unsafe { Shared::new(self.base) }
    }

    /// The file, for the guest.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Gives back the pages of an unused ring's data.
    pub(crate) fn release(fd: RawFd, slot: usize) {
        let data = shared::CONTROL_BYTES + slot * shared::RING_STRIDE + shared::RING_HEADER_BYTES;
        sys::punch(fd, data, shared::RING_BYTES);
    }

    /// The file's number.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Fills the control block.
    ///
    /// # Errors
    /// A kind of event that cannot be recorded.
    pub(crate) fn set_up(&self, cli: &Cli) -> anyhow::Result<()> {
        let control = self.shared().control();
        let mut flags = cli.track_fds.flags();
        for (set, flag) in [
            (!cli.children.0, shared::FLAG_NO_CHILDREN),
            // The counters are part of the trace; --stats only prints them.
            (true, shared::FLAG_STATS),
            (!cli.run_libc_freeres.0, shared::FLAG_NO_FREERES),
            (!cli.leak_check.0, shared::FLAG_NO_LEAK_SCAN),
            (cli.snapshot_signal.is_some(), shared::FLAG_WATCH),
            (cli.follows_values(), shared::FLAG_VALUES),
            (cli.exit_on_first_error.0, shared::FLAG_FIRST_ERROR),
        ] {
            flags |= if set { flag } else { 0 };
        }
        flags |= cli.windows.flags();
        flags |= if cli.models.is_full() { shared::FLAG_ALL_ACCESSES } else { 0 };
        let events = cli.event_bits()?;
        if events & shared::EVENTS_SHADOW != 0 {
            let (ones, poison) =
                (vec![0xff; shared::ONES_BYTES], vec![shared::UNADDRESSABLE; shared::ONES_BYTES]);
            let file = File::from(self.file.try_clone()?);
            file.write_all_at(&ones, shared::ONES_OFFSET as u64)
                .and_then(|()| file.write_all_at(&poison, shared::POISON_OFFSET as u64))
                .map_err(|error| anyhow!("cannot write the shadow's first pages: {}", plain(&error)))?;
        }
        control.magic.store(shared::MAGIC, Relaxed);
        control.recorder_pid.store(std::process::id(), Relaxed);
        control.recorder_state.store(shared::RECORDER_ALIVE, Relaxed);
        control.events.store(events, Relaxed);
        control.flags.store(flags, Relaxed);
        control.next_process.store(1, Relaxed);
        control.next_part.store(1, Relaxed);
        cli.windows.set_up(control)?;
        control.stack_depth.store(cli.num_callers, Relaxed);
        control.cache_bytes.store(cli.cache_size, Relaxed);
        control.freelist_bytes.store(cli.freelist_vol, Relaxed);
        control.freelist_big_block.store(cli.freelist_big_blocks, Relaxed);
        control.error_status.store(cli.error_status().map_or(0, u32::from), Relaxed);
        control.redzone_bytes.store(cli.redzone_size, Relaxed);
        cli.models.store(control)?;
        Ok(())
    }
}
