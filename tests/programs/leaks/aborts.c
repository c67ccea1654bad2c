// build: cc -g -O0
// ends: signal 6
// A program that aborts is searched for leaks like one that exits.
#include "../guest.h"
#include <sys/resource.h>

static void *kept;

static void __attribute__((noinline)) lose(void) {
    void *volatile p = calloc(1, 91); //~ definite 91 1
    p = NULL;
    kept = calloc(1, 92); //~ reachable 92 1
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    lose();
    scrub();
    abort();
}
