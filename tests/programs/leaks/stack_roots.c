// build: cc -g -O0
// Live frames are roots, dead ones are not.
#include "../guest.h"

static void __attribute__((noinline)) dead_frame(void) {
    void *volatile frame[64];
    for (int i = 0; i < 64; i++) frame[i] = NULL;
    frame[20] = calloc(1, 90); //~ definite 90 1
}

static void __attribute__((noinline)) finish(void) {
    void *volatile local = calloc(1, 60); //~ reachable 60 1
    dead_frame();
    fputs("EXIT-SUCCESS\n", stdout);
    if (local) exit(0);
}

int main(void) {
    void *volatile kept[3] = {NULL, calloc(1, 70), NULL}; //~ reachable 70 1
    finish();
    return kept[1] == NULL;
}
