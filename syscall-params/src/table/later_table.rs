//! System calls 200 to 334, one line each; the syntax is explained in `describe`.
//!
//! What always holds: names and widths of registers are Valgrind's, so that texts are. Sizes are those of the
//! kernel's structures. Not here: calls whose memory depends on more than arguments; their functions are in `hand`.

use crate::describe::Call;
use crate::hand::{
    aio, bpf, exec, files, futex, ipc, keyctl, numa, poll, prctl, process, signals, socket, vectors,
};

#[rustfmt::skip]
pub(crate) static CALLS: &[Call] = calls! {
    200 tkill(tid:4, sig:4) {}
    201 time(t) { write0 t[8] }
    202 futex(futex, op:4, val:4, utime, uaddr2, val3:4) { all by futex::futex }
    203 sched_setaffinity(pid:4, len:4, mask) { read mask[len] }
    204 sched_getaffinity(pid:4, len:4, mask) { write mask[len => result] }
    205 set_thread_area "ni_syscall" () {}
    206 io_setup(nr_events:4, ctxp) { write ctxp[8] }
    207 io_destroy(ctx) {}
    208 io_getevents(ctx_id, min_nr, nr, events, timeout) { by aio::getevents }
    209 io_submit(ctx_id, nr, iocbpp) { by aio::submit }
    210 io_cancel(ctx_id, iocb, result) { read iocb[64]; write result[32] }
    211 get_thread_area "ni_syscall" () {}
    212 lookup_dcookie(cookie, buf, len) { write buf[len => result] as "sys_lookup_dcookie(buf)" }
    213 epoll_create(size:4) {}
    214 epoll_ctl_old "ni_syscall" () {}
    215 epoll_wait_old "ni_syscall" () {}
    216 remap_file_pages(addr, size "size_t", prot:4, pgoff, flags:4) {
        read addr[size] as "sys_remap_file_pages(addr)"
    }
    217 getdents64(fd:4, dirp, count:4) { write dirp[count => result] }
    218 set_tid_address(tidptr) {}
    219 restart_syscall() {}
    220 semtimedop(semid:4, sops, nsoops:4, timeout) { read sops[nsoops * 6]; read0 timeout[16] }
    221 fadvise64(fd:4, offset, len, advice:4) {}
    222 timer_create(clockid:4, evp, timerid) { by signals::timer_create }
    223 timer_settime(timerid:4, flags:4, value, ovalue) { read value[32]; write0 ovalue[32] }
    224 timer_gettime(timerid:4, value) { write value[32] }
    225 timer_getoverrun(timerid:4) {}
    226 timer_delete(timerid:4) {}
    227 clock_settime(clk_id:4, tp) { read tp[16] }
    228 clock_gettime(clk_id:4, tp) { write tp[16] }
    229 clock_getres(clk_id:4, res) { write0 res[16] }
    230 clock_nanosleep(clkid:4, flags:4, rqtp, rmtp) { by process::clock_nanosleep }
    231 exit_group(status:4) {}
    232 epoll_wait(epfd:4, events, maxevents:4, timeout:4) { write events[maxevents * 12 => result * 12] }
    233 epoll_ctl(epfd:4, op:4, fd:4, event) { by poll::epoll_ctl }
    234 tgkill(tgid:4, tid:4, sig:4) {}
    235 utimes(filename, tvp) {
        path filename;
        read0 tvp[16] as "utimes(tvp[0])";
        read0 tvp + 16 [16] as "utimes(tvp[1])"
    }
    236 vserver "ni_syscall" () {}
    237 mbind(start, len, policy, nodemask, maxnode, flags:4) { by numa::mbind }
    238 set_mempolicy(policy:4, nodemask, maxnode) { by numa::set_mempolicy }
    239 get_mempolicy(policy, nodemask, maxnode, addr, flags) { by numa::get_mempolicy }
    240 mq_open(name, oflag:4, mode:4, attr) { all by ipc::mq_open }
    241 mq_unlink(name) { path name }
    242 mq_timedsend(mqdes:4, msg_ptr, msg_len, msg_prio:4, abs_timeout) {
        read msg_ptr[msg_len];
        read0 abs_timeout[16]
    }
    243 mq_timedreceive(mqdes:4, msg_ptr, msg_len, msg_prio, abs_timeout) {
        write msg_ptr[msg_len => result];
        write0 msg_prio[4];
        read0 abs_timeout[16]
    }
    244 mq_notify(mqdes:4, notification) { by ipc::mq_notify }
    245 mq_getsetattr(mqdes:4, mqstat, omqstat) {
        read0 mqstat[8] as "mq_getsetattr(mqstat->mq_flags)";
        write0 omqstat[64]
    }
    246 kexec_load(entry, nr_segments, segments, flags) { by process::kexec_load }
    247 waitid "sys_waitid" (which:4, pid:4, infop, options:4, ru) { by process::waitid }
    248 add_key(kind "type", description, payload, plen, keyring:4) {
        path kind;
        path description;
        read0 payload[plen] as "request_key(payload)"
    }
    249 request_key(kind "type", description, callout_info, keyring:4) {
        path kind;
        path description;
        path0 callout_info
    }
    250 keyctl(option:4, arg2, arg3, arg4, arg5) { all by keyctl::keyctl }
    251 ioprio_set(which:4, who:4, ioprio:4) {}
    252 ioprio_get(which:4, who:4) {}
    253 inotify_init() {}
    254 inotify_add_watch(fd:4, path, mask:4) { path path }
    255 inotify_rm_watch(fd:4, wd:4) {}
    256 migrate_pages(pid:4, maxnode, old_nodes, new_nodes) { by numa::migrate_pages }
    257 openat(dfd:4, filename, flags:4, mode:4) { all by files::openat }
    258 mkdirat(dfd:4, pathname, mode:4) { path pathname }
    259 mknodat(dfd:4, pathname, mode:4, dev:4) { path pathname }
    260 fchownat(dfd:4, path, owner:4, group:4, flag:4) { path path }
    261 futimesat(dfd:4, filename, tvp) { path0 filename; read0 tvp[32] }
    262 newfstatat "fstatat" (dfd:4, file_name, buf, flag:4) { path0 file_name; write buf[144] }
    263 unlinkat(dfd:4, pathname, flag:4) { path pathname }
    264 renameat(olddfd:4, oldpath, newdfd:4, newpath) { path oldpath; path newpath }
    265 linkat(olddfd:4, oldpath, newdfd:4, newpath, flags:4) { path oldpath; path newpath }
    266 symlinkat(oldpath, newdfd:4, newpath) { path oldpath; path newpath }
    267 readlinkat(dfd:4, path, buf, bufsiz:4) { path path; write buf[bufsiz => result] }
    268 fchmodat(dfd:4, path, mode:4) { path path }
    269 faccessat(dfd:4, pathname, mode:4) { path pathname }
    270 pselect6(n:4, readfds, writefds, exceptfds, timeout, sig) { by poll::pselect6 }
    271 ppoll(ufds, nfds:4, tsp, sigmask, sigsetsize) { by poll::ppoll }
    272 unshare(flags) {}
    273 set_robust_list(head, len) { read0 head[len] }
    274 get_robust_list(pid:4, head_ptr, len_ptr) { write head_ptr[8]; write len_ptr[8] }
    275 splice(fd_in:4, off_in, fd_out:4, off_out, len, flags:4) {
        read0 off_in[8];
        read0 off_out[8];
        mark0 off_in[8];
        mark0 off_out[8]
    }
    276 tee(fd_in:4, fd_out:4, len, flags:4) {}
    277 sync_file_range(fd:4, offset, nbytes, flags:4) {}
    278 vmsplice "splice" (fd:4, iov, nr_segs, flags:4) { by vectors::vmsplice }
    279 move_pages(pid:4, nr_pages, pages, nodes, status, flags:4) {
        read pages[nr_pages * 8];
        read0 nodes[nr_pages * 4];
        write status[nr_pages * 4]
    }
    280 utimensat(dfd:4, filename, utimes, flags:4) { by files::utimensat }
    281 epoll_pwait(epfd:4, events, maxevents:4, timeout:4, sigmask, sigsetsize) { by poll::epoll_pwait }
    282 signalfd "sys_signalfd" (fd:4, sigmask, sigsetsize) { read sigmask[8] as "signalfd(sigmask)" }
    283 timerfd_create(clockid:4, flags:4) {}
    284 eventfd "sys_eventfd" (count:4) {}
    285 fallocate(fd:4, mode:4, offset, len) {}
    286 timerfd_settime(fd:4, flags:4, new_value, old_value) { read new_value[32]; write0 old_value[32] }
    287 timerfd_gettime(fd:4, curr_value) { write curr_value[32] }
    288 accept4(s:4, addr, addrlen, flags:4) { by socket::accept }
    289 signalfd4 "sys_signalfd4" (fd:4, sigmask, sigsetsize, flags:4) { read sigmask[8] as "signalfd(sigmask)" }
    290 eventfd2 "sys_eventfd2" (count:4, flags:4) {}
    291 epoll_create1(flags:4) {}
    292 dup3(oldfd:4, newfd:4, flags:4) {}
    293 pipe2 "pipe" (filedes, flags) { write filedes[8] as "pipe2(filedes)" }
    294 inotify_init1 "inotify_init" (flag:4) {}
    295 preadv(fd, vector, count, offset) { by vectors::readv }
    296 pwritev(fd, vector, count, offset) { by vectors::writev }
    297 rt_tgsigqueueinfo(tgid:4, pid:4, sig:4, uinfo) { by signals::tgsigqueueinfo }
    298 perf_event_open(attr, pid:4, cpu:4, group_fd:4, flags) { by process::perf_event_open }
    299 recvmmsg(s:4, mmsg, vlen:4, flags:4, timeout) { by socket::recvmmsg }
    300 fanotify_init(flags:4, event_f_flags:4) {}
    301 fanotify_mark "sys_fanotify_mark" (fanotify_fd:4, flags:4, mask, dfd:4, pathname) {
        path0 pathname as "fanotify_mark(path)"
    }
    302 prlimit64(pid:4, resource:4, new_rlim, old_rlim) {
        read0 new_rlim[16] as "rlimit64(new_rlim)";
        write0 old_rlim[16] as "rlimit64(old_rlim)"
    }
    303 name_to_handle_at(dfd:4, name, handle, mnt_id, flag:4) { by files::name_to_handle }
    304 open_by_handle_at(mountdirfd:4, handle, flags:4) { by files::open_by_handle }
    305 clock_adjtime(id:4, buf) { by process::clock_adjtime }
    306 syncfs(fd:4) {}
    307 sendmmsg(s:4, mmsg, vlen:4, flags:4) { by socket::sendmmsg }
    308 setns(fd:4, nstype:4) {}
    309 getcpu(cpu, node, tcache) { by process::getcpu }
    310 process_vm_readv(pid:4, lvec, liovcnt, rvec, riovcnt, flags) { by vectors::process_vm_readv }
    311 process_vm_writev(pid:4, lvec, liovcnt, rvec, riovcnt, flags) { by vectors::process_vm_writev }
    312 kcmp(pid1:4, pid2:4, kind "type":4, idx1, idx2) { all by process::kcmp }
    313 finit_module(fd:4, params, flags:4) { path params }
    314 sched_setattr(pid:4, p, flags:4) { by process::sched_setattr }
    315 sched_getattr(pid:4, p, size:4, flags:4) { by process::sched_getattr }
    316 renameat2(olddfd:4, oldpath, newdfd:4, newpath, flags:4) { path oldpath; path newpath }
    317 seccomp(op:4, flags:4, uargs) { all by prctl::seccomp }
    318 getrandom(buf, count, flags:4) { write buf[count => result] as "getrandom(cpu)" }
    319 memfd_create(uname, flags:4) { path uname }
    320 kexec_file_load(kernel_fd:4, initrd_fd:4, cmdline_len, cmdline_ptr, flags) { read cmdline_ptr[cmdline_len] }
    321 bpf(cmd:4, attr, size:4) { by bpf::bpf }
    322 execveat(fd:4, filename, argv, envp, flags:4) { by exec::execveat }
    323 userfaultfd(size:4) {}
    324 membarrier(flags:4) {}
    325 mlock2(addr, len, flags:4) {}
    326 copy_file_range(fd_in:4, off_in, fd_out:4, off_out, len, flags:4) {
        read0 off_in[8];
        read0 off_out[8];
        mark0 off_in[8];
        mark0 off_out[8]
    }
    327 preadv2(fd, vector, count, offset, offset_high, flags:4) { all by vectors::preadv2 }
    328 pwritev2(fd, vector, count, offset, offset_high, flags:4) { all by vectors::pwritev2 }
    329 pkey_mprotect(addr, len, prot, pkey) {}
    330 pkey_alloc(flags, access_rights) {}
    331 pkey_free(pkey) {}
    332 statx(dirfd:4, filename, flags:4, mask:4, buf) { by files::statx }
    333 io_pgetevents(ctx_id, min_nr, nr, events, timeout, usig) { by aio::pgetevents }
    334 rseq(rseq, rseq_len:4, flags:4, sig:4) {}
};
