// build: cc -O2
// Waiting with a mask: sigsuspend, ppoll, pselect, epoll_pwait, sigtimedwait, signalfd; the mask comes back.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int count;
static void handler(int signal) { count += signal == SIGALRM; }

static void arm(void) {
    struct itimerval timer = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void check_mask(void) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGALRM) && !sigismember(&now, SIGUSR1));
}

int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigset_t block, open;
    sigemptyset(&open);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event) == 0);
    for (int round = 0; round < 4; round++) {
        int before = count;
        arm();
        // Every second round the signal is pending already when the wait begins.
        if (round % 2) usleep(40000);
        CHECK(count == before);
        CHECK(sigsuspend(&open) == -1 && errno == EINTR && count == before + 1);
        check_mask();
        arm();
        if (round % 2) usleep(40000);
        struct pollfd poll = {.fd = pipes[0], .events = POLLIN};
        CHECK(ppoll(&poll, 1, NULL, &open) == -1 && errno == EINTR && count == before + 2);
        check_mask();
        arm();
        if (round % 2) usleep(40000);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(pipes[0], &set);
        CHECK(pselect(pipes[0] + 1, &set, NULL, NULL, NULL, &open) == -1 && errno == EINTR && count == before + 3);
        check_mask();
        arm();
        if (round % 2) usleep(40000);
        CHECK(epoll_pwait(epoll, &event, 1, -1, &open) == -1 && errno == EINTR && count == before + 4);
        check_mask();
    }
    siginfo_t info;
    arm();
    CHECK(sigwaitinfo(&block, &info) == SIGALRM && info.si_code == SI_KERNEL);
    struct timespec brief = {0, 10000000};
    CHECK(sigtimedwait(&block, &info, &brief) == -1 && errno == EAGAIN);
    sigaddset(&block, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &block, NULL);
    CHECK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 77}) == 0);
    CHECK(sigtimedwait(&block, &info, NULL) == SIGRTMIN + 3);
    CHECK(info.si_value.sival_int == 77 && info.si_code == SI_QUEUE && info.si_pid == getpid());
    sigaddset(&block, SIGSEGV);
    sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, NULL);
    int fd = signalfd(-1, &block, SFD_NONBLOCK);
    struct signalfd_siginfo record;
    CHECK(fd >= 0 && read(fd, &record, sizeof record) == -1 && errno == EAGAIN);
    CHECK(kill(getpid(), SIGSEGV) == 0);
    CHECK(read(fd, &record, sizeof record) == sizeof record && record.ssi_signo == SIGSEGV && record.ssi_code == SI_USER);
    pid_t child = fork();
    if (child == 0) _exit(9);
    struct pollfd poll_one = {.fd = fd, .events = POLLIN};
    CHECK(poll(&poll_one, 1, 10000) == 1 && read(fd, &record, sizeof record) == sizeof record);
    CHECK(record.ssi_signo == SIGCHLD && record.ssi_status == 9 && record.ssi_pid == (unsigned)child);
    CHECK(waitpid(child, NULL, 0) == child);
    printf("%d\n", count);
    return SUCCESS();
}
