// build: cc -O2
// build musl: musl-gcc -O2 -static
// Signals in handlers of other signals, faults in handlers, deep nesting, all frames return in order.
#define _GNU_SOURCE
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>

static volatile int depth, deepest;
static char trail[4000];
static volatile int length;
static sigjmp_buf back;

static void chain(int signal) {
    depth++;
    if (depth > deepest) deepest = depth;
    trail[length++] = (char)('A' + depth);
    if (signal < SIGRTMAX) raise(signal + 1);
    trail[length++] = (char)('a' + depth);
    depth--;
}

static void fault(int signal) {
    if (signal == SIGUSR1) {
        if (sigsetjmp(back, 1) == 0) *(volatile int *)1 = 0;
        trail[length++] = '+';
    } else {
        siglongjmp(back, 1);
    }
}

int main(void) {
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++) signal(s, chain);
    raise(SIGRTMIN);
    trail[length++] = '|';
    signal(SIGUSR1, fault);
    signal(SIGSEGV, fault);
    for (int i = 0; i < 100; i++) raise(SIGUSR1);
    printf("%d %s\n", deepest, trail);
    return SUCCESS();
}
