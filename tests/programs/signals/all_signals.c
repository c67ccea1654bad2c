// build: cc -O2 -pthread
// Blocks and handles every signal there is while threads allocate: it sees none that it did not send.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static volatile int counts[65];
static void handler(int signal) { __atomic_fetch_add(&counts[signal], 1, __ATOMIC_SEQ_CST); }

static void *body(void *argument) {
    for (int i = 0; i < 100000; i++) {
        void *volatile p = malloc(1 + (size_t)i % 300);
        free(p);
    }
    return argument;
}

int main(void) {
    int handled = 0;
    for (int s = 1; s <= 64; s++) handled += signal(s, handler) != SIG_ERR;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    sigemptyset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (int i = 2; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    for (int i = 0; i < 100; i++) CHECK(raise(SIGRTMAX) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int s = 1; s <= 64; s++)
        if (counts[s]) printf("signal %d: %d\n", s, counts[s]);
    printf("handled %d\n", handled);
    return SUCCESS();
}
