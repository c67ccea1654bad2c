// build: cc -O2
// build musl: musl-gcc -O2 -static
// The signals of faults, sent by kill while they are blocked: they wait like any other, are seen by sigpending, sigwait,
// signalfd and poll, end no system call, survive exec and not fork, and arrive once when they are unblocked.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int faults[5] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV};
static sigset_t five, none;
static volatile int order[64], count, code;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    code = info->si_code;
    order[count++] = signal;
}

// The signal is sent to this process by a child, 20 ms from now; then, if `fd` is one, a byte is written there.
static pid_t send_later(int signal, int fd) {
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        usleep(20000);
        kill(parent, signal);
        usleep(20000);
        if (fd >= 0 && write(fd, "x", 1) != 1) _exit(1);
        _exit(0);
    }
    CHECK(child > 0);
    return child;
}
static void reap(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void waits(void) {
    siginfo_t info;
    sigset_t pending;
    struct timespec zero = {0, 0};
    for (int i = 0; i < 5; i++) {
        int signal = faults[i];
        CHECK(sigtimedwait(&five, &info, &zero) == -1 && errno == EAGAIN);
        // Already pending, from three kinds of senders; a second instance is merged.
        CHECK(kill(getpid(), signal) == 0 && kill(getpid(), signal) == 0);
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, signal));
        CHECK(sigwaitinfo(&five, &info) == signal && info.si_code == SI_USER && info.si_pid == getpid());
        CHECK(sigqueue(getpid(), signal, (union sigval){.sival_int = 1234}) == 0);
        CHECK(sigwaitinfo(&five, &info) == signal && info.si_code == SI_QUEUE && info.si_value.sival_int == 1234);
        CHECK(raise(signal) == 0);
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, signal));
        // (glibc shows SI_TKILL as SI_USER.)
        CHECK(sigwaitinfo(&five, &info) == signal && info.si_code <= 0 && info.si_pid == getpid());
        CHECK(sigpending(&pending) == 0 && !sigismember(&pending, signal));
        // While it waits.
        pid_t child = send_later(signal, -1);
        CHECK(sigwaitinfo(&five, &info) == signal && info.si_pid == child);
        reap(child);
    }
    for (int i = 4; i >= 0; i--) CHECK(kill(getpid(), faults[i]) == 0);
    for (int i = 0; i < 5; i++) CHECK(sigwaitinfo(&five, &info) == faults[i]);
}

