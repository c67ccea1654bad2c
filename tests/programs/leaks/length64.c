// build: cc -g -O0
// The heuristic for allocators that keep the size in the first word and hand out what follows it.
#include "../guest.h"
#include <stdint.h>

static void *good, *wrong_size, *wrong_offset;

static uint64_t *sized(uint64_t stored) {
    uint64_t *block = calloc(1, 108); //~ reachable 108 1 //~ possible 108 1 //~ possible 108 1
    *block = stored;
    return block;
}

static void __attribute__((noinline)) fill(void) {
    good = sized(100) + 1;
    wrong_size = sized(101) + 1;
    wrong_offset = sized(100) + 2;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
