// build: cc -g -O1 -fno-plt -Wl,-z,now
// build lazy: cc -g -O0 -Wl,-z,lazy
// Handlers of signals: nobody calls them, and what they interrupt goes on, on the same stack and on another one.
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#define SEPARATE __attribute__((noinline, noclone))

static sigjmp_buf out;
static volatile int handled, sink;

SEPARATE static void leaf(void) {
    sink++;
}

SEPARATE static void counts(int number) {
    (void)number;
    handled++;
    leaf(); //~ CALLS counts leaf 100
}

SEPARATE static void nests(int number) {
    (void)number;
    raise(SIGUSR1);
    leaf(); //~ CALLS nests leaf 40
}

SEPARATE static void leaves(int number) {
    (void)number;
    leaf(); //~ CALLS leaves leaf 50
    siglongjmp(out, 1);
}

SEPARATE static void interrupted(int number) {
    raise(number);
    leaf(); //~ CALLS interrupted leaf 100
}

SEPARATE static int jumped_over(int number) {
    if (sigsetjmp(out, 1) != 0) {
        leaf(); //~ CALLS jumped_over leaf 50
        return 1;
    }
    raise(number);
    return 0;
}

static void on(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(number, &action, NULL) == 0);
}

int main(void) {
    stack_t stack = {.ss_size = 1 << 16, .ss_sp = malloc(1 << 16)};
    CHECK(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0);
    for (int other = 0; other < 2; other++) {
        int flags = other ? SA_ONSTACK : 0;
        on(SIGUSR1, counts, flags);
        on(SIGUSR2, nests, flags);
        on(SIGHUP, leaves, flags);
        for (int i = 0; i < 30; i++) interrupted(SIGUSR1); //~ CALLS main interrupted 100
        for (int i = 0; i < 20; i++) interrupted(SIGUSR2); //~ CALLERS nests 0
        for (int i = 0; i < 25; i++) CHECK(jumped_over(SIGHUP) == 1); //~ CALLS main jumped_over 50
    }
    CHECK(handled == 100); //~ CALLERS counts 0
    leaf();                //~ CALLERS leaves 0
    return SUCCESS();      //~ CALLS main leaf 1
}
