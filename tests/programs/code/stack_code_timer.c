// build: cc -O2 -z execstack
// timeout: 120
// Code on the stack (a nested function's trampoline) and a fast timer: the page is protected while its code is known, and
// the handler's frame has to be written to it all the same.
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

static volatile long ticks;
static void handler(int signal) {
    (void)signal;
    ticks++;
}
static int __attribute__((noinline)) apply(int (*function)(int), int value) { return function(value); }
static int __attribute__((noinline)) round_of(int seed) {
    int sum = 0;
    int add(int value) { return sum += value ^ seed; }
    for (int i = 0; i < 4; i++) apply(add, i);
    return sum;
}

int main(void) {
    struct itimerval often = {{0, 200}, {0, 200}};
    signal(SIGALRM, handler);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 3000; i++) {
        int expected = 0;
        for (int k = 0; k < 4; k++) expected += k ^ i;
        CHECK(round_of(i) == expected);
    }
    while (ticks < 10) continue;
    struct itimerval never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    return SUCCESS();
}
