// build: cc -g -O0 -fno-jump-tables
// build O2: cc -g -O2
// build clang: clang -g -O2
// A function is chosen from a table by an index of which only the low bits are known to be small.
#include "../guest.h"

static volatile int sink;
static void zero(void) { sink = 0; }
static void one(void) { sink = 1; }
static void two(void) { sink = 2; }
static void (*const table[4])(void) = {zero, one, two, zero};

static void __attribute__((noinline)) choose(const unsigned *which) {
    table[*which & 3](); //~ UninitValue 8
    sink++;
}

int main(void) {
    unsigned *which = malloc(2 * sizeof *which);
    which[0] = 1;
    choose(which);
    CHECK(sink == 2);
    choose(which + 1);
    free(which);
    return SUCCESS();
}
