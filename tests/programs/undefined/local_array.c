// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O1 -w
// A histogram on the stack whose counts are never set to zero; the one beside it is.
#include "../guest.h"

static volatile int sink;

static void __attribute__((noinline)) add(unsigned *counts, const char *text) {
    for (; *text; text++) counts[*text & 15]++;
}
static unsigned __attribute__((noinline)) largest(const unsigned *counts, int size) {
    unsigned largest = 0;
    for (int i = 0; i < size; i++) {
        if (*(const volatile unsigned *)&counts[i] > largest) { //~ UninitCondition 0
            largest = counts[i];
            sink++;
        }
    }
    return largest;
}

int main(void) {
    unsigned zeroed[16] = {0};
    add(zeroed, "abcabca");
    CHECK(largest(zeroed, 16) == 3);
    unsigned counts[16];
    __asm__ volatile("" : : "r"(counts) : "memory");
    add(counts, "abcabca");
    sink = (int)largest(counts, 16);
    return SUCCESS();
}
