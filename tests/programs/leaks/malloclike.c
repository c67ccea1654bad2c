// build: cc -g -O0
// Blocks that a program carves itself: from a mapping, from static memory, and from a block of malloc, which they replace.
#define _GNU_SOURCE
#include "../guest.h"
#include "../client_requests.h"
#include <sys/mman.h>

static char area[4096];
static char *mapped;
static void **keep;
static void *interior;

static void *__attribute__((noinline)) announce(char *at, unsigned long size) {
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(at), size, 0, 1); //~ definite 40 1 //~ definite 24 1 //~ definite 8 1
    return at;
}

static void __attribute__((noinline)) from_static_memory(void) {
    announce(area, 40);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(area + 64), 56, 0, 1); //~ reachable 56 1
    keep = (void **)(area + 64);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(area + 128), 33, 0, 1); //~ possible 33 1
    interior = area + 130;
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(area + 192), 100, 0, 1);
    REQUEST(0, FREELIKE_BLOCK, ADDRESS(area + 192), 0);
    // What a block in static memory holds is a root as well.
    keep[1] = malloc(11); //~ reachable 11 1
    *(void **)area = malloc(12); //~ reachable 12 1
}

static void __attribute__((noinline)) from_a_mapping(void) {
    mapped = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    announce(mapped + 100, 24);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(mapped + 200), 64, 0, 1); //~ definite 96 1
    REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(mapped + 200), 64, 96, 0);
    REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(mapped + 100), 7, 96, 0);
}

static void __attribute__((noinline)) from_a_heap_block(void) {
    char *block = calloc(1, 1000);
    announce(block + 16, 8);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(block + 64), 32, 0, 1); //~ definite 32+29 1
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(block + 128), 16, 0, 1); //~ indirect 16 1
    *(void **)(block + 64) = block + 128;
    *(void **)(block + 72) = malloc(13); //~ indirect 13 1
    // What lies between announced blocks is nobody's.
    *(void **)(block + 512) = malloc(14); //~ definite 14 1
}

int main(void) {
    CHECK(REQUEST(0, RUNNING_ON_VALGRIND) < 2);
    from_static_memory();
    from_a_mapping();
    from_a_heap_block();
    // An allocator around malloc that announces its blocks as a whole, and frees both.
    for (int i = 0; i < 10; i++) {
        char *block = malloc(50); //~ reachable 50 1
        REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(block), 50, 0, 0);
        REQUEST(0, FREELIKE_BLOCK, ADDRESS(block), 0);
        if (i < 9) free(block);
        else keep[0] = block;
    }
    scrub();
    fputs("EXIT-SUCCESS\n", stdout);
    return 0;
}
