// build: cc -g -O0 -pthread
// exit() from a thread while main waits: the stack of main is still a root.
#include "../guest.h"
#include <pthread.h>

static void *body(void *argument) {
    void *volatile lost = calloc(1, 36); //~ definite 36 1
    lost = argument;
    scrub();
    exit(SUCCESS());
}

int main(void) {
    void *volatile kept = calloc(1, 24); //~ reachable 24 1
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0); //~ any
    pthread_join(thread, NULL);
    return kept != NULL;
}
