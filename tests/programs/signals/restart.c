// build: cc -O2 -pthread
// trace: partial
// Blocking calls interrupted by a timer, with and without SA_RESTART: each ends as the manual says.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int count;
static int pipes[2], sockets[2], epoll_fd;

static void handler(int signal) {
    (void)signal;
    // Gives a restarted call something to come back with.
    if (++count == 3) {
        CHECK(write(pipes[1], "x", 1) == 1);
        CHECK(write(sockets[1], "y", 1) == 1);
    }
}

static long do_read(void) { char c; return read(pipes[0], &c, 1); }
static long do_recv(void) { char c; return recv(sockets[0], &c, 1, 0); }
static long do_recvmsg(void) {
    char c;
    struct iovec iov = {&c, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(sockets[0], &message, 0);
}
static long do_poll(void) { return poll(&(struct pollfd){.fd = pipes[0], .events = POLLIN}, 1, 10000); }
static long do_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    return select(pipes[0] + 1, &set, NULL, NULL, &(struct timeval){10, 0});
}
static long do_epoll(void) { struct epoll_event event; return epoll_wait(epoll_fd, &event, 1, 10000); }
static long do_nanosleep(void) {
    struct timespec left = {0, 0};
    long result = nanosleep(&(struct timespec){10, 0}, &left);
    CHECK(result == -1 && left.tv_sec == 9);
    return result;
}
static long do_futex(void) { static int word; return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){0, 300000000}); }
static long do_pause(void) { return pause(); }
static long do_wait(void) {
    pid_t child = fork();
    if (child == 0) {
        usleep(200000);
        _exit(0);
    }
    long result = waitpid(child, NULL, 0);
    if (result == child) return 1;
    int saved = errno;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) == -1) {
    }
    errno = saved;
    return result;
}
static void run(const char *name, long (*call)(void), int restart) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = restart ? SA_RESTART : 0};
    sigaction(SIGALRM, &action, NULL);
    count = 0;
    struct itimerval timer = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    errno = 0;
    long result = call();
    int error = result < 0 ? errno : 0;
    setitimer(ITIMER_REAL, &off, NULL);
    printf("%s restart %d: %ld %s\n", name, restart, result, error ? strerrorname_np(error) : "ok");
    // Empties what the handler wrote.
    char buffer[16];
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    while (read(pipes[0], buffer, sizeof buffer) > 0 || read(sockets[0], buffer, sizeof buffer) > 0) {
    }
    fcntl(pipes[0], F_SETFL, 0);
    fcntl(sockets[0], F_SETFL, 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(pipe(pipes) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[0], &event) == 0);
    static const struct {
        const char *name;
        long (*call)(void);
    } calls[] = {{"read", do_read},     {"recv", do_recv},           {"recvmsg", do_recvmsg}, {"poll", do_poll},
                 {"select", do_select}, {"epoll_wait", do_epoll},    {"nanosleep", do_nanosleep}, {"futex", do_futex},
                 {"pause", do_pause},   {"waitpid", do_wait}};
    for (int restart = 0; restart < 2; restart++)
        for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) run(calls[i].name, calls[i].call, restart);
    return SUCCESS();
}
