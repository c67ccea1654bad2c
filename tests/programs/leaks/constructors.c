// build: cc -g -O0
// Allocations before main, in atexit handlers and in destructors.
#include "../guest.h"

static void *kept, *late;

static void __attribute__((constructor)) before_main(void) {
    void *volatile p = calloc(1, 71); //~ definite 71 1
    p = NULL;
    kept = calloc(1, 72); //~ reachable 72 1
}

static void at_exit(void) {
    void *volatile p = calloc(1, 73); //~ definite 73 1
    p = NULL;
    free(late);
}

static void __attribute__((destructor)) after_main(void) {
    void *volatile p = calloc(1, 74); //~ definite 74 1
    p = NULL;
    scrub();
}

int main(void) {
    late = calloc(1, 75);
    CHECK(atexit(at_exit) == 0);
    return SUCCESS();
}
