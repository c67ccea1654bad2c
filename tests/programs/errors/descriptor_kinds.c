// build: cc -g -O0 -w
// peer: knows neither close_range nor clone3 before 3.21
// record: --track-fds=yes
// Every call that makes descriptors: what it made is closed twice.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

// What the kernel does not have, or not allow, counts as closed.
static void __attribute__((noinline)) twice(int fd) {
    if (fd < 0) {
        CHECK(errno == ENOSYS || errno == EPERM || errno == EACCES);
        fd = open("/dev/null", O_RDONLY);
    }
    CHECK(close(fd) == 0);
    CHECK(close(fd) == -1 && errno == EBADF); //~ FdBadClose 0
}

static void pass(int through, int fd) {
    char byte = 'x', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    CHECK(sendmsg(through, &message, 0) == 1);
}

static int receive(int from) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK(recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1); //~ FdNotClosed 0
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

int main(void) {
    int pair[2];
    twice(open("/dev/null", O_RDONLY));
    twice(openat(AT_FDCWD, "/dev/null", O_RDONLY));
    twice(creat("made", 0600));
    struct { unsigned long flags, mode, resolve; } how = {0};
    twice(syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof how));
    twice(dup(1));
    twice(dup2(1, 50));
    twice(dup3(1, 51, O_CLOEXEC));
    twice(fcntl(1, F_DUPFD, 52));
    CHECK(pipe(pair) == 0);
    twice(pair[0]), twice(pair[1]);
    CHECK(pipe2(pair, O_CLOEXEC) == 0);
    twice(pair[0]), twice(pair[1]);
    twice(socket(AF_INET, SOCK_STREAM, 0));
    twice(epoll_create(1));
    twice(epoll_create1(0));
    twice(syscall(SYS_eventfd, 0));
    twice(eventfd(0, EFD_CLOEXEC));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    twice(signalfd(-1, &set, 0));
    twice(timerfd_create(CLOCK_MONOTONIC, 0));
    twice(memfd_create("memory", 0));
    twice(inotify_init());
    twice(inotify_init1(IN_CLOEXEC));
    twice(syscall(SYS_pidfd_open, getpid(), 0));
    twice(syscall(SYS_userfaultfd, 1));
    twice(posix_openpt(O_RDWR | O_NOCTTY));

    int range[3];
    for (int i = 0; i < 3; i++) range[i] = open("/dev/null", O_RDONLY);
    CHECK(close_range(range[0], range[2], 0) == 0);
    CHECK(close(range[1]) == -1); //~ FdBadClose 0

    // Connections, and what comes through them.
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    CHECK(bind(listener, (void *)&address, length) == 0 && listen(listener, 2) == 0);
    CHECK(getsockname(listener, (void *)&address, &length) == 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (void *)&address, length) == 0);
    twice(accept(listener, NULL, NULL));
    close(client);
    client = socket(AF_INET, SOCK_STREAM, 0); //~ FdNotClosed 0
    CHECK(connect(client, (void *)&address, length) == 0);
    // Onto itself, which does nothing.
    CHECK(dup2(client, client) == client);
    twice(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    twice(listener);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pass(pair[0], 1);
    twice(receive(pair[1]));
    pass(pair[0], 2);
    receive(pair[1]);
    twice(pair[0]), twice(pair[1]);

    // Of a process.
    int pidfd = -1;
    struct { unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, rest[6]; } arguments = {
        .flags = 0x1000, .pidfd = (unsigned long)&pidfd, .exit_signal = SIGCHLD};
    pid_t child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit(0);
    CHECK(child > 0 && pidfd > 0);
    twice(pidfd);
    CHECK(waitpid(child, NULL, 0) == child);
    puts("EXIT-SUCCESS");
    return 0;
}
