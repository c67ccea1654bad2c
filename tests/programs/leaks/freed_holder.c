// build: cc -g -O0
// build musl: musl-gcc -g -O0 -static
// Freed memory holds no pointers, even while nothing has overwritten it, and a freed block is never lost.
#include "../guest.h"

static void **freed, **grown;

static void __attribute__((noinline)) fill(void) {
    freed = calloc(20, sizeof(void *));
    freed[0] = calloc(1, 21); //~ definite 21 1
    freed[10] = calloc(1, 42); //~ definite 42 1
    free(freed);
    grown = calloc(4, sizeof(void *));
    grown[3] = calloc(1, 63); //~ reachable 63 1
    void **old = grown;
    grown = realloc(grown, 4000); //~ reachable 4000 1
    memset(grown + 4, 0, 4000 - 32);
    old = NULL;
    (void)old;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
