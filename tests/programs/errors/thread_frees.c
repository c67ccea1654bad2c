// build: cc -g -O0 -w -pthread
// build fast: cc -g -O2 -w -fno-builtin -fno-ipa-icf -pthread
// build clang: clang -g -O1 -w -fno-builtin -pthread
// Blocks that several threads free: each of two is right once; the second free of a block is wrong, whoever makes it.
#include "../guest.h"
#include <pthread.h>

enum { THREADS = 4, BLOCKS = 500 };

static void *blocks[BLOCKS];
static void *volatile handed;
static pthread_barrier_t barrier;

static void *own(void *unused) {
    for (int i = 0; i < 20000; i++) {
        void *volatile block = malloc(i % 700);
        free(block);
    }
    return NULL;
}

// Every thread frees every block; one of them is right.
static void *race(void *unused) {
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]); //~ InvalidFree 0
    }
    return NULL;
}

static void *once(void *unused) {
    free(handed);
    return NULL;
}

static void *again(void *unused) {
    free(handed); //~ InvalidFree 0
    return NULL;
}

static void *inside(void *unused) {
    free((char *)handed + 8); //~ InvalidFree 0
    return NULL;
}

static void run(void *(*work)(void *), int count) {
    pthread_t threads[THREADS];
    for (int i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    run(own, THREADS);
    handed = malloc(32);
    run(inside, 1);
    run(once, 1);
    run(again, 1);
    free(handed); //~ InvalidFree 0
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(48);
    }
    pthread_barrier_init(&barrier, NULL, THREADS);
    run(race, THREADS);
    puts("EXIT-SUCCESS");
    return 0;
}
