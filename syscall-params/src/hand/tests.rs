//! Families of awkward calls, each by what it checks and marks.

use std::vec;
use std::vec::Vec;

use crate::Kept;
use crate::fake::Fake;

const NONE: [&str; 0] = [];

fn numbers(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[test]
fn open_reads_a_mode_only_for_a_new_file() {
    let fake = Fake::default();
    assert_eq!(fake.registers(2, &[0x1000, 0, 0]), ["open(filename) 0:8", "open(flags) 1:4"]);
    assert_eq!(fake.registers(2, &[0x1000, 0o101, 0]).len(), 3);
    assert_eq!(fake.registers(257, &[0, 0x1000, 0o20_200_000, 0]).len(), 4, "O_TMPFILE");
}

#[test]
fn read_marks_what_was_read() {
    let fake = Fake::default();
    assert_eq!(fake.memory(0, &[3, 0x2000, 16]), ["write read(buf) 2000+10"]);
    assert_eq!(fake.after(0, &[3, 0x2000, 16], 5, &Kept::default()), ["2000+5"]);
    assert_eq!(fake.after(0, &[3, 0x2000, 16], 0, &Kept::default()), NONE);
    assert_eq!(fake.after(0, &[3, 0x2000, 16], -14, &Kept::default()), NONE);
}

#[test]
fn vectors_are_filled_in_order() {
    let fake = Fake::default().words(0x1000, &[0x2000, 8, 0x3000, 8, 0x4000, 8]);
    let call = [3, 0x1000, 3];
    assert_eq!(
        fake.memory(19, &call),
        [
            "read readv(vector) 1000+30",
            "write readv(vector[0]) 2000+8",
            "write readv(vector[1]) 3000+8",
            "write readv(vector[2]) 4000+8"
        ]
    );
    assert_eq!(fake.after(19, &call, 11, &Kept::default()), ["2000+8", "3000+3"]);
    assert_eq!(
        fake.memory(20, &[3, 0x1000, 1]),
        ["read writev(vector) 1000+10", "read writev(vector[0]) 2000+8"]
    );
    // A vector that is too long is refused by the kernel; a negative count is nothing.
    assert_eq!(fake.memory(19, &[3, 0x1000, 1025]), ["read readv(vector) 1000+4010"]);
    assert_eq!(fake.memory(19, &[3, 0x1000, u64::MAX]), NONE);
    // It ends where it cannot be read.
    assert_eq!(fake.memory(19, &[3, 0x1000, 9]).len(), 4);
}

#[test]
fn vmsplice_asks_for_the_mode() {
    let vector = |read_only| Fake { read_only, ..Fake::default() }.words(0x1000, &[0x2000, 8]);
    let call = [3, 0x1000, 1, 0];
    assert_eq!(vector(Some(false)).memory(278, &call)[1], "read vmsplice(iov[...]) 2000+8");
    assert_eq!(vector(Some(true)).memory(278, &call)[1], "write vmsplice(iov[...]) 2000+8");
    assert_eq!(vector(Some(true)).after(278, &call, 4, &Kept::default()), ["2000+4"]);
    assert_eq!(vector(None).after(278, &call, 4, &Kept::default()), NONE);
}

#[test]
fn addresses_are_read_by_family() {
    let connect = |bytes: &[u8], length| Fake::default().put(0x1000, bytes).memory(42, &[3, 0x1000, length]);
    let family = "read socketcall.connect(serv_addr.sa_family) 1000+2";
    assert_eq!(
        connect(&[2, 0, 0, 80, 127, 0, 0, 1], 16),
        [
            family,
            "read socketcall.connect(serv_addr.sin_port) 1002+2",
            "read socketcall.connect(serv_addr.sin_addr) 1004+4"
        ]
    );
    assert_eq!(
        connect(b"\x01\0/tmp/x\0", 110),
        [family, "string socketcall.connect(serv_addr.sun_path) 1002+6c"]
    );
    assert_eq!(connect(b"\x01\0\0abc", 6), [family, "read socketcall.connect(serv_addr.sun_path) 1002+4"]);
    assert_eq!(connect(&[10, 0], 28).len(), 5);
    assert_eq!(connect(&[0, 0], 16), [family]);
    // No byte beyond the length.
    assert_eq!(connect(&[2, 0], 3)[1], "read socketcall.connect(serv_addr.sin_port) 1002+1");
    assert_eq!(connect(&[], 0), NONE);
}

#[test]
fn lengths_before_a_call_limit_marks_after_it() {
    let call = [3, 0x1000, 0x2000];
    let fake = Fake::default().put(0x2000, &[8, 0, 0, 0]);
    let (checks, kept) = fake.before(43, &call);
    assert_eq!(
        checks[3..],
        ["read socketcall.accept(addrlen_in) 2000+4", "write socketcall.accept(addr) 1000+8"]
    );
    // The address is longer than the buffer: the kernel says how long.
    let fake = fake.put(0x2000, &[28, 0, 0, 0]);
    assert_eq!(fake.after(43, &call, 4, &kept), ["1000+8", "2000+4"]);
    assert_eq!(fake.after(43, &call, 4, &Kept::default()), ["1000+1c", "2000+4"]);
    assert_eq!(fake.after(43, &call, -11, &kept), NONE);
    assert_eq!(fake.memory(43, &[3, 0, 0]), NONE);
}

/// A header at 0x1000 with a name, two buffers and control data.
fn message() -> Fake {
    Fake::default()
        .words(0x1000, &[0x2000, 16, 0x3000, 2, 0x4000, 24, 0])
        .words(0x1038, &[6])
        .words(0x3000, &[0x5000, 4, 0x6000, 4])
        .put(0x2000, &[2, 0, 0, 80, 127, 0, 0, 1])
        .words(0x4000, &[20, 0, 0])
}

#[test]
fn messages_are_walked() {
    assert_eq!(
        message().memory(46, &[3, 0x1000, 0]),
        [
            "read sendmsg(msg) 1000+c",
            "read sendmsg(msg) 1010+20",
            "read sendmsg(msg.msg_name) 2000+2",
            "read sendmsg(msg.msg_name) 2002+2",
            "read sendmsg(msg.msg_name) 2004+4",
            "read sendmsg(msg.msg_iov) 3000+20",
            "read sendmsg(msg.msg_iov[0]) 5000+4",
            "read sendmsg(msg.msg_iov[1]) 6000+4",
            "read sendmsg(msg.msg_control) 4000+10",
            "read sendmsg(msg.msg_control) 4010+4"
        ]
    );
    assert_eq!(
        message().memory(47, &[3, 0x1000, 0]),
        [
            "read recvmsg(msg) 1000+c",
            "read recvmsg(msg) 1010+20",
            "write recvmsg(msg) 1030+4",
            "write recvmsg(msg.msg_name) 2000+10",
            "read recvmsg(msg.msg_iov) 3000+20",
            "write recvmsg(msg.msg_iov[0]) 5000+4",
            "write recvmsg(msg.msg_iov[1]) 6000+4",
            "write recvmsg(msg.msg_control) 4000+18"
        ]
    );
    let (_, kept) = message().before(47, &[3, 0x1000, 0]);
    assert_eq!(
        message().after(47, &[3, 0x1000, 0], 6, &kept),
        ["1030+4", "2000+10", "1008+4", "5000+4", "6000+2", "4000+10", "4010+4", "1028+8"]
    );
    // Many: each with its own length.
    let many = message().memory(299, &[3, 0x1000, 1, 0, 0x7000]);
    assert_eq!(many[3], "write recvmsg(mmsg[0].msg_hdr.msg_name) 2000+10");
    assert_eq!(many[8..], ["write recvmmsg(mmsg[0].msg_len) 1038+4", "read recvmmsg(timeout) 7000+10"]);
    assert!(message().after(299, &[3, 0x1000, 1, 0, 0], 1, &Kept::default()).contains(&"1038+4".into()));
}

#[test]
fn futexes_read_by_operation() {
    let fake = Fake::default();
    let registers =
        |operation: u64| fake.registers(202, &[0x1000, operation | 128, 0, 0x2000, 0x3000, 0]).len();
    assert_eq!((0..14).map(registers).collect::<Vec<_>>(), [4, 3, 3, 5, 6, 6, 4, 2, 2, 5, 4, 5, 6, 4]);
    assert_eq!(
        fake.memory(202, &[0x1000, 0, 0, 0x2000]),
        ["read futex(futex) 1000+4", "read futex(timeout) 2000+10"]
    );
    assert_eq!(fake.memory(202, &[0x1000, 0, 0, 0]), ["read futex(futex) 1000+4"]);
    // A requeue's fourth argument is a number.
    assert_eq!(
        fake.memory(202, &[0x1000, 4, 0, 9, 0x3000]),
        ["read futex(futex) 1000+4", "read futex(futex2) 3000+4"]
    );
}

#[test]
fn commands_of_fcntl() {
    let fake = Fake::default();
    assert_eq!(fake.registers(72, &[3, 1, 0]).len(), 2);
    assert_eq!(fake.registers(72, &[3, 4, 0])[2], "fcntl(arg) 2:8");
    assert_eq!(fake.registers(72, &[3, 6, 0x1000])[2], "fcntl(lock) 2:8");
    assert_eq!(fake.memory(72, &[3, 6, 0x1000]).len(), 4);
    assert_eq!(fake.after(72, &[3, 5, 0x1000], 0, &Kept::default()), ["1000+4", "1008+10", "1018+4"]);
    let unlocked = Fake::default().put(0x1000, &[2, 0]);
    assert_eq!(unlocked.after(72, &[3, 5, 0x1000], 0, &Kept::default()), ["1000+4", "1008+10"]);
    assert_eq!(fake.after(72, &[3, 6, 0x1000], 0, &Kept::default()), NONE);
    assert_eq!(fake.memory(72, &[3, 16, 0x1000]), ["write fcntl(f_getown_ex) 1000+8"]);
}

#[test]
fn options_of_prctl() {
    let fake = Fake::default();
    assert_eq!(fake.registers(157, &[3]), ["prctl(option) 0:4"]);
    assert_eq!(fake.registers(157, &[1000]).len(), 5);
    assert_eq!(fake.memory(157, &[15, 0x1000]), ["string prctl(set-name) 1000+10"]);
    assert_eq!(fake.memory(157, &[16, 0x1000]), ["write prctl(get-name) 1000+10"]);
    assert_eq!(fake.memory(158, &[0x1003, 0x1000]), ["write arch_prctl(addr) 1000+8"]);
    assert_eq!(fake.memory(158, &[0x1002, 0x1000]), NONE);
}

#[test]
fn requests_of_ioctl() {
    let fake = Fake::default();
    assert_eq!(fake.memory(16, &[0, 0x5401, 0x1000]), ["write ioctl(tcgets) 1000+24"]);
    assert_eq!(fake.after(16, &[0, 0x5401, 0x1000], 0, &Kept::default()), ["1000+24"]);
    assert_eq!(fake.registers(16, &[0, 0x5451, 0]).len(), 2, "FIOCLEX has no argument");
    // By direction and size; an old request that is not known checks nothing.
    assert_eq!(fake.memory(16, &[0, 0x4008_7a01, 0x1000]), ["read ioctl(generic) 1000+8"]);
    assert_eq!(fake.memory(16, &[0, 0x8008_7a01, 0x1000]), ["write ioctl(generic) 1000+8"]);
    assert_eq!(fake.memory(16, &[0, 0xc008_7a01, 0x1000]).len(), 2);
    assert_eq!(fake.memory(16, &[0, 0x0000_7a01, 0x1000]), NONE);
    // evdev's names are as long as the result says.
    assert_eq!(fake.memory(16, &[0, 0x8100_4506, 0x1000]), ["write ioctl(evio*) 1000+100"]);
    assert_eq!(fake.after(16, &[0, 0x8100_4506, 0x1000], 7, &Kept::default()), ["1000+7"]);
    // Interfaces: a name, then one field.
    assert_eq!(
        fake.memory(16, &[0, 0x8914, 0x1000]),
        ["string ioctl(siocsifflags) 1000+10", "read ioctl(siocsifflags) 1010+2"]
    );
    let configuration = Fake::default().words(0x1000, &[80, 0x2000]);
    assert_eq!(configuration.memory(16, &[0, 0x8912, 0x1000])[2], "write ioctl(siocgifconf).ifc_buf 2000+50");
}

#[test]
fn nested_requests_of_ioctl() {
    // ethtool: what a command reads or writes is behind the interface's request.
    let card = |command: u64| {
        Fake::default().put(0x1000, b"lo\0").words(0x1010, &[0x2000]).words(0x2000, &[command, 3])
    };
    let name =
        ["read ioctl(siocethtool,ir->ifr_data) 2000+4", "string ioctl(siocethtool,ir->ifr_name) 1000+10"];
    let driver = card(3).memory(16, &[0, 0x8946, 0x1000]);
    assert_eq!(driver[..2], name);
    assert_eq!(driver[2..], ["write ioctl(siocethtool,gdrvinfo) 2000+c4"]);
    assert_eq!(card(3).after(16, &[0, 0x8946, 0x1000], 0, &Kept::default()), ["2000+c4"]);
    let strings = card(0x1b).memory(16, &[0, 0x8946, 0x1000]);
    assert_eq!(
        strings[2..],
        ["read ioctl(siocethtool,gstrings) 2000+c", "write ioctl(siocethtool,gstrings) 200c+60"]
    );
    // SCSI: a command of six bytes, eight bytes from the device.
    let scsi = Fake::default().words(
        0x1000,
        &[0xffff_fffd_0000_0053, 0x0000_0008_0000_2006, 0x3000, 0x4000, 0x5000, 0, 0, 0, 0x0400_0000, 0, 0],
    );
    assert_eq!(
        scsi.memory(16, &[0, 0x2285, 0x1000]),
        ["read ioctl(sg_io) 1000+58", "read ioctl(sg_io) 4000+6", "write ioctl(sg_io) 3000+8"]
    );
    assert_eq!(scsi.after(16, &[0, 0x2285, 0x1000], 0, &Kept::default()), ["3000+8", "1040+18", "5000+4"]);
    // Extents: room for three, two found.
    let extents = Fake::default().words(0x1000, &[0, 0, 2 << 32, 3]);
    assert_eq!(extents.memory(16, &[0, 0xc020_660b, 0x1000])[2], "write ioctl(fs_ioc_fiemap) 1020+a8");
    assert_eq!(extents.after(16, &[0, 0xc020_660b, 0x1000], 0, &Kept::default()), ["1000+20", "1020+70"]);
}

#[test]
fn ioctl_requests_ascend() {
    let entries = super::ioctl_table::ENTRIES;
    assert!(entries.is_sorted_by(|left, right| left.request < right.request));
}

#[test]
fn polls_read_no_events_of_negative_descriptors() {
    let fake = Fake::default().put(0x1000, &[5, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    assert_eq!(
        fake.memory(7, &[0x1000, 2, 0]),
        [
            "read poll(ufds.fd) 1000+4",
            "read poll(ufds.events) 1004+2",
            "write poll(ufds.revents) 1006+2",
            "read poll(ufds.fd) 1008+4",
            "write poll(ufds.revents) 100e+2"
        ]
    );
    assert_eq!(fake.after(7, &[0x1000, 2, 0], 1, &Kept::default()), ["1006+2", "100e+2"]);
    assert_eq!(fake.after(7, &[0x1000, 2, 0], -4, &Kept::default()), ["1006+2", "100e+2"]);
    assert_eq!(fake.memory(7, &[0x1000, 1 << 30, 0]), NONE);
}

#[test]
fn sets_of_select_are_marked_in_words() {
    let fake = Fake::default();
    assert_eq!(fake.memory(23, &[20, 0x1000, 0, 0, 0]), ["read select(readfds) 1000+2"]);
    assert_eq!(fake.after(23, &[20, 0x1000, 0, 0, 0], 1, &Kept::default()), ["1000+8"]);
    assert_eq!(fake.memory(270, &[0, 0, 0, 0, 0, 0x1000]), ["read pselect6(sig) 1000+10"]);
    let mask = Fake::default().words(0x1000, &[0x2000, 8]);
    assert_eq!(mask.memory(270, &[0, 0, 0, 0, 0, 0x1000])[1], "read pselect6(sig->ss) 2000+8");
}

#[test]
fn sleeps_tell_the_rest_when_interrupted() {
    let fake = Fake::default();
    assert_eq!(fake.after(35, &[0x1000, 0x2000], 0, &Kept::default()), NONE);
    assert_eq!(fake.after(35, &[0x1000, 0x2000], -4, &Kept::default()), ["2000+10"]);
    assert_eq!(fake.after(230, &[0, 0, 0x1000, 0x2000], -4, &Kept::default()), ["2000+10"]);
    assert_eq!(fake.after(230, &[0, 1, 0x1000, 0x2000], -4, &Kept::default()), NONE);
}

#[test]
fn actions_are_read_field_by_field() {
    let fake = Fake::default().words(0x1000, &[0, 0x0400_0000, 0, 0]);
    let checks = fake.memory(13, &[10, 0x1000, 0x2000, 8]);
    assert_eq!(checks[3], "read rt_sigaction(act->sa_restorer) 1010+8");
    assert_eq!(checks[4], "write rt_sigaction(oldact) 2000+20");
    let fake = Fake::default().words(0x1000, &[0; 4]);
    assert_eq!(fake.memory(13, &[10, 0x1000, 0, 8]).len(), 3);
}

#[test]
fn exec_follows_both_arrays() {
    let fake = Fake::default().words(0x1000, &[0x5000, 0x5100, 0]).words(0x2000, &[0x6000, 0]);
    assert_eq!(
        fake.memory(59, &[0x4000, 0x1000, 0x2000]),
        [
            "string execve(filename) 4000",
            "read execve(argv) 1000+8",
            "string execve(argv[0]) 5000",
            "read execve(argv) 1008+8",
            "string execve(argv[i]) 5100",
            "read execve(argv) 1010+8",
            "read execve(envp) 2000+8",
            "string execve(envp[i]) 6000",
            "read execve(envp) 2008+8"
        ]
    );
}

#[test]
fn semaphores_need_an_answer() {
    assert_eq!(Fake::default().memory(66, &[1, 0, 13, 0x1000]), NONE);
    let fake = Fake { semaphores: Some(3), ..Fake::default() };
    assert_eq!(fake.memory(66, &[1, 0, 13, 0x1000]), ["write semctl(ipc_getall, arg.array) 1000+6"]);
    assert_eq!(fake.memory(66, &[1, 0, 17, 0x1000]), ["read semctl(ipc_setall, arg.array) 1000+6"]);
    assert_eq!(fake.registers(66, &[1, 0, 14, 0]).len(), 3);
}

#[test]
fn maps_need_an_answer() {
    let attributes = |map| Fake { map, ..Fake::default() }.words(0x1000, &[3, 0x2000, 0x3000, 0]);
    assert_eq!(attributes(None).memory(321, &[1, 0x1000, 32]).len(), 3);
    assert_eq!(
        attributes(Some((4, 16))).memory(321, &[1, 0x1000, 32])[3..],
        ["read bpf(attr->key) 2000+4", "write bpf(attr->value) 3000+10"]
    );
    assert_eq!(attributes(Some((4, 16))).after(321, &[1, 0x1000, 32], 0, &Kept::default()), ["3000+10"]);
    // Fields beyond the size are not looked at.
    assert_eq!(attributes(None).memory(321, &[1, 0x1000, 16]).len(), 2);
}

#[test]
fn keys_by_operation() {
    let fake = Fake::default();
    assert_eq!(fake.registers(250, &[11, 1, 0x1000, 8]).len(), 4);
    assert_eq!(fake.registers(250, &[11, 1, 0x1000, 8])[2], "keyctl(KEYCTL_READ)(buffer) 2:8");
    assert_eq!(fake.after(250, &[11, 1, 0x1000, 8], 20, &Kept::default()), ["1000+8"]);
    assert_eq!(fake.registers(250, &[99]), ["keyctl(option) 0:4"]);
}

#[test]
fn clones_by_flags() {
    let fake = Fake::default();
    assert_eq!(fake.registers(56, &[17, 0, 0, 0, 0]).len(), 2);
    assert_eq!(fake.registers(56, &[0x3d_0f00, 0, 0x1000, 0x2000, 0x3000]).len(), 5);
    assert_eq!(fake.after(56, &[0x30_0000, 0, 0x1000, 0x2000, 0], 9, &Kept::default()), ["1000+4"]);
    let arguments = Fake::default().words(0x1000, &[0x10_1000, 0x2000, 0, 0x3000, 17, 0, 0, 0]);
    assert_eq!(
        arguments.memory(435, &[0x1000, 64]),
        [
            "read clone3(uargs) 1000+40",
            "write clone3(uargs->pidfd) 2000+4",
            "write clone3(uargs->parent_tid) 3000+4"
        ]
    );
    assert_eq!(arguments.memory(435, &[0x1000, 1 << 40]), NONE);
}

#[test]
fn requests_of_aio_are_followed() {
    // One request: readv into one buffer, and its event.
    let fake = Fake::default()
        .words(0x1000, &[0x2000])
        .words(0x2000, &[0, 0, 7, 0x3000, 1, 0, 0, 0])
        .words(0x3000, &[0x4000, 8])
        .words(0x5000, &[0, 0x2000, 5, 0]);
    assert_eq!(
        fake.memory(209, &[1, 1, 0x1000]),
        [
            "read io_submit(iocbpp) 1000+8",
            "read io_submit(iocb) 2000+40",
            "read io_submit(preadv) 3000+10",
            "write io_submit(preadv(iov[i])) 4000+8"
        ]
    );
    assert_eq!(fake.after(208, &[1, 1, 4, 0x5000, 0], 1, &Kept::default()), ["5000+20", "4000+5"]);
}

#[test]
fn capabilities_by_version() {
    let fake = Fake::default().put(0x1000, &0x2008_0522_u32.to_le_bytes());
    assert_eq!(fake.memory(125, &[0x1000, 0x2000])[1], "write capget(data) 2000+18");
    let odd = Fake::default().put(0x1000, &[1, 0, 0, 0]);
    let (_, kept) = odd.before(125, &[0x1000, 0]);
    assert_eq!(odd.after(125, &[0x1000, 0], -22, &kept), ["1000+4"]);
}

#[test]
fn registers_of_all_items_are_in_order() {
    let fake = Fake::default();
    let indices: Vec<u64> = fake
        .registers(9, &[0; 6])
        .iter()
        .map(|line| {
            line.rsplit(' ').next().and_then(|place| place.split(':').next()).unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(indices, numbers(6));
    assert_eq!(fake.registers(39, &[]), vec![""; 0]);
}
