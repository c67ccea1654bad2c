// build: cc -g -O0
// ends: signal 11
// A program that dies of a bad access is searched for leaks.
#include "../guest.h"
#include <sys/resource.h>

static void *kept;

static void __attribute__((noinline)) lose(void) {
    void *volatile p = calloc(1, 93); //~ definite 93 1
    p = NULL;
    kept = calloc(1, 94); //~ reachable 94 1
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    lose();
    scrub();
    *(volatile int *)8 = 1;
    return 0;
}
