// build: cc -g -O0 -pthread
// What only a thread knew is lost once the thread ended.
#include "../guest.h"
#include <pthread.h>

static __thread void *mine;

static void *body(void *argument) {
    mine = calloc(1, 48); //~ definite 144 3
    void *volatile on_stack = calloc(1, 64); //~ definite 192 3
    (void)on_stack;
    return argument;
}

int main(void) {
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    scrub();
    return SUCCESS();
}
