//! Records into the thread's ring: waiting for room, waking the recorder, noticing that it has gone.

use crate::sys;
use core::sync::atomic::Ordering;
use ring::record::{CLIENT_TEXT, Kind, header, pair, put_string};
use ring::shared::{RECORDER_GONE, RING_BYTES};
use ring::{MAX_RECORD_WORDS, Producer, Shared};

/// The writing end of a thread's ring.
pub struct Writer {
    producer: Producer,
    shared: Shared,
    /// Times that the ring was full.
    pub waits: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl Writer {
    /// Claims a ring; `None` when all are taken.
    pub fn open(shared: Shared, process: u32, pid: u32, tid: u32) -> Option<Writer> {
        let producer = shared.claim(process, pid, tid)?;
        Some(Writer { producer, shared, waits: 0, bytes: 0 })
    }

    fn wake_recorder(&self) {
        let control = self.shared.control();
        control.wake.fetch_add(1, Ordering::Release);
        sys::futex_wake(&control.wake, 1, true);
    }

    /// Appends a record. Waits while the ring is full; gives up when the recorder has gone.
    pub fn push(&mut self, words: &[u64]) {
        self.push_inline(words);
    }

    /// The same for the records of events, of which there are millions.
    #[inline(always)]
    pub fn push_event<const WORDS: usize>(&mut self, words: &[u64; WORDS]) {
        self.push_inline(words);
    }

    #[inline(always)]
    fn push_inline(&mut self, words: &[u64]) {
        self.bytes += 8 * words.len() as u64;
        let before = self.producer.backlog();
        if self.producer.try_push(words) {
            // Once on the way up: the recorder polls anyway, this only keeps a busy thread from waiting.
            if before < RING_BYTES as u64 / 2 && self.producer.backlog() >= RING_BYTES as u64 / 2 {
                self.wake_recorder();
            }
            return;
        }
        self.push_slow(words);
    }

    #[cold]
    fn push_slow(&mut self, words: &[u64]) {
        let control = self.shared.control();
        self.waits += 1;
        loop {
            if control.recorder_state.load(Ordering::Acquire) == RECORDER_GONE {
                return;
            }
            let waiting = &self.producer.ring().waiting;
            waiting.store(1, Ordering::SeqCst);
            if self.producer.try_push(words) {
                waiting.store(0, Ordering::Relaxed);
                return;
            }
            self.wake_recorder();
            sys::futex_wait(waiting, 1, 100_000_000, true);
            let recorder = control.recorder_pid.load(Ordering::Relaxed);
            // SAFETY: signal 0 only asks whether the process exists.
            #[allow(unsafe_code, reason = "kill(pid, 0)")]
            let exists = unsafe { sys::call(sys::nr::KILL, &[u64::from(recorder), 0]) };
            if exists == -3 {
                control.recorder_state.store(RECORDER_GONE, Ordering::Release);
                return;
            }
        }
    }

    /// A record of fixed words followed by byte strings; strings that do not fit are cut.
    pub fn push_strings(&mut self, kind: Kind, fixed: &[u64], strings: &[&[u8]]) {
        let mut words = alloc::vec![0u64; MAX_RECORD_WORDS];
        words[1..=fixed.len()].copy_from_slice(fixed);
        let mut at = 1 + fixed.len();
        for string in strings {
            let room = (MAX_RECORD_WORDS - at - strings.len()) * 8 / 2;
            let string = &string[..string.len().min(room)];
            at += put_string(&mut words[at..], string).unwrap_or(0);
        }
        words[0] = header(kind, at);
        self.push(&words[..at]);
    }

    /// A remark for the user: severity 0 note, 1 warning, 2 engine error.
    pub fn message(&mut self, severity: u32, text: &[u8]) {
        self.push_strings(Kind::Message, &[u64::from(severity)], &[text]);
    }

    /// What the guest says through a client request.
    pub fn client_text(&mut self, text: &[u8]) {
        self.push_strings(Kind::Message, &[pair(0, CLIENT_TEXT)], &[text]);
    }

    /// Lets the recorder see everything soon.
    pub fn flush(&self) {
        self.wake_recorder();
    }

    /// Ends the ring.
    pub fn close(mut self) {
        self.producer.close();
        self.wake_recorder();
    }

    /// The ring's slot.
    pub fn slot(&self) -> usize {
        self.producer.slot()
    }

    /// The shared memory.
    pub fn shared(&self) -> Shared {
        self.shared
    }
}
