// build: cc -O2 -pthread
// build static: cc -O2 -pthread -static
// swapcontext and makecontext: ping-pong on small heap stacks, many coroutines, a hand-written stack switch.
#include "../guest.h"
#include <stdint.h>
#include <ucontext.h>

enum { COROUTINES = 50, STACK = 16384 };
static ucontext_t scheduler, contexts[COROUTINES];
static long counts[COROUTINES];

static void body(int index, int rounds) {
    double local = index;
    for (int i = 0; i < rounds; i++) {
        counts[index] += index + i;
        local = local * 1.5 + 1;
        char text[40];
        snprintf(text, sizeof text, "%d:%d", index, i);
        CHECK(atoi(text) == index);
        swapcontext(&contexts[index], &scheduler);
        if (local > 1e9) local = 1;
    }
}

// Switches to the stack in `to` and keeps the old one in `from`.
void switch_stack(void **from, void *to);
__asm__(".globl switch_stack\nswitch_stack:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rsp, (%rdi)\n\tmov %rsi, %rsp\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret");

static void *main_stack, *other_stack;
static long pings;
static void other(void) {
    for (;;) {
        pings++;
        switch_stack(&other_stack, main_stack);
    }
}

int main(void) {
    for (int i = 0; i < COROUTINES; i++) {
        CHECK(getcontext(&contexts[i]) == 0);
        contexts[i].uc_stack.ss_sp = malloc(STACK);
        contexts[i].uc_stack.ss_size = STACK;
        contexts[i].uc_link = &scheduler;
        makecontext(&contexts[i], (void (*)(void))body, 2, i, 300);
    }
    for (int round = 0; round <= 300; round++)
        for (int i = 0; i < COROUTINES; i++) swapcontext(&scheduler, &contexts[i]);
    long sum = 0;
    for (int i = 0; i < COROUTINES; i++) {
        sum += counts[i] * (i + 1);
        free(contexts[i].uc_stack.ss_sp);
    }
    printf("%ld\n", sum);
    uintptr_t *stack = malloc(STACK), *top = stack + STACK / sizeof *stack;
    *--top = 0;
    *--top = (uintptr_t)other;
    top -= 6;
    other_stack = top;
    for (int i = 0; i < 300000; i++) switch_stack(&main_stack, other_stack);
    printf("%ld\n", pings);
    free(stack);
    return SUCCESS();
}
