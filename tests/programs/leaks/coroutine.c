// build: cc -g -O0
// A suspended coroutine on a heap stack keeps what its frames point at.
#include "../guest.h"
#include <ucontext.h>

static ucontext_t main_context, other;
static void *stack;

static void body(void) {
    void *volatile kept = calloc(1, 58); //~ reachable 58 1
    swapcontext(&other, &main_context);
    (void)kept;
}

int main(void) {
    stack = calloc(1, 65536); //~ reachable 65536 1
    CHECK(getcontext(&other) == 0);
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = 65536;
    other.uc_link = &main_context;
    makecontext(&other, body, 0);
    CHECK(swapcontext(&main_context, &other) == 0);
    scrub();
    return SUCCESS();
}
