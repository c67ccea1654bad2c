//! A traced child process that shares its low memory with the test, and executes what the test puts there.
//!
//! The test plays the engine: it writes code and context through the shared mappings, sets all registers, lets the
//! child run, and looks at it when it stops. Nothing of the child's own program runs after its start, so any
//! register, segment base or flag may be changed, and a crash of the code under test is an ordinary stop.

use std::io::Error;
use std::ptr::null_mut;

pub type Regs = libc::user_regs_struct;

/// Order of the fields of `Regs` by register encoding (rax rcx rdx rbx rsp rbp rsi rdi r8..r15).
pub fn get_gprs(regs: &Regs) -> [u64; 16] {
    [
        regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi, regs.r8, regs.r9,
        regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ]
}

pub fn set_gprs(regs: &mut Regs, from: &[u64; 16]) {
    [regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi] =
        <[u64; 8]>::try_from(&from[..8]).unwrap();
    [regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15] =
        <[u64; 8]>::try_from(&from[8..]).unwrap();
}

/// A mapping at a fixed address that test and child share.
pub struct Region {
    pub base: u64,
    pub size: usize,
}

impl Region {
    /// # Panics
    /// When the addresses are taken.
    pub fn map(base: u64, size: usize) -> Region {
        // SAFETY: MAP_FIXED_NOREPLACE never touches what is mapped already.
        let got = unsafe {
            libc::mmap(
                base as *mut libc::c_void,
                size,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert_eq!(got as u64, base, "cannot map {size:#x} bytes at {base:#x}: {}", Error::last_os_error());
        Region { base, size }
    }

    pub fn contains(&self, address: u64) -> bool {
        (self.base..self.base + self.size as u64).contains(&address)
    }

    /// The bytes of `address..address + size`. The child writes them too, but only while the test waits for it.
    pub fn bytes(&self, address: u64, size: usize) -> &[u8] {
        assert!(address >= self.base && address + size as u64 <= self.base + self.size as u64);
        // SAFETY: inside the mapping, which lives as long as `self`; the child is stopped whenever the test runs.
        unsafe { std::slice::from_raw_parts(address as *const u8, size) }
    }

    pub fn bytes_mut(&mut self, address: u64, size: usize) -> &mut [u8] {
        assert!(address >= self.base && address + size as u64 <= self.base + self.size as u64);
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(address as *mut u8, size) }
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.bytes_mut(address, bytes.len()).copy_from_slice(bytes);
    }

    pub fn u64(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    pub fn set_u64(&mut self, address: u64, value: u64) {
        self.write(address, &value.to_le_bytes());
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no slice of it outlives `self`.
        unsafe { libc::munmap(self.base as *mut libc::c_void, self.size) };
    }
}

/// Why the child stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    pub signal: i32,
    /// `si_code` of the signal.
    pub code: i32,
}

pub struct Puppet {
    pid: libc::pid_t,
    start: Regs,
    xstate_size: usize,
}

const NT_X86_XSTATE: usize = 0x202;

impl Puppet {
    /// Forks the child. The regions must have been mapped before.
    pub fn spawn() -> Puppet {
        // SAFETY: the child only makes async-signal-safe system calls.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", Error::last_os_error());
        if pid == 0 {
            // SAFETY: plain system calls; the child never returns to the test's code.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>());
                // A clock tick every second of its own time, to end what loops for ever.
                let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
                let tick = libc::itimerval { it_interval: second, it_value: second };
                libc::syscall(libc::SYS_setitimer, 1, &raw const tick, 0);
                libc::raise(libc::SIGSTOP);
                libc::_exit(1);
            }
        }
        // SAFETY: all-zero registers are a valid value.
        let mut puppet = Puppet { pid, start: unsafe { std::mem::zeroed() }, xstate_size: 0 };
        assert_eq!(puppet.wait().signal, libc::SIGSTOP);
        puppet.start = puppet.regs();
        puppet.xstate_size = puppet.xstate().len();
        puppet
    }

    fn ptrace(&self, request: libc::c_uint, address: usize, data: usize) {
        // SAFETY: `data` is null, a number, or the address of a live buffer that fits the request.
        let result = unsafe { libc::ptrace(request, self.pid, address, data) };
        assert_eq!(result, 0, "ptrace request {request}: {}", Error::last_os_error());
    }

    fn wait(&self) -> Stop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let pid = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert_eq!(pid, self.pid, "waitpid: {}", Error::last_os_error());
        assert!(libc::WIFSTOPPED(status), "the traced child ended: status {status:#x}");
        // SAFETY: all-zero is a valid siginfo.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        self.ptrace(libc::PTRACE_GETSIGINFO, 0, &raw mut info as usize);
        Stop { signal: libc::WSTOPSIG(status), code: info.si_code }
    }

    pub fn regs(&self) -> Regs {
        // SAFETY: all-zero registers are a valid value.
        let mut regs: Regs = unsafe { std::mem::zeroed() };
        self.ptrace(libc::PTRACE_GETREGS, 0, &raw mut regs as usize);
        regs
    }

    /// Sets everything but the segment selectors; the child leaves any system call that it was in.
    pub fn set_regs(&self, regs: &Regs) {
        let mut regs = *regs;
        (regs.cs, regs.ss, regs.ds, regs.es) = (self.start.cs, self.start.ss, self.start.ds, self.start.es);
        (regs.fs, regs.gs) = (self.start.fs, self.start.gs);
        regs.orig_rax = u64::MAX;
        self.ptrace(libc::PTRACE_SETREGS, 0, &raw const regs as usize);
    }

    /// The vector and x87 state in the format of XSAVE.
    pub fn xstate(&self) -> Vec<u8> {
        let mut buffer = vec![0u8; if self.xstate_size == 0 { 1 << 16 } else { self.xstate_size }];
        let mut io = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        self.ptrace(libc::PTRACE_GETREGSET, NT_X86_XSTATE, &raw mut io as usize);
        buffer.truncate(io.iov_len);
        buffer
    }

    pub fn set_xstate(&self, state: &[u8]) {
        let mut io = libc::iovec { iov_base: state.as_ptr().cast_mut().cast(), iov_len: state.len() };
        self.ptrace(libc::PTRACE_SETREGSET, NT_X86_XSTATE, &raw mut io as usize);
    }

    /// Runs until a signal; code that runs for some seconds is stopped by SIGVTALRM.
    pub fn run(&self) -> Stop {
        self.resume(libc::PTRACE_CONT, 4)
    }

    pub fn step(&self) -> Stop {
        self.resume(libc::PTRACE_SINGLESTEP, 4)
    }

    fn resume(&self, how: libc::c_uint, ticks: u32) -> Stop {
        for _ in 1..ticks {
            self.ptrace(how, 0, 0);
            let stop = self.wait();
            if stop.signal != libc::SIGVTALRM {
                return stop;
            }
        }
        self.ptrace(how, 0, 0);
        self.wait()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // SAFETY: `pid` is our child, not yet waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, null_mut(), 0);
        }
    }
}
