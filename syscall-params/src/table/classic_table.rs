//! System calls 0 to 199, one line each; the syntax is explained in `describe`.
//!
//! What always holds: names and widths of registers are Valgrind's, so that texts are. Sizes are those of the
//! kernel's structures. Not here: calls whose memory depends on more than arguments; their functions are in `hand`.

use crate::describe::Call;
use crate::hand::{
    clone, exec, fcntl, files, ioctl, ipc, poll, prctl, process, ptrace, signals, socket, vectors,
};

#[rustfmt::skip]
pub(crate) static CALLS: &[Call] = calls! {
    0 read(fd:4, buf, count) { write buf[count => result] }
    1 write(fd:4, buf, count) { read buf[count] }
    2 open(filename, flags:4, mode:4) { all by files::open }
    3 close(fd:4) {}
    4 stat(file_name, buf) { path file_name; write buf[144] }
    5 fstat(fd:4, buf) { write buf[144] }
    6 lstat(file_name, buf) { path file_name; write buf[144] }
    7 poll(ufds, nfds:4, timeout) { by poll::poll }
    8 lseek(fd:4, offset, whence:4) {}
    9 mmap(start, length, prot:4, flags:4, fd:4, offset) {}
    10 mprotect(addr, len, prot) {}
    11 munmap(start, length) {}
    12 brk(end_data_segment) {}
    13 rt_sigaction(signum:4, act, oldact, sigsetsize) { by signals::sigaction }
    14 rt_sigprocmask(how:4, set, oldset, sigsetsize) { read0 set[8]; write0 oldset[8] }
    15 rt_sigreturn() {}
    16 ioctl(fd:4, request:4, arg) { all by ioctl::ioctl }
    17 pread64(fd:4, buf, count, offset) { write buf[count => result] }
    18 pwrite64(fd:4, buf, count, offset) { read buf[count] }
    19 readv(fd, vector, count) { by vectors::readv }
    20 writev(fd, vector, count) { by vectors::writev }
    21 access(pathname, mode:4) { path pathname }
    22 pipe(filedes) { write filedes[8] }
    23 select(n:4, readfds, writefds, exceptfds, timeout) { by poll::select }
    24 sched_yield() {}
    25 mremap(old_addr, old_size, new_size, flags, new_addr) { all by files::mremap }
    26 msync(start, length, flags:4) { read start[length] }
    27 mincore(start, length, vec) { by files::mincore }
    28 madvise(start, length, advice:4) {}
    29 shmget(key:4, size, shmflg:4) {}
    30 shmat(shmid:4, shmaddr, shmflg:4) {}
    31 shmctl(shmid:4, cmd:4, buf) { by ipc::shmctl }
    32 dup(oldfd:4) {}
    33 dup2(oldfd:4, newfd:4) {}
    34 pause() {}
    35 nanosleep(req, rem) { read req[16]; write0 rem[16 => eintr] }
    36 getitimer(which:4, value) {
        write value[16] as "getitimer(&value->it_interval)";
        write value + 16 [16] as "getitimer(&value->it_value)"
    }
    37 alarm(seconds:4) {}
    38 setitimer(which:4, value, ovalue) {
        read0 value[16] as "setitimer(&value->it_interval)";
        read0 value + 16 [16] as "setitimer(&value->it_value)";
        write0 ovalue[16] as "setitimer(&ovalue->it_interval)";
        write0 ovalue + 16 [16] as "setitimer(&ovalue->it_value)"
    }
    39 getpid() {}
    40 sendfile(out_fd:4, in_fd:4, offset, count) { read0 offset[8]; write0 offset[8] }
    41 socket(domain:4, kind "type":4, protocol:4) {}
    42 connect(sockfd:4, serv_addr, addrlen:4) { by socket::connect }
    43 accept(s:4, addr, addrlen) { by socket::accept }
    44 sendto(s:4, msg, len, flags:4, to, tolen:4) { by socket::sendto }
    45 recvfrom(s:4, buf, len, flags:4, from, fromlen) { by socket::recvfrom }
    46 sendmsg(s:4, msg, flags:4) { by socket::sendmsg }
    47 recvmsg(s:4, msg, flags:4) { by socket::recvmsg }
    48 shutdown(s:4, how:4) {}
    49 bind(sockfd:4, my_addr, addrlen:4) { by socket::bind }
    50 listen(s:4, backlog:4) {}
    51 getsockname(s:4, name, namelen) { by socket::getsockname }
    52 getpeername(s:4, name, namelen) { by socket::getpeername }
    53 socketpair(d:4, kind "type":4, protocol:4, sv) { write sv[8] as "socketcall.socketpair(sv)" }
    54 setsockopt(s:4, level:4, optname:4, optval, optlen:4) { by socket::setsockopt }
    55 getsockopt(s:4, level:4, optname:4, optval, optlen "*optlen") { by socket::getsockopt }
    56 clone(flags, child_stack, parent_tidptr, child_tidptr, tlsinfo) { all by clone::clone }
    57 fork() {}
    58 vfork "fork" () {}
    59 execve(filename, argv, envp) { by exec::execve }
    60 exit(status:4) {}
    61 wait4(pid:4, status, options:4, rusage) { by process::wait4 }
    62 kill(pid:4, signal:4) {}
    63 uname(buf) { write buf[390] }
    64 semget(key:4, nsems:4, semflg:4) {}
    65 semop(semid:4, sops, nsoops:4) { read sops[nsoops * 6] }
    66 semctl(semid:4, semnum:4, cmd:4, arg) { all by ipc::semctl }
    67 shmdt(shmaddr) {}
    68 msgget(key:4, msgflg:4) {}
    69 msgsnd(msqid:4, msgp, msgsz, msgflg:4) {
        read msgp[8] as "msgsnd(msgp->mtype)";
        read msgp + 8 [msgsz] as "msgsnd(msgp->mtext)"
    }
    70 msgrcv(msqid:4, msgp, msgsz, msgytp, msgflg:4) {
        write msgp[8] as "msgrcv(msgp->mtype)";
        write msgp + 8 [msgsz => result] as "msgrcv(msgp->mtext)"
    }
    71 msgctl(msqid:4, cmd:4, buf) { by ipc::msgctl }
    72 fcntl(fd:4, cmd:4, arg) { all by fcntl::fcntl }
    73 flock(fd:4, operation:4) {}
    74 fsync(fd:4) {}
    75 fdatasync(fd:4) {}
    76 truncate(path, length) { path path }
    77 ftruncate(fd:4, length) {}
    78 getdents(fd:4, dirp, count:4) { write dirp[count => result] }
    79 getcwd(buf, size) { write buf[size => result] }
    80 chdir(path) { path path }
    81 fchdir(fd:4) {}
    82 rename(oldpath, newpath) { path oldpath; path newpath }
    83 mkdir(pathname, mode:4) { path pathname }
    84 rmdir(pathname) { path pathname }
    85 creat(pathname, mode:4) { path pathname }
    86 link(oldpath, newpath) { path oldpath; path newpath }
    87 unlink(pathname) { path pathname }
    88 symlink(oldpath, newpath) { path oldpath; path newpath }
    89 readlink(path, buf, bufsiz:4) { path path; write buf[bufsiz => result] }
    90 chmod(path, mode:4) { path path }
    91 fchmod(fildes:4, mode:4) {}
    92 chown(path, owner:4, group:4) { path path }
    93 fchown(fd:4, owner:4, group:4) {}
    94 lchown(path, owner:4, group:4) { path path }
    95 umask(mask:4) {}
    96 gettimeofday(tv, tz) { write0 tv[16]; write0 tz[8] }
    97 getrlimit(resource:4, rlim) { write rlim[16] }
    98 getrusage(who:4, usage) { write usage[144] }
    99 sysinfo(info) { write info[112] }
    100 times(buf) { write0 buf[32] }
    101 ptrace(request, pid, addr, data) { by ptrace::ptrace }
    102 getuid() {}
    103 syslog(kind "type":4, bufp, len:4) { by files::syslog }
    104 getgid() {}
    105 setuid(uid:4) {}
    106 setgid(gid:4) {}
    107 geteuid() {}
    108 getegid() {}
    109 setpgid(pid:4, pgid:4) {}
    110 getppid() {}
    111 getpgrp() {}
    112 setsid() {}
    113 setreuid(ruid:4, euid:4) {}
    114 setregid(rgid:4, egid:4) {}
    115 getgroups(size:4, list) { write list[size * 4 => result * 4] }
    116 setgroups(size:4, list) { read list[size * 4] }
    117 setresuid(ruid:4, euid:4, suid:4) {}
    118 getresuid(ruid, euid, suid) { write ruid[4]; write euid[4]; write suid[4] }
    119 setresgid(rgid:4, egid:4, sgid:4) {}
    120 getresgid(rgid, egid, sgid) { write rgid[4]; write egid[4]; write sgid[4] }
    121 getpgid(pid:4) {}
    122 setfsuid(uid:4) {}
    123 setfsgid(gid:4) {}
    124 getsid(pid:4) {}
    125 capget(header, data) { by process::capget }
    126 capset(header, data) { by process::capset }
    127 rt_sigpending(set, sigsetsize) { by signals::sigpending }
    128 rt_sigtimedwait(set, info, timeout, sigsetsize) { read0 set[8]; write0 info[128]; read0 timeout[16] }
    129 rt_sigqueueinfo(pid:4, sig:4, uinfo) { by signals::sigqueueinfo }
    130 rt_sigsuspend(mask, size) { read0 mask[8] }
    131 sigaltstack(ss, oss) {
        read0 ss[8] as "sigaltstack(ss->ss_sp)";
        read0 ss + 16 [8] as "sigaltstack(ss->ss_size)";
        read0 ss + 8 [4] as "sigaltstack(ss->ss_flags)";
        write0 oss[24]
    }
    132 utime(filename, buf) { path filename; read0 buf[16] }
    133 mknod(pathname, mode:4, dev:4) { path pathname }
    134 uselib(library) { path library }
    135 personality(persona) {}
    136 ustat(dev:4, ubuf) { write ubuf[32] }
    137 statfs(path, buf) { path path; write buf[120] }
    138 fstatfs(fd:4, buf) { write buf[120] }
    139 sysfs(flags:4, desc, path) { all by files::sysfs }
    140 getpriority(which:4, who:4) {}
    141 setpriority(which:4, who:4, prio:4) {}
    142 sched_setparam(pid:4, p) { read p[4] }
    143 sched_getparam(pid:4, p) { write p[4] }
    144 sched_setscheduler(pid:4, policy:4, p) { read0 p[4] }
    145 sched_getscheduler(pid:4) {}
    146 sched_get_priority_max(policy:4) {}
    147 sched_get_priority_min(policy:4) {}
    148 sched_rr_get_interval(pid:4, tp) { write tp[16] as "sched_rr_get_interval(timespec)" }
    149 mlock(addr, len) {}
    150 munlock(addr, len) {}
    151 mlockall(flags:4) {}
    152 munlockall() {}
    153 vhangup() {}
    154 modify_ldt(func:4, ptr, bytecount) { by process::modify_ldt }
    155 pivot_root(new_root, old_root) { path new_root; path old_root }
    156 _sysctl "sysctl" (args) {}
    157 prctl(option:4, arg2, arg3, arg4, arg5) { all by prctl::prctl }
    158 arch_prctl(option:4, arg2) { by prctl::arch_prctl }
    159 adjtimex(buf) { by process::adjtimex }
    160 setrlimit(resource:4, rlim) { read rlim[16] }
    161 chroot(path) { path path }
    162 sync() {}
    163 acct(filename) { path0 filename }
    164 settimeofday(tv, tz) { read0 tv[16]; read0 tz[8] }
    165 mount(source, target, kind "type", flags, data) { path0 source; path target; path0 kind }
    166 umount2(path, flags:4) { path path }
    167 swapon(path, flags:4) { path path }
    168 swapoff(path) { path path }
    169 reboot(magic:4, magic2:4, cmd:4, arg) { all by process::reboot }
    170 sethostname(name, len:4) { read name[len] }
    171 setdomainname(name, len:4) { read name[len] }
    172 iopl(level) {}
    173 ioperm(from, num, turn_on:4) {}
    174 create_module "ni_syscall" () {}
    175 init_module(umod, len, uargs) { read umod[len]; path uargs }
    176 delete_module(name_user, flags:4) { path name_user }
    177 get_kernel_syms "ni_syscall" () {}
    178 query_module "ni_syscall" () {}
    179 quotactl(cmd:4, special, id:4, addr) { by files::quotactl }
    180 nfsservctl "ni_syscall" () {}
    181 getpmsg "ni_syscall" () {}
    182 putpmsg "ni_syscall" () {}
    183 afs_syscall "ni_syscall" () {}
    184 tuxcall "ni_syscall" () {}
    185 security "ni_syscall" () {}
    186 gettid() {}
    187 readahead(fd:4, offset, count) {}
    188 setxattr(path, name, value, size, flags:4) { path path; path name; read value[size] }
    189 lsetxattr(path, name, value, size, flags:4) { path path; path name; read value[size] }
    190 fsetxattr(fd:4, name, value, size, flags:4) { path name; read value[size] }
    191 getxattr(path, name, value, size) { path path; path name; write value[size => result] }
    192 lgetxattr(path, name, value, size) { path path; path name; write value[size => result] }
    193 fgetxattr(fd:4, name, value, size) { path name; write value[size => result] }
    194 listxattr(path, list, size) { path path; write list[size => result] }
    195 llistxattr(path, list, size) { path path; write list[size => result] }
    196 flistxattr(fd:4, list, size) { write list[size => result] }
    197 removexattr(path, name) { path path; path name }
    198 lremovexattr(path, name) { path path; path name }
    199 fremovexattr(fd:4, name) { path name }
};
