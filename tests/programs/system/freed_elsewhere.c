// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread -fno-builtin
// build clang: clang -g -O1 -pthread -fno-builtin
// A block is freed by another thread than the one that goes on using it.
#include "../guest.h"
#include <pthread.h>

static void *release(void *block) {
    free(block);
    return NULL;
}

int main(void) {
    volatile long *list = calloc(4, sizeof *list);
    list[1] = 5;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, release, (void *)list) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    list[2] = list[1] + 1; //~ InvalidRead 8 //~ InvalidWrite 8
    return SUCCESS();
}
