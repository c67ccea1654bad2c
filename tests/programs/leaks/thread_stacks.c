// build: cc -g -O0 -pthread
// Stacks, registers and thread-local variables of threads that still live at the end are roots.
#include "../guest.h"
#include <pthread.h>
#include <unistd.h>

static __thread void *mine;
static pthread_barrier_t barrier;

static void *body(void *argument) {
    void *volatile on_stack = calloc(1, 70); //~ reachable 140 2
    mine = calloc(1, 80); //~ reachable 160 2
    pthread_barrier_wait(&barrier);
    for (;;) pause();
    (void)on_stack;
    return argument;
}

int main(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0); //~ any
    }
    pthread_barrier_wait(&barrier);
    usleep(20000);
    return SUCCESS();
}
