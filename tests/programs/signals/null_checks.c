// build: cc -O2 -pthread
// timeout: 120
// A hundred thousand bad accesses, each left by siglongjmp, in two threads.
#include "../guest.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static __thread sigjmp_buf back;
static void handler(int signal) { siglongjmp(back, signal); }

static void *body(void *argument) {
    long caught = 0;
    for (volatile int i = 0; i < 50000; i++) {
        int signal = sigsetjmp(back, 1);
        if (signal == 0) *(volatile int *)(long)(i % 4096) = i;
        else caught += signal == SIGSEGV;
    }
    CHECK(caught == 50000);
    return argument;
}

int main(void) {
    signal(SIGSEGV, handler);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    body(NULL);
    CHECK(pthread_join(thread, NULL) == 0);
    return SUCCESS();
}
