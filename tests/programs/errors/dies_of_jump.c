// build: cc -g -O0 -w
// build fast: cc -g -O2 -w
// peer: finds callers of its caller, by frame pointers
// ends: signal 11
// A call through a pointer that was never set.
#include "../guest.h"

static int (*volatile function)(int);

static int __attribute__((noinline)) through(int argument) {
    return function(argument) + 1; //~ InvalidJump 0 //~ FatalSignal 0
}

int main(void) {
    return through(1) + 1;
}