static void descriptors(void) {
    int fd = signalfd(-1, &five, SFD_NONBLOCK), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    struct pollfd poll_one = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo record;
    fd_set set;
    FD_ZERO(&set);
    CHECK(fd >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    for (int i = 0; i < 5; i++) {
        CHECK(poll(&poll_one, 1, 0) == 0 && epoll_wait(epoll, &event, 1, 0) == 0);
        for (int way = 0; way < 3; way++) {
            pid_t child = send_later(faults[i], -1);
            if (way == 0) CHECK(poll(&poll_one, 1, -1) == 1 && poll_one.revents == POLLIN);
            if (way == 1) CHECK(epoll_wait(epoll, &event, 1, -1) == 1 && event.data.u32 == 7);
            FD_SET(fd, &set);
            if (way == 2) CHECK(select(fd + 1, &set, NULL, NULL, NULL) == 1);
            CHECK(read(fd, &record, sizeof record) == sizeof record);
            CHECK((int)record.ssi_signo == faults[i] && (pid_t)record.ssi_pid == child && record.ssi_code == SI_USER);
            CHECK(read(fd, &record, sizeof record) == -1 && errno == EAGAIN);
            reap(child);
        }
    }
    // A read that waits.
    int waiting = signalfd(-1, &five, 0);
    pid_t child = send_later(SIGSEGV, -1);
    CHECK(waiting >= 0 && read(waiting, &record, sizeof record) == sizeof record && record.ssi_signo == SIGSEGV);
    reap(child);
    close(waiting), close(epoll), close(fd);
}

static void calls(void) {
    int pipes[2];
    char byte;
    siginfo_t info;
    CHECK(pipe(pipes) == 0);
    for (int i = 0; i < 5; i++) {
        // No system call is cut short by a signal that is blocked.
        pid_t child = send_later(faults[i], pipes[1]);
        CHECK(read(pipes[0], &byte, 1) == 1);
        reap(child);
        CHECK(sigwaitinfo(&five, &info) == faults[i]);
        child = send_later(faults[i], pipes[1]);
        struct pollfd poll_one = {.fd = pipes[0], .events = POLLIN};
        CHECK(poll(&poll_one, 1, 5000) == 1 && read(pipes[0], &byte, 1) == 1);
        reap(child);
        child = send_later(faults[i], -1);
        CHECK(nanosleep(&(struct timespec){0, 60000000}, NULL) == 0);
        reap(child);
        CHECK(sigwaitinfo(&five, &info) == faults[i] && count == 0);
    }
    close(pipes[0]), close(pipes[1]);
}

static void unblocking(void) {
    sigset_t user, open = none;
    for (int i = 4; i >= 0; i--) CHECK(kill(getpid(), faults[i]) == 0);
    getppid();
    CHECK(count == 0);
    // The last one that gets its frame runs first.
    sigprocmask(SIG_UNBLOCK, &five, NULL);
    CHECK(count == 5 && code == SI_USER);
    for (int i = 0; i < 5; i++) printf("%d ", order[i]);
    count = 0;
    sigprocmask(SIG_BLOCK, &five, NULL);
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    sigaddset(&user, SIGUSR2);
    sigprocmask(SIG_BLOCK, &user, NULL);
    for (int i = 0; i < 5; i++) {
        // All that sigsuspend and its relatives let through get their handlers before they come back.
        CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), faults[i]) == 0 && kill(getpid(), SIGUSR2) == 0);
        CHECK(sigsuspend(&open) == -1 && errno == EINTR && count == 3);
        for (int k = 0; k < 3; k++) printf("%d ", order[k]);
        count = 0;
        pid_t child = send_later(faults[i], -1);
        CHECK(ppoll(NULL, 0, NULL, &open) == -1 && errno == EINTR && count == 1 && order[0] == faults[i]);
        reap(child);
        count = 0;
        child = send_later(faults[i], -1);
        CHECK(pselect(0, NULL, NULL, NULL, NULL, &open) == -1 && errno == EINTR && count == 1);
        reap(child);
        count = 0;
        // The call's own mask blocks it too.
        child = send_later(faults[i], -1);
        CHECK(ppoll(NULL, 0, &(struct timespec){0, 60000000}, &five) == 0 && count == 0);
        reap(child);
        CHECK(sigpending(&open) == 0 && sigismember(&open, faults[i]));
        sigemptyset(&open);
        // Ignored once, it is gone.
        struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
        CHECK(sigaction(faults[i], &ignore, &old) == 0 && sigaction(faults[i], &old, NULL) == 0);
        CHECK(sigpending(&open) == 0 && !sigismember(&open, faults[i]));
        sigemptyset(&open);
    }
    sigprocmask(SIG_UNBLOCK, &user, NULL);
    CHECK(count == 0);
    printf("\n");
}

int main(int argc, char **argv) {
    sigemptyset(&none);
    sigemptyset(&five);
    for (int i = 0; i < 5; i++) sigaddset(&five, faults[i]);
    sigset_t pending;
    siginfo_t info;
    if (argc > 1) {
        // After exec: what was pending still is.
        CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGSEGV) && sigismember(&pending, SIGFPE));
        CHECK(sigwaitinfo(&five, &info) == SIGFPE && sigwaitinfo(&five, &info) == SIGSEGV);
        printf("again\n");
        return SUCCESS();
    }
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    for (int i = 0; i < 5; i++) CHECK(sigaction(faults[i], &action, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    sigprocmask(SIG_BLOCK, &five, NULL);
    waits();
    descriptors();
    calls();
    unblocking();
    CHECK(kill(getpid(), SIGSEGV) == 0 && raise(SIGFPE) == 0);
    pid_t child = fork();
    if (child == 0) {
        sigpending(&pending);
        _exit(sigismember(&pending, SIGSEGV) || sigismember(&pending, SIGFPE));
    }
    reap(child);
    fflush(stdout);
    execl(argv[0], argv[0], "again", NULL);
    CHECK(0);
}
