// build: cc -g -O0 -w
// build fast: cc -g -O3 -w -fno-builtin
// build clang: clang -g -O2 -w -fno-builtin
// Sizes that are negative if signed: no block is given. A product that is too large is no error.
#include "../guest.h"
#include <errno.h>
#include <malloc.h>

static volatile long minus = -1;
static volatile long huge = (long)(1UL << 63);

int main(void) {
    void *volatile block = malloc(minus); //~ FishyValue 0
    CHECK(block == NULL && errno == ENOMEM);
    block = malloc(huge); //~ FishyValue 0
    CHECK(block == NULL);
    block = calloc(minus, 1); //~ FishyValue 0
    CHECK(block == NULL);
    block = calloc(1, minus - 7); //~ FishyValue 0
    CHECK(block == NULL);
    block = realloc(NULL, minus); //~ FishyValue 0
    CHECK(block == NULL);
    void *old = malloc(10);
    block = realloc(old, minus); //~ FishyValue 0
    CHECK(block == NULL);
    // It is still there.
    memset(old, 1, 10);
    free(old);
    block = reallocarray(NULL, 1, minus); //~ FishyValue 0
    CHECK(block == NULL);
    block = memalign(64, minus); //~ FishyValue 0
    CHECK(block == NULL);
    block = aligned_alloc(16, huge); //~ FishyValue 0
    CHECK(block == NULL);
    block = valloc(minus); //~ FishyValue 0
    CHECK(block == NULL);
    void *out = NULL;
    CHECK(posix_memalign(&out, 64, minus) == ENOMEM); //~ FishyValue 0
    CHECK(out == NULL);

    block = calloc(minus, 2);
    CHECK(block == NULL);
    block = calloc(1UL << 62, 2);
    CHECK(block == NULL);
    block = reallocarray(NULL, minus, 2);
    CHECK(block == NULL);
    block = malloc(1UL << 50);
    CHECK(block == NULL);
    puts("EXIT-SUCCESS");
    return 0;
}
