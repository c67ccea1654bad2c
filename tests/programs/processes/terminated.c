// build: cc -O2 -pthread
// ends: signal 15
// Dies of SIGTERM with threads running.
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void *spin(void *argument) {
    for (volatile unsigned long i = 0;; i++) {
    }
    return argument;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, spin, NULL) == 0);
    puts("before the end");
    fflush(stdout);
    kill(getpid(), SIGTERM);
    for (;;) pause();
}
