// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O2 -fno-builtin
// Blocks of aligned_alloc, posix_memalign and memalign end where was asked for, not at their alignment.
#define _GNU_SOURCE
#include "../guest.h"
#include <malloc.h>

static volatile int count;
static void __attribute__((noinline)) set(volatile char *block, long index) {
    count++;
    block[index] = 7; //~ InvalidWrite 1
}

int main(void) {
    char *a = aligned_alloc(64, 128), *b = NULL, *c = memalign(256, 33);
    CHECK(posix_memalign((void **)&b, 4096, 100) == 0);
    CHECK(((unsigned long)a & 63) == 0 && ((unsigned long)b & 4095) == 0 && ((unsigned long)c & 255) == 0);
    set(a, 127);
    set(a, 128);
    set(b, 99);
    set(b, 100);
    set(c, 32);
    set(c, 33);
    free(a);
    free(b);
    free(c);
    set(b, 0);
    return SUCCESS();
}
