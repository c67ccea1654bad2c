//! Where the table departs from Valgrind, and why.
//!
//! What always holds: a line that is not found any more makes the test fail, so that the list stays true.

use crate::model::Case;

/// The release that they are departures from; other releases differ in other places.
pub(crate) const VERSION: &str = "valgrind-3.19";

/// One departure.
#[derive(Debug)]
pub(crate) struct Difference {
    /// `-`: only Valgrind complains; `+`: only the table does.
    sign: char,
    /// Name of the call and the complaint.
    call: &'static str,
    complaint: &'static str,
    #[allow(dead_code, reason = "for who reads this, and for Debug")]
    reason: &'static str,
}

const fn only(sign: char, call: &'static str, complaint: &'static str, reason: &'static str) -> Difference {
    Difference { sign, call, complaint, reason }
}

#[rustfmt::skip]
pub(crate) const ALL: &[Difference] = &[
    // Valgrind 3.19 is checked here; the texts are those of newer releases where they changed for the better.
    only('-', "readv", "readv(vector[...])", "newer releases number the buffers"),
    only('+', "readv", "readv(vector[", "newer releases number the buffers"),
    only('-', "writev", "writev(vector[...])", "newer releases number the buffers"),
    only('+', "writev", "writev(vector[", "newer releases number the buffers"),
    only('-', "sigaltstack", "sigaltstack(ss) points", "newer releases go field by field: four bytes of the structure are padding"),
    only('+', "sigaltstack", "sigaltstack(ss->ss_", "newer releases go field by field: four bytes of the structure are padding"),
    only('-', "timerfd_settime", "timerfd_settime(ufd)", "renamed in newer releases"),
    only('-', "timerfd_settime", "timerfd_settime(utmr)", "renamed in newer releases"),
    only('-', "timerfd_settime", "timerfd_settime(otmr)", "renamed in newer releases"),
    only('-', "timerfd_settime", "timerfd_settime(result)", "renamed in newer releases; 3.19 takes the value that is read for a result"),
    only('+', "timerfd_settime", "timerfd_settime(fd)", "renamed in newer releases"),
    only('+', "timerfd_settime", "timerfd_settime(new_value)", "renamed in newer releases"),
    only('+', "timerfd_settime", "timerfd_settime(old_value)", "renamed in newer releases"),
    only('-', "timerfd_gettime", "timerfd_gettime(ufd)", "renamed in newer releases"),
    only('-', "timerfd_gettime", "timerfd_gettime(otmr)", "renamed in newer releases"),
    only('-', "timerfd_gettime", "timerfd_gettime(result)", "renamed in newer releases"),
    only('+', "timerfd_gettime", "timerfd_gettime(fd)", "renamed in newer releases"),
    only('+', "timerfd_gettime", "timerfd_gettime(curr_value)", "renamed in newer releases"),
    only('-', "copy_file_range", "copy_file_range(\"", "newer releases have dropped the quotes"),
    only('+', "copy_file_range", "copy_file_range(", "newer releases have dropped the quotes"),
    only('-', "pkey_alloc", "pkey_alloc(\"", "newer releases have dropped the quotes"),
    only('+', "pkey_alloc", "pkey_alloc(", "newer releases have dropped the quotes"),
    only('-', "pkey_free", "pkey_free(\"", "newer releases have dropped the quotes"),
    only('+', "pkey_free", "pkey_free(", "newer releases have dropped the quotes"),
    // Null pointers that the kernel accepts.
    only('-', "execve", "execve(argv[0])", "an empty array of arguments is accepted"),
    only('-', "execveat", "execveat(argv[0])", "an empty array of arguments is accepted"),
    only('-', "acct", "acct(filename)", "null switches accounting off"),
    only('-', "mount", "mount(type)", "a type is not needed to remount or bind"),
    only('-', "quotactl", "quotactl(special)", "Q_SYNC of all file systems has no path"),
    only('-', "set_mempolicy", "set_mempolicy(nodemask)", "the default policy has no nodes"),
    only('-', "waitid", "waitid(infop)", "null asks for no information"),
    only('-', "ioctl", "ioctl(SIOCGIFCONF).ifc_buf", "null asks for the length"),
    // Structures at addresses that cannot be read: Valgrind goes on with each field or entry, the table stops.
    only('-', "poll", "poll(ufds.events)", "an entry that cannot be read"),
    only('-', "ppoll", "ppoll(ufds.events)", "an entry that cannot be read"),
    only('-', "recvmmsg", "recvmsg(mmsg[", "a header that cannot be read"),
    only('-', "recvmmsg", "recvmmsg(mmsg[", "a header that cannot be read"),
    only('-', "sendmmsg", "sendmsg(mmsg[", "a header that cannot be read"),
    only('-', "sendmmsg", "sendmmsg(mmsg[", "a header that cannot be read"),
    // The other way round: Valgrind says nothing of a structure that cannot be read.
    only('+', "adjtimex", "adjtimex(timex->modes)", "not checked where it cannot be read"),
    only('+', "newfstatat", "fstatat(buf)", "not checked where the path is null"),
    only('+', "name_to_handle_at", "name_to_handle_at(handle)", "not checked where it cannot be read"),
    only('+', "open_by_handle_at", "open_by_handle_at(handle)", "Valgrind crashes"),
    only('+', "execveat", "execveat(argv)", "not checked without a path"),
    // Registers: what the kernel reads, and how many bytes of it.
    only('+', "getsockopt", "getsockopt(*optlen)", "the register is a pointer of 8 bytes; Valgrind takes it for an int"),
    only('+', "fcntl", "fcntl(", "of a command that it does not know Valgrind checks nothing"),
    only('+', "fchownat", "fchownat(flag)", "Valgrind forgets the last argument"),
    only('+', "newfstatat", "fstatat(flag)", "Valgrind forgets the last argument"),
    only('+', "unlinkat", "unlinkat(flag)", "Valgrind forgets the last argument"),
    only('-', "readlinkat", "readlinkat(bufsiz)", "an int for the kernel"),
    only('-', "preadv2", "preadv2(flags)", "an int in the sixth register; Valgrind looks at the fifth, which is unused"),
    only('-', "pwritev2", "pwritev2(flags)", "an int for the kernel"),
    only('-', "pwritev2", "pwritev2(offset_high)", "unused on 64-bit machines"),
    only('+', "semctl", "semctl(arg)", "SETVAL reads its value"),
    // Calls that Valgrind answers itself with ENOSYS.
    only('-', "_sysctl", "sysctl(args)", "not there since Linux 5.5"),
    only('+', "rseq", "rseq(", "answered with ENOSYS"),
    only('+', "clone3", "clone3(", "answered with ENOSYS"),
    // Bytes that the kernel does not look at.
    only('-', "execve", "execve(argv)", "behind the null pointer that ends an array without a first string"),
    only('-', "execveat", "execveat(argv)", "behind the null pointer that ends an array without a first string"),
    only('-', "mq_notify", "mq_notify(notification)", "only some fields of struct sigevent are used, by its kind"),
    only('-', "sendmsg", "sendmsg(msg.msg_control)", "padding between the messages of control data, and behind the last"),
    only('-', "sendmsg", "sendmsg(msg.msg_name)", "what an address has behind the fields of its family"),
    only('-', "shmctl", "shmctl(IPC_SET, arg.buf)", "only owner, group and mode are set"),
    only('-', "msgctl", "msgctl(IPC_SET, arg.buf)", "only owner, group, mode and the limit of bytes are set"),
    // Memory.
    only('+', "sendfile", "sendfile(offset) points to uninitialised", "the kernel reads the offset before it writes it"),
    only('+', "vmsplice", "vmsplice(iov) points", "Valgrind asks for the descriptor's mode first, and this one does not exist"),
    only('+', "perf_event_open", "perf_event_open(attr)", "size 0 stands for the 64 bytes of the first version"),
    only('+', "sched_setattr", "sched_setattr(attr)", "size 0 stands for the 48 bytes of the first version"),
    only('-', "sched_getattr", "sched_setattr(attr->size)", "the structure is written, nothing in it is read"),
    only('+', "sched_getattr", "sched_setattr(attr)", "as many bytes are written as the register says"),
    only('-', "epoll_pwait", "epoll_pwait(sigmask)", "a mask of another size than the kernel's is refused, as newer releases know"),
    only('+', "semctl", "semctl(IPC_SET, arg.buf)", "Valgrind looks at it only with IPC_64"),
    only('+', "msgctl", "msgctl(IPC_STAT, buf)", "MSG_STAT_ANY is newer than 3.19"),
    only('+', "quotactl", "quotactl(addr) points", "only newer releases look at what the command reads or writes"),
    only('+', "kcmp", "kcmp(idx2) points", "KCMP_EPOLL_TFD reads a structure"),
    only('+', "bpf", "bpf(attr->start_id)", "Valgrind looks only at the answer"),
    only('+', "ioctl", "ioctl(TIOCGPGRP) points to uninitialised", "TIOCSPGRP reads; Valgrind takes it for a write"),
    only('+', "ioctl", "ioctl(LOOP_GET_STATUS", "the structure is written; Valgrind 3.19 looks at nothing"),
];

/// The index of the line that explains a difference.
pub(crate) fn explained(case: &Case, sign: char, complaint: &str) -> Option<usize> {
    let name = syscall_params::name(case.number)?;
    ALL.iter().position(|difference| {
        difference.sign == sign && difference.call == name && complaint.starts_with(difference.complaint)
    })
}
