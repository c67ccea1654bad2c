// build: cc -g -O0
// realloc to nothing frees, free(NULL) does nothing, calloc of nothing gives a block of no bytes.
#include "../guest.h"

static void *kept;

static void __attribute__((noinline)) fill(void) {
    free(NULL);
    void *volatile p = malloc(10);
    p = realloc(p, 0);
    CHECK(p == NULL);
    kept = calloc(0, 8); //~ reachable 0 1
    CHECK(kept != NULL);
    p = calloc(8, 0); //~ definite 0 1
    p = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
