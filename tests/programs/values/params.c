// build: cc -g -O1
// What the kernel reads of undefined memory and registers, by name and field; and what it leaves alone: padding, parts that
// nobody looks at, memory that it only writes to.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static int null;
// Does not come back defined from libc's wrappers.
#define CALL(...) syscall(__VA_ARGS__)

static void memory(void) {
    char *block = malloc(16), local[16];
    __asm__ volatile("" : : "r"(local) : "memory");
    memset(block, 1, 8);
    CHECK(write(null, block, 8) == 8);
    CHECK(write(null, block, 16) == 16); //~ SyscallParam 0
    CHECK(write(null, local, 16) == 16); //~ SyscallParam 0
    CHECK(write(null, block + 8, 8) == 8); //~ SyscallParam 0
    CHECK(write(null, block + 8, 0) == 0);
    // The same once more is the same error, and it stays undefined.
    for (int i = 0; i < 3; i++) CHECK(write(null, block, 16) == 16); //~ SyscallParam 0
    CHECK(read(null, block, 16) == 0);
    struct stat *status = malloc(sizeof *status);
    CHECK(fstat(null, status) == 0 && S_ISCHR(status->st_mode));
    free(block), free(status);
}

static void strings(void) {
    char *name = malloc(32);
    strcpy(name, "/dev/null");
    CHECK(access(name, R_OK) == 0);
    char *other = malloc(32);
    other[0] = '/', other[1] = 'x', other[3] = 0;
    CHECK(access(other, R_OK) != 0 || 1); //~ SyscallParam 0
    int fd = open(other, O_RDONLY); //~ SyscallParam 0
    (void)fd;
    // A string ends in the block or not at all.
    char *endless = malloc(4);
    memcpy(endless, "/abc", 4);
    (void)!access(endless, R_OK); //~ SyscallParam 0
    free(name), free(other), free(endless);
}

static void registers(void) {
    long *number = malloc(4 * sizeof *number);
    number[3] = 1;
    CHECK(CALL(SYS_getpid, number[0]) == getpid());
    (void)!CALL(SYS_close, number[0] | 0x7fff0000); //~ SyscallParam 0
    (void)!CALL(SYS_lseek, null, number[1], SEEK_CUR); //~ SyscallParam 0
    // Only the low half of an int counts.
    unsigned *halves = (unsigned *)&number[2];
    halves[0] = (unsigned)null;
    CHECK(CALL(SYS_lseek, number[2], 0, SEEK_CUR) == 0);
    // Two at once are two.
    (void)!CALL(SYS_kill, number[0] | 0x7ffffff0, number[1] & 1); //~ SyscallParam 0
    free(number);
}

static void structures(void) {
    struct timespec *wait = malloc(sizeof *wait);
    wait->tv_sec = 0;
    (void)!nanosleep(wait, NULL); //~ SyscallParam 0
    wait->tv_nsec = 1;
    CHECK(nanosleep(wait, NULL) == 0);
    struct pollfd *polled = malloc(2 * sizeof *polled);
    polled[0].fd = -1, polled[0].events = POLLIN, polled[1].fd = null;
    (void)!poll(polled, 1, 0);
    (void)!poll(polled, 2, 0); //~ SyscallParam 0
    struct iovec *vector = malloc(2 * sizeof *vector);
    char *bytes = malloc(8);
    vector[0].iov_base = bytes, vector[0].iov_len = 4;
    memset(bytes, 1, 4);
    CHECK(writev(null, vector, 1) == 4);
    vector[1].iov_base = bytes + 2, vector[1].iov_len = 4;
    CHECK(writev(null, vector, 2) == 8); //~ SyscallParam 0
    int queue = epoll_create1(0), ends[2];
    CHECK(pipe(ends) == 0);
    // The user's data is the kernel's to keep, not to look at; it is 12 bytes without padding.
    struct epoll_event *event = malloc(sizeof *event);
    event->events = EPOLLIN, event->data.u64 = 1;
    CHECK(epoll_ctl(queue, EPOLL_CTL_ADD, ends[0], event) == 0);
    struct epoll_event *unset = malloc(sizeof *unset);
    (void)!epoll_ctl(queue, EPOLL_CTL_MOD, ends[0], unset); //~ SyscallParam 0
    close(queue), close(ends[0]), close(ends[1]);
    // The padding of a structure is nobody's.
    struct sigaction *action = malloc(sizeof *action);
    action->sa_handler = SIG_IGN, action->sa_flags = 0;
    sigemptyset(&action->sa_mask);
    CHECK(sigaction(SIGUSR1, action, NULL) == 0);
    free(wait), free(polled), free(vector), free(bytes), free(event), free(unset), free(action);
}

static void sockets(void) {
    struct sockaddr_un *name = malloc(sizeof *name);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    name->sun_family = AF_UNIX;
    strcpy(name->sun_path, "/nonexistent/socket");
    // Behind the NUL the name has ended.
    CHECK(connect(fd, (struct sockaddr *)name, sizeof *name) < 0);
    struct sockaddr_un *unset = malloc(sizeof *unset);
    unset->sun_family = AF_UNIX;
    CHECK(connect(fd, (struct sockaddr *)unset, 20) <= 0); //~ SyscallParam 0
    struct msghdr *message = malloc(sizeof *message);
    struct iovec *vector = malloc(sizeof *vector);
    char *bytes = malloc(8);
    vector->iov_base = bytes, vector->iov_len = 8;
    message->msg_name = name, message->msg_namelen = sizeof *name;
    message->msg_iov = vector, message->msg_iovlen = 1;
    message->msg_control = NULL, message->msg_controllen = 0, message->msg_flags = 0;
    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX, strcpy(name->sun_path, "/nonexistent/socket");
    memset(bytes, 1, 8);
    CHECK(sendmsg(fd, message, 0) < 0);
    char *other = malloc(8);
    vector->iov_base = other;
    CHECK(sendmsg(fd, message, 0) < 0); //~ SyscallParam 0
    int *option = malloc(sizeof *option);
    (void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, option, sizeof *option); //~ SyscallParam 0
    close(fd);
    free(name), free(unset), free(message), free(vector), free(bytes), free(other), free(option);
}

static void requests(void) {
    // By the table, and by the direction and size that a request's number has.
    int *number = malloc(sizeof *number);
    (void)!ioctl(null, FIONREAD, number);
    char *large = malloc(32);
    (void)!ioctl(null, _IOW('x', 200, char[24]), large); //~ SyscallParam 0
    (void)!ioctl(null, _IOR('x', 201, char[24]), large);
    (void)!ioctl(null, FIONBIO, malloc(4)); //~ SyscallParam 0
    free(number), free(large);
}

int main(void) {
    null = open("/dev/null", O_RDWR);
    memory();
    strings();
    registers();
    structures();
    sockets();
    requests();
    return SUCCESS();
}
