// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A signal handler reads a block that the program has freed, and decides by one that it has not set yet.
#include "../guest.h"
#include <signal.h>

static volatile int *volatile state;
static volatile sig_atomic_t calls;

static void handle(int number) {
    calls++;
    CHECK(number == SIGUSR1);
    if (*state == 77) { //~ UninitCondition 0 //~ InvalidRead 4
        calls += 2;
    }
}

int main(void) {
    struct sigaction action = {.sa_handler = handle};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    state = malloc(sizeof *state);
    raise(SIGUSR1);
    *state = 3;
    raise(SIGUSR1);
    free((void *)state);
    raise(SIGUSR1);
    CHECK(calls >= 3);
    return SUCCESS();
}
