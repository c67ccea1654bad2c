// build: cc -g -O0
// build fast: cc -g -O2
// build clang: clang -g -O1
// build static: cc -g -O1 -static
// peer static: does not replace the allocator of a static program
// Reads and writes in front of and behind heap blocks, in every size.
#include "../guest.h"

static __attribute__((noinline)) void *fresh(size_t size) {
    char *block = malloc(size);
    for (size_t i = 0; i < size; i++) {
        ((volatile char *)block)[i] = 1;
    }
    return block;
}

static volatile long sink;

int main(void) {
    volatile char *bytes = fresh(10);
    sink = bytes[10]; //~ InvalidRead 1
    sink = bytes[-1]; //~ InvalidRead 1
    bytes[10] = 1; //~ InvalidWrite 1
    bytes[9] = 2;
    bytes[0] = 2;

    volatile short *shorts = fresh(20);
    sink = shorts[10]; //~ InvalidRead 2
    shorts[-1] = 3; //~ InvalidWrite 2
    sink = shorts[9];

    volatile int *ints = fresh(40);
    sink = ints[10]; //~ InvalidRead 4
    ints[11] = 5; //~ InvalidWrite 4
    ints[9]++;

    volatile long *longs = fresh(80);
    sink = longs[10]; //~ InvalidRead 8
    longs[-1] = 7; //~ InvalidWrite 8
    longs[9] += 2;

    volatile double *doubles = fresh(24);
    doubles[3] = 1.5; //~ InvalidWrite 8
    sink = (long)doubles[3]; //~ InvalidRead 8

    // Half of it is behind the end.
    volatile int *odd = fresh(42);
    odd[10] = 1; //~ InvalidWrite 4

    volatile char *empty = malloc(0);
    sink = *empty; //~ InvalidRead 1

    puts("EXIT-SUCCESS");
    return 0;
}
