// build: cc -g -O0
// Chains through heap blocks: aligned words count, unaligned ones do not, freed links break the chain.
#include "../guest.h"

static void **table;

static void __attribute__((noinline)) fill(void) {
    table = calloc(50, sizeof(void *)); //~ reachable 400 1
    for (int i = 0; i < 50; i += 5) {
        table[i] = calloc(1, 25); //~ reachable 250 10
    }
    char *packed = calloc(1, 64); //~ reachable 64 1
    void *inner = calloc(1, 17); //~ definite 17 1
    memcpy(packed + 4, &inner, sizeof inner);
    table[1] = packed;
    void **link = calloc(1, 18);
    *link = calloc(1, 19); //~ definite 19 1
    table[2] = link;
    free(link);
    link = NULL;
    inner = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
