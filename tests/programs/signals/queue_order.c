// build: cc -O2 -pthread
// Real-time signals that one thread sends to another, which calculates, allocates, makes system calls or sleeps, arrive in
// the order in which they were sent, each once, with what the sender gave them, and never while they are blocked.
#define _GNU_SOURCE
#include "../busy.h"
#include "../guest.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

static volatile int arrived, disorder, closed;
static sigset_t own;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (info->si_value.sival_int != arrived || closed) disorder++;
    if (signal != SIGRTMIN || info->si_code != SI_QUEUE || info->si_pid != getpid() || info->si_uid != getuid()) disorder++;
    arrived++;
}
static void *calls(void *unused) {
    while (!stop) getppid();
    return unused;
}
static void *sleeps(void *unused) {
    while (!stop) usleep(100);
    return unused;
}
static void *blocks(void *unused) {
    while (!stop) {
        pthread_sigmask(SIG_BLOCK, &own, NULL);
        closed = 1;
        void *volatile p = malloc(64);
        free(p);
        getppid();
        closed = 0;
        pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    }
    return unused;
}
static void *awaits(void *unused) {
    sigset_t open;
    pthread_sigmask(SIG_BLOCK, &own, &open);
    closed = 1;
    while (!stop) {
        closed = 0;
        ppoll(NULL, 0, &(struct timespec){.tv_nsec = 1000000}, &open);
        closed = 1;
        getppid();
    }
    return unused;
}

int main(void) {
    void *(*const bodies[])(void *) = {calculates, allocates, calls, sleeps, blocks, awaits};
    sigemptyset(&own);
    sigaddset(&own, SIGRTMIN);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    for (unsigned body = 0; body < sizeof bodies / sizeof *bodies; body++) {
        pthread_t thread;
        arrived = disorder = stop = closed = 0;
        CHECK(pthread_create(&thread, NULL, bodies[body], NULL) == 0);
        int sent = 0;
        for (int round = 0; round < 500; round++) {
            for (int i = 0; i < 4; i++) {
                if (pthread_sigqueue(thread, SIGRTMIN, (union sigval){.sival_int = sent}) == 0) sent++;
            }
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        }
        for (int i = 0; i < 10000 && arrived != sent; i++) usleep(1000);
        stop = 1;
        CHECK(pthread_join(thread, NULL) == 0 && arrived == sent);
        printf("%d out of order\n", disorder);
        CHECK(disorder == 0);
    }
    return SUCCESS();
}
