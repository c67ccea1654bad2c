// build: cc -g -O0 -pthread
// Many threads that allocate, pass blocks to another thread, and are joined: only what nobody freed is left.
#include "../guest.h"
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 500 };
static void *box[THREADS][ROUNDS];

static void *produce(void *argument) {
    long self = (long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        box[self][i] = malloc(16 + i % 50); //~ definite 1600 40
        void *volatile own = malloc(100);
        free(own);
    }
    return NULL;
}

static void *consume(void *argument) {
    long self = (long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 100 != 24) free(box[self][i]);
        box[self][i] = NULL;
    }
    return NULL;
}

int main(void) {
    void *(*const bodies[2])(void *) = {produce, consume};
    for (int phase = 0; phase < 2; phase++) {
        pthread_t threads[THREADS];
        for (long i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, bodies[phase], (void *)i) == 0);
        for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    }
    scrub();
    return SUCCESS();
}
