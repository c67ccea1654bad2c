// build: cc -g -O0
// build O2: cc -g -O2
// A coroutine runs on a stack that lies in a heap block, and goes on after that block was freed.
#include "../client_requests.h"
#include "../guest.h"
#include <ucontext.h>

static ucontext_t caller, coroutine;
static volatile int *volatile shared;
static volatile int steps;

static void run(void) {
    for (int i = 0; i < 3; i++) {
        steps++;
        shared[i] = i; //~ InvalidWrite 4
        swapcontext(&coroutine, &caller);
    }
}

int main(void) {
    size_t size = 65536;
    char *stack = malloc(size);
    unsigned long id = REQUEST(0, STACK_REGISTER, ADDRESS(stack), ADDRESS(stack + size));
    shared = malloc(3 * sizeof *shared);
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = size;
    coroutine.uc_link = &caller;
    makecontext(&coroutine, run, 0);
    for (int i = 0; i < 3; i++) {
        if (i == 2) free((void *)shared);
        CHECK(swapcontext(&caller, &coroutine) == 0);
    }
    CHECK(steps == 3);
    REQUEST(0, STACK_DEREGISTER, id);
    free(stack);
    return SUCCESS();
}
