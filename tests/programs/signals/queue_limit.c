// build: cc -O2 -pthread
// Without room for a single queued siginfo (RLIMIT_SIGPENDING), signals still arrive, each once, whatever their thread
// does; and exit ends threads that calculate.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static volatile int arrived, wrong, stop;
static volatile pid_t target;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    wrong += gettid() != target || signal != info->si_signo;
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
}
static void *calculates(void *unused) {
    target = gettid();
    while (!stop)
        for (volatile int i = 0; i < 1000; i++) {
        }
    return unused;
}
static void *allocates(void *unused) {
    target = gettid();
    while (!stop) {
        void *volatile p = malloc(64);
        free(p);
    }
    return unused;
}
static void *changes_masks(void *unused) {
    sigset_t set;
    sigfillset(&set);
    target = gettid();
    while (!stop) {
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        getppid();
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    return unused;
}
static void *sleeps(void *unused) {
    target = gettid();
    while (!stop) usleep(100);
    return unused;
}

int main(void) {
    void *(*const bodies[])(void *) = {calculates, allocates, changes_masks, sleeps};
    static const int signals[] = {SIGUSR1, SIGTERM, SIGSEGV, SIGTRAP};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    for (int i = 0; i < 4; i++) CHECK(sigaction(signals[i], &action, NULL) == 0);
    CHECK(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){0, 0}) == 0);
    pthread_t thread;
    for (unsigned body = 0; body < sizeof bodies / sizeof *bodies; body++) {
        arrived = wrong = stop = target = 0;
        CHECK(pthread_create(&thread, NULL, bodies[body], NULL) == 0);
        while (target == 0) usleep(100);
        for (int i = 0; i < 600; i++) {
            CHECK(pthread_kill(thread, SIGRTMIN) == EAGAIN && pthread_kill(thread, signals[i % 4]) == 0);
            for (int k = 0; k < 100000 && arrived == i; k++) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
            CHECK(arrived == i + 1);
        }
        stop = 1;
        CHECK(pthread_join(thread, NULL) == 0 && wrong == 0);
    }
    stop = 0;
    CHECK(pthread_create(&thread, NULL, calculates, NULL) == 0);
    usleep(20000);
    return SUCCESS();
}
