// build: cc -g -O0
// The size of a block is what was asked for, and all of it belongs to the program.
#include "../guest.h"
#include <malloc.h>

static void __attribute__((noinline)) fill(void) {
    for (size_t size = 1; size <= 33; size += 4) {
        unsigned char *volatile p = malloc(size); //~ definite 153 9
        CHECK(malloc_usable_size(p) >= size);
        memset(p, 0xa5, malloc_usable_size(p));
        p = NULL;
    }
    CHECK(malloc_usable_size(NULL) == 0);
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
