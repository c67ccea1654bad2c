// build: cc -O2
// trace: partial
// Sessions, process groups, daemons by double fork, orphans and subreapers, parent-death signals, pidfds.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int died;
static void handler(int signal) { died = signal; }

int main(void) {
    int pipes[2], status;
    char c;
    CHECK(pipe(pipes) == 0);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t self = getpid();
    pid_t child = fork();
    if (child == 0) {
        CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
        pid_t daemon = fork();
        if (daemon) _exit(0);
        while (getppid() != self) usleep(1000);
        CHECK(write(pipes[1], "d", 1) == 1);
        _exit(21);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(read(pipes[0], &c, 1) == 1 && c == 'd');
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 21);

    child = fork();
    if (child == 0) {
        CHECK(setpgid(0, 0) == 0);
        CHECK(write(pipes[1], "g", 1) == 1);
        for (;;) pause();
    }
    CHECK(read(pipes[0], &c, 1) == 1 && getpgid(child) == child);
    pid_t other = fork();
    if (other == 0) {
        CHECK(setpgid(0, child) == 0 && write(pipes[1], "h", 1) == 1);
        for (;;) pause();
    }
    CHECK(read(pipes[0], &c, 1) == 1);
    CHECK(kill(-child, SIGTERM) == 0);
    CHECK(waitpid(-child, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
    CHECK(waitpid(-child, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);

    child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            signal(SIGUSR1, handler);
            CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
            CHECK(write(pipes[1], "p", 1) == 1);
            while (!died) usleep(1000);
            CHECK(write(pipes[1], "q", 1) == 1);
            _exit(0);
        }
        for (;;) pause();
    }
    CHECK(read(pipes[0], &c, 1) == 1 && kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    CHECK(read(pipes[0], &c, 1) == 1 && c == 'q' && wait(&status) > 0);

    child = fork();
    if (child == 0) pause();
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    if (fd >= 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        CHECK(poll(&poll_fd, 1, 0) == 0);
        CHECK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
        CHECK(poll(&poll_fd, 1, 10000) == 1);
    } else {
        kill(child, SIGTERM);
    }
    CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
    CHECK(kill(child, 0) == -1 && errno == ESRCH);
    return SUCCESS();
}
