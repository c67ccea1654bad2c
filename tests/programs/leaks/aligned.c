// build: cc -g -O0
// build static: cc -g -O0 -static
// Allocations with an alignment: start pointers, blocks, sizes as requested.
#define _GNU_SOURCE
#include "../guest.h"
#include <malloc.h>
#include <stdint.h>

static void *kept;

static void __attribute__((noinline)) fill(void) {
    void *volatile p = aligned_alloc(64, 192); //~ definite 192 1
    CHECK((uintptr_t)p % 64 == 0);
    void *q = NULL;
    CHECK(posix_memalign(&q, 4096, 100) == 0); //~ definite 100 1
    CHECK((uintptr_t)q % 4096 == 0);
    q = NULL;
    p = memalign(256, 77); //~ definite 77 1
    CHECK((uintptr_t)p % 256 == 0);
    p = valloc(33); //~ definite 33 1
    CHECK((uintptr_t)p % 4096 == 0);
    kept = aligned_alloc(1024, 2048); //~ reachable 2048 1
    CHECK((uintptr_t)kept % 1024 == 0);
    p = aligned_alloc(128, 128);
    free(p);
    p = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
