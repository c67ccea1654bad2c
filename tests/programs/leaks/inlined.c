// build: cc -g -O2
// Inlined functions: the record still names the innermost line.
#include "../guest.h"

static void *volatile sink;

static inline __attribute__((always_inline)) void *innermost(size_t size) {
    return calloc(1, size); //~ definite 13 1 //~ definite 14 1
}

static inline __attribute__((always_inline)) void middle(size_t size) {
    sink = innermost(size);
    sink = NULL;
}

static void __attribute__((noinline)) outer(void) {
    middle(13);
    middle(14);
}

int main(void) {
    outer();
    scrub();
    return SUCCESS();
}
