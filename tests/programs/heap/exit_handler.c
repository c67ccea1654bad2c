// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A function that runs at exit uses what main has freed; a destructor of the program frees it again.
#include "../guest.h"

static int *state;
static volatile int finished;

static void at_exit(void) {
    CHECK(state != NULL);
    volatile int *last = state;
    *last = 5; //~ InvalidWrite 4
}

static void __attribute__((destructor)) finish(void) {
    CHECK(state != NULL);
    free(state); //~ InvalidFree 0
    finished = 1;
}

int main(void) {
    state = calloc(4, sizeof *state);
    CHECK(atexit(at_exit) == 0);
    free(state);
    return SUCCESS();
}
