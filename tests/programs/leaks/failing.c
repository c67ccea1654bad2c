// build: cc -g -O0 -Wno-alloc-size-larger-than
// Requests that cannot be met return NULL or an error and leave what was there alone.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <stdint.h>

static void __attribute__((noinline)) fill(void) {
    volatile size_t huge = SIZE_MAX / 2;
    CHECK(malloc(huge) == NULL);
    CHECK(calloc(huge, 4) == NULL);
    CHECK(reallocarray(NULL, huge, 3) == NULL);
    char *volatile p = strdup("kept"); //~ definite 5 1
    CHECK(realloc(p, huge) == NULL && strcmp(p, "kept") == 0);
    void *q = &q;
    CHECK(posix_memalign(&q, 24, 8) == EINVAL);
    CHECK(posix_memalign(&q, 64, huge) == ENOMEM);
    p = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
