// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// strncpy that fills a block to its end leaves no terminator; what takes the block for a string reads on.
#include "../guest.h"

static volatile long sink;

int main(void) {
    char *name = malloc(8);
    strncpy(name, "a long name", 8);
    CHECK(memcmp(name, "a long n", 8) == 0 && strnlen(name, 8) == 8);
    sink = (long)strlen(name); //~ InvalidRead 1
    char *copy = malloc(64);
    strcpy(copy, name); //~ InvalidRead 1
    sink = (long)strchr(name, 'z'); //~ InvalidRead 1
    free(name), free(copy);
    return SUCCESS();
}
