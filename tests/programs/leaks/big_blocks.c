// build: cc -g -O0
// Blocks of megabytes, many small ones, and pointers that live only deep inside a large block.
#include "../guest.h"

static void **big;

static void __attribute__((noinline)) fill(void) {
    big = calloc(1, 3000000); //~ reachable 3000000 1
    for (int i = 0; i < 1000; i++) {
        big[i * 300] = calloc(1, 2000); //~ reachable 2000000 1000
    }
    void **volatile lost = calloc(1, 5000000); //~ definite 5000000+1200000 1
    lost[600000] = calloc(1, 1200000); //~ indirect 1200000 1
    lost = NULL;
    for (int i = 0; i < 20000; i++) {
        void *volatile p = calloc(1, 1 + i % 7); //~ definite 79997 20000
        p = NULL;
    }
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
