// build: cc -g -O0
// Edges of a block: first byte, second, last, one past the end; a block of no bytes covers one byte.
#include "../guest.h"

static char *first, *second, *last, *past, *empty;

static void __attribute__((noinline)) fill(void) {
    first = calloc(1, 31); //~ reachable 31 1
    second = (char *)calloc(1, 32) + 1; //~ possible 32 1
    last = (char *)calloc(1, 33) + 32; //~ possible 33 1
    past = (char *)calloc(1, 34) + 34; //~ definite 34 1
    empty = malloc(0); //~ reachable 0 1
    char *volatile lost = malloc(0); //~ definite 0 1
    lost = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
