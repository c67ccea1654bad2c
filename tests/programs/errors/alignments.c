// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// Alignments that are none, and sizes of 0 where what comes of it is not the same everywhere. The calls do what they do
// without us.
#include "../guest.h"
#include <errno.h>
#include <malloc.h>

int main(void) {
    void *out = NULL;
    CHECK(posix_memalign(&out, 3, 8) == EINVAL); //~ InvalidAlignment 0
    CHECK(posix_memalign(&out, 4, 8) == EINVAL); //~ InvalidAlignment 0
    CHECK(posix_memalign(&out, 0, 8) == EINVAL); //~ InvalidAlignment 0
    CHECK(posix_memalign(&out, 24, 0) == EINVAL); //~ InvalidAlignment 0 //~ InvalidSize 0
    CHECK(out == NULL);
    CHECK(posix_memalign(&out, 8, 0) == 0); //~ InvalidSize 0
    free(out);
    char *block = memalign(24, 10); //~ InvalidAlignment 0
    CHECK(((size_t)block & 31) == 0);
    block[9] = 1;
    free(block);
    block = memalign(64, 0); //~ InvalidSize 0
    free(block);

    block = malloc(12);
    CHECK(realloc(block, 0) == NULL); //~ ReallocSizeZero 0
    free(block); //~ InvalidFree 0
    block = calloc(3, 4);
    CHECK(reallocarray(block, 3, 0) == NULL); //~ ReallocSizeZero 0
    CHECK(realloc(block + 1, 0) == NULL); //~ ReallocSizeZero 0 //~ InvalidFree 0

    // Nothing is wrong with these.
    CHECK(posix_memalign(&out, 8, 1) == 0);
    free(out);
    block = memalign(64, 65);
    free(block);
    block = aligned_alloc(64, 128);
    free(block);
    block = valloc(1);
    free(block);
    block = valloc(8192);
    CHECK(((size_t)block & 4095) == 0);
    memset(block, 1, 8192);
    free(block);
    free(malloc(0));
    free(realloc(NULL, 0));
    free(calloc(0, 8));
    puts("EXIT-SUCCESS");
    return 0;
}
