// build: cc -g -O0
// build musl: musl-gcc -g -O0 -static
// A block belongs to the place of its last realloc; the old block is gone.
#define _GNU_SOURCE
#include "../guest.h"

static void __attribute__((noinline)) fill(void) {
    char *volatile p = malloc(16);
    strcpy(p, "fifteen letters");
    p = realloc(p, 4000); //~ definite 4000 1
    CHECK(strcmp(p, "fifteen letters") == 0);
    p = realloc(NULL, 24); //~ definite 24 1
    p = malloc(5000);
    p = realloc(p, 8); //~ definite 8 1
    p = calloc(7, 11); //~ definite 77 1
    for (int i = 0; i < 77; i++) CHECK(p[i] == 0);
    p = reallocarray(NULL, 5, 9); //~ definite 45 1
    p = malloc(10);
    for (int i = 1; i < 20; i++) {
        p = realloc(p, i * 100); //~ definite 1900 1
    }
    p = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
