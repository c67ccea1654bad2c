// build: cc -g -O0
// Blocks of one stack make one record, another caller or another kind makes another.
#include "../guest.h"

static void *kept[4];

static void *allocate(size_t size) {
    return calloc(1, size); //~ definite 60 6 //~ definite 20 1 //~ reachable 40 4
}

static void __attribute__((noinline)) first(void) {
    for (int i = 0; i < 10; i++) {
        void *volatile p = allocate(10);
        if (i < 4) kept[i] = p;
        p = NULL;
    }
}

static void __attribute__((noinline)) second(void) {
    void *volatile p = allocate(20);
    p = NULL;
}

int main(void) {
    first();
    second();
    scrub();
    return SUCCESS();
}
