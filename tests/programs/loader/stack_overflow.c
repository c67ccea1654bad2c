// build: cc -O1 -fno-optimize-sibling-calls
// Endless recursion ends in SIGSEGV on the alternate stack, near the stack pointer; then the program goes on.
#define _GNU_SOURCE
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int near_stack, on_alternate;
static char alternate[65536];

static void handler(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    intptr_t distance = (char *)info->si_addr - (char *)uc->uc_mcontext.gregs[REG_RSP];
    near_stack = signal == SIGSEGV && distance > -8192 && distance < 8192;
    on_alternate = (char *)&distance >= alternate && (char *)&distance < alternate + sizeof alternate;
    siglongjmp(back, 1);
}

static __attribute__((noinline)) int recurse(volatile int *above) {
    volatile int here[50];
    here[0] = *above + 1;
    return recurse(here) + here[0];
}

int main(void) {
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
    for (volatile int round = 0; round < 3; round++) {
        volatile int zero = 0;
        if (sigsetjmp(back, 1) == 0) recurse(&zero);
        CHECK(near_stack && on_alternate);
        near_stack = on_alternate = 0;
    }
    return SUCCESS();
}
