//! System calls since Linux 5.1 (numbers from 424), one line each; the syntax is explained in `describe`.
//!
//! What always holds: names and widths of registers are Valgrind's where it knows the call, so that texts are;
//! else those of `linux/syscalls.h`. Not here: calls whose memory depends on more than arguments; their functions
//! are in `hand`.

use crate::describe::Call;
use crate::hand::{clone, files, futex, modern, poll, signals, uring};

#[rustfmt::skip]
pub(crate) static CALLS: &[Call] = calls! {
    335 uretprobe() {}
    336 uprobe() {}
    424 pidfd_send_signal(pidfd:4, sig:4, info, flags:4) { by signals::pidfd_send_signal }
    425 io_uring_setup(entries:4, p) { by uring::setup }
    426 io_uring_enter(fd:4, to_submit:4, min_complete:4, flags:4, sig, sigsz) { by uring::enter }
    427 io_uring_register(fd:4, opcode:4, arg, nr_args:4) { by uring::register }
    428 open_tree(dfd:4, filename, flags:4) { path filename }
    429 move_mount(from_dfd:4, from_pathname, to_dfd:4, to_pathname, flags:4) {
        path from_pathname;
        path to_pathname
    }
    430 fsopen(fs_name, flags:4) { path fs_name as "fsopen(filename)" }
    431 fsconfig(fd:4, cmd:4, key, value, aux:4) { by modern::fsconfig }
    432 fsmount(fd:4, flags:4, ms_flags:4) {}
    433 fspick(dfd:4, filename, flags:4) { path filename as "fspick(path)" }
    434 pidfd_open(pid:4, flags:4) {}
    435 clone3(uargs, size) { by clone::clone3 }
    436 close_range(first:4, last:4, flags:4) {}
    437 openat2(dirfd:4, pathname, how, size) { path pathname; read how[size] }
    438 pidfd_getfd(pidfd:4, targetfd:4, flags:4) {}
    439 faccessat2(dfd:4, pathname, mode:4, flags:4) { path pathname }
    440 process_madvise(pidfd:4, vec, vlen, behavior:4, flags:4) { read vec[vlen * 16] }
    441 epoll_pwait2(epfd:4, events, maxevents:4, timeout, sigmask, sigsetsize) { by poll::epoll_pwait2 }
    442 mount_setattr(dfd:4, path, flags:4, uattr, usize) { path path; read uattr[usize] }
    443 quotactl_fd(fd:4, cmd:4, id:4, addr) { by files::quotactl_fd }
    444 landlock_create_ruleset(attr, size, flags:4) { read0 attr[size] as "landlock_create_ruleset(value)" }
    445 landlock_add_rule(ruleset_fd:4, rule_type:4, rule_attr, flags:4) { by modern::landlock_add_rule }
    446 landlock_restrict_self "landlock_create_ruleset" (ruleset_fd:4, flags:4) {}
    447 memfd_secret(flags:4) {}
    448 process_mrelease(pidfd:4, flags:4) {}
    449 futex_waitv(waiters, nr_futexes:4, flags:4, timeout, clockid:4) { by futex::waitv }
    450 set_mempolicy_home_node(start, len, home_node, flags) {}
    451 cachestat(fd:4, cstat_range, cstat, flags:4) { read cstat_range[16]; write cstat[40] }
    452 fchmodat2(dfd:4, path, mode:4, flags:4) { path path as "fchmodat2(pathname)" }
    453 map_shadow_stack(addr, size, flags:4) {}
    454 futex_wake(uaddr, mask, nr:4, flags:4) { read uaddr[4] }
    455 futex_wait(uaddr, val, mask, flags:4, timeout, clockid:4) { read uaddr[4]; read0 timeout[16] }
    456 futex_requeue(waiters, flags:4, nr_wake:4, nr_requeue:4) { by futex::requeue }
    457 statmount(req, smbuf, bufsize, flags:4) { by modern::statmount }
    458 listmount(req, mnt_ids, nr_mnt_ids, flags:4) { by modern::listmount }
    459 lsm_get_self_attr(attr:4, ctx, size, flags:4) { by modern::lsm_get_self_attr }
    460 lsm_set_self_attr(attr:4, ctx, size:4, flags:4) { read ctx[size] as "lsm_get_self_attr(ctx)" }
    461 lsm_list_modules(ids, size, flags:4) { by modern::lsm_list_modules }
    462 mseal(addr, len, flags) {}
    463 setxattrat(dfd:4, pathname, at_flags:4, name, uargs, usize) { by modern::setxattrat }
    464 getxattrat(dfd:4, pathname, at_flags:4, name, uargs, usize) { by modern::getxattrat }
    465 listxattrat(dfd:4, pathname, at_flags:4, list, size) { path0 pathname; write list[size => result] }
    466 removexattrat(dfd:4, pathname, at_flags:4, name) { path0 pathname; path name }
    467 open_tree_attr(dfd:4, filename, flags:4, uattr, usize) { path filename; read0 uattr[usize] }
    468 file_getattr(dfd:4, filename, ufattr, usize, at_flags:4) { path filename; write ufattr[usize] }
    469 file_setattr(dfd:4, filename, ufattr, usize, at_flags:4) { path filename; read ufattr[usize] }
    470 listns(req, ns_ids, nr_ns_ids, flags:4) { by modern::listns }
};
