// build: cc -O2 -pthread
// Timers of all kinds: signal with value, given thread, new thread, interval timers of CPU time, alarm, timerfd.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile int counts[65];
static volatile int value, in_thread, wrong_thread;
static pid_t expected_tid;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    counts[signal]++;
    if (info->si_code == SI_TIMER) value = info->si_value.sival_int;
    if (signal == SIGRTMIN + 2 && syscall(SYS_gettid) != expected_tid) wrong_thread++;
}
static void on_thread(union sigval v) { in_thread += v.sival_int; }

static timer_t start(struct sigevent *event, long nanoseconds) {
    timer_t timer;
    struct itimerspec spec = {{0, nanoseconds}, {0, nanoseconds}};
    CHECK(timer_create(CLOCK_MONOTONIC, event, &timer) == 0 && timer_settime(timer, 0, &spec, NULL) == 0);
    return timer;
}

static void *owner(void *argument) {
    expected_tid = (pid_t)syscall(SYS_gettid);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2};
    event.sigev_notify_thread_id = expected_tid;
    timer_t timer = start(&event, 2000000);
    while (counts[SIGRTMIN + 2] < 20) {
    }
    timer_delete(timer);
    return argument;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (int s = 1; s <= 64; s++)
        if (s != SIGKILL && s != SIGSTOP && s != 32 && s != 33) sigaction(s, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 99};
    timer_t timer = start(&event, 1000000);
    while (counts[SIGRTMIN + 1] < 20) pause();
    CHECK(timer_getoverrun(timer) >= 0 && timer_delete(timer) == 0 && value == 99);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, owner, NULL) == 0 && pthread_join(thread, NULL) == 0 && wrong_thread == 0);
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread, .sigev_value.sival_int = 1};
    timer = start(&event, 2000000);
    while (in_thread < 5) usleep(1000);
    CHECK(timer_delete(timer) == 0);
    struct itimerval interval = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_VIRTUAL, &interval, NULL);
    setitimer(ITIMER_PROF, &interval, NULL);
    while (counts[SIGVTALRM] < 5 || counts[SIGPROF] < 5) {
    }
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    setitimer(ITIMER_PROF, &off, NULL);
    alarm(1);
    while (!counts[SIGALRM]) pause();
    CHECK(alarm(0) == 0);
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec spec = {{0, 1000000}, {0, 1000000}};
    uint64_t expirations, sum = 0;
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &spec, NULL) == 0);
    while (sum < 5) {
        CHECK(read(fd, &expirations, 8) == 8 && expirations >= 1);
        sum += expirations;
    }
    for (int s = 1; s <= 64; s++) {
        int ours = s == SIGRTMIN + 1 || s == SIGRTMIN + 2 || s == SIGVTALRM || s == SIGPROF || s == SIGALRM;
        CHECK((counts[s] > 0) == ours);
    }
    return SUCCESS();
}
