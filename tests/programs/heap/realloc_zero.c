// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// A size of zero frees in realloc, and malloc gives a block of no bytes.
#include "../guest.h"

static volatile size_t none;

int main(void) {
    volatile char *empty = malloc(none);
    CHECK(empty != NULL);
    empty[0] = 1; //~ InvalidWrite 1
    char *block = malloc(30);
    block[0] = 2;
    volatile char *old = block;
    block = realloc(block, none); //~ ReallocSizeZero 0
    CHECK(block == NULL);
    char gone = old[0]; //~ InvalidRead 1
    (void)gone;
    free((void *)empty);
    free(block);
    return SUCCESS();
}
