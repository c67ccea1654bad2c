// build: cc -O2 -pthread
// Which thread gets a signal: the one it is sent to, the one that has it unblocked, the one that waits.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread int self;
static volatile int got[4], stop;
static pthread_barrier_t barrier;

static void handler(int signal) { got[self] += signal == SIGUSR1; }

static void *open_thread(void *argument) {
    self = (int)(long)argument;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(self == 2 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
    pthread_barrier_wait(&barrier);
    while (!stop) usleep(1000);
    return NULL;
}

static void *waiting(void *argument) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_barrier_wait(&barrier);
    int signal;
    for (int i = 0; i < 10; i++) CHECK(sigwait(&set, &signal) == 0 && signal == SIGUSR2);
    return argument;
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    pthread_barrier_init(&barrier, NULL, 5);
    pthread_t threads[3], waiter;
    for (long i = 1; i <= 3; i++) CHECK(pthread_create(&threads[i - 1], NULL, open_thread, (void *)i) == 0);
    CHECK(pthread_create(&waiter, NULL, waiting, NULL) == 0);
    pthread_barrier_wait(&barrier);
    for (int i = 1; i <= 20; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        while (got[2] < i) usleep(500);
    }
    for (int i = 21; i <= 40; i++) {
        CHECK(pthread_kill(threads[1], SIGUSR1) == 0);
        while (got[2] < i) usleep(500);
    }
    for (int i = 0; i < 10; i++) {
        CHECK(kill(getpid(), SIGUSR2) == 0);
        usleep(3000);
        sigset_t pending;
        do sigpending(&pending);
        while (sigismember(&pending, SIGUSR2) && usleep(500) == 0);
    }
    CHECK(pthread_join(waiter, NULL) == 0);
    CHECK(pthread_kill(threads[0], SIGUSR1) == 0);
    usleep(20000);
    stop = 1;
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    printf("%d %d %d %d\n", got[0], got[1], got[2], got[3]);
    return SUCCESS();
}
