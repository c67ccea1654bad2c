// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// ends: signal 6
// abort in a function that a signal handler calls.
#include "../guest.h"
#include <signal.h>

static void __attribute__((noinline)) give_up(void) {
    abort(); //~ FatalSignal 0
}

static void handler(int signal) { give_up(); }

int main(void) {
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    return 0;
}
