// build: cc -g -O0
// build musl: musl-gcc -g -O0 -static
// _exit skips every handler, the search happens all the same.
#include "../guest.h"
#include <unistd.h>

static void *kept;

static void __attribute__((noinline)) lose(void) {
    void *volatile p = calloc(1, 96); //~ definite 96 1
    p = NULL;
    kept = calloc(1, 97); //~ reachable 97 1
}

static void never(void) { abort(); }

int main(void) {
    CHECK(atexit(never) == 0);
    lose();
    scrub();
    SUCCESS();
    _exit(3);
}
