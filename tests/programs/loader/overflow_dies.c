// build: cc -O1 -fno-optimize-sibling-calls
// ends: signal 11
// Endless recursion without a handler kills the program.
#include <stdio.h>
#include <sys/resource.h>

static __attribute__((noinline)) int recurse(volatile int *above) {
    volatile int here[50];
    here[0] = *above + 1;
    return recurse(here) + here[0];
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    puts("going down");
    fflush(stdout);
    volatile int zero = 0;
    return recurse(&zero);
}
