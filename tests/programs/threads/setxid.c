// build: cc -O2 -pthread
// libc changes the ids of all threads by a signal of its own (33), whatever the threads do and block, while others arrive.
#define _GNU_SOURCE
#include "../busy.h"
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static volatile long arrived;
static void handler(int signal) { __atomic_fetch_add(&arrived, signal == SIGUSR1, __ATOMIC_SEQ_CST); }

static void *blocks_all(void *unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!stop) usleep(500);
    return unused;
}
static void *ends(void *unused) { return unused; }
static void *creates(void *unused) {
    pthread_t thread;
    while (!stop) CHECK(pthread_create(&thread, NULL, ends, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return unused;
}

int main(void) {
    void *(*const bodies[])(void *) = {calculates, allocates, blocks_all, creates};
    pthread_t threads[4];
    signal(SIGUSR1, handler);
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0);
    for (int i = 0; i < 150; i++) {
        CHECK(pthread_kill(threads[i % 2], SIGUSR1) == 0);
        CHECK(setgid(getgid()) == 0 && setuid(getuid()) == 0);
        while (arrived <= i) usleep(100);
    }
    stop = 1;
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return SUCCESS();
}
