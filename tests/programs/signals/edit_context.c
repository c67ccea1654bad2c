// build: cc -O1
// build static: cc -O1 -static
// build musl: musl-gcc -O1 -static
// Handlers that change what they return to: instruction pointer, registers, flags, vector registers, mask, stack.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

static volatile int mode;

static void handler(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    (void)signal, (void)info;
    g[REG_RIP] += 2;
    switch (mode) {
    case 1:
        g[REG_RAX] = 0x1234567890abcdef;
        g[REG_R13] = -7;
        g[REG_EFL] |= 1;
        break;
    case 2: {
        uint32_t *xmm = (uint32_t *)&uc->uc_mcontext.fpregs->_xmm[5];
        CHECK(xmm[0] == 0x11111111 && xmm[3] == 0x44444444);
        for (int i = 0; i < 4; i++) xmm[i] = ~xmm[i];
        break;
    }
    case 3: sigaddset(&uc->uc_sigmask, SIGUSR1); break;
    case 4:
        // Pop one word from the stack of the interrupted code.
        g[REG_RCX] = *(greg_t *)g[REG_RSP];
        g[REG_RSP] += 8;
        break;
    case 5: uc->uc_mcontext.fpregs->mxcsr = 0x7f80; break;
    case 6: uc->uc_mcontext.fpregs->cwd = 0x27f; break;
    }
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGILL, &action, NULL) == 0);
    for (int round = 0; round < 200; round++) {
        uint64_t rax = 1, r13 = 2, rcx = 3;
        unsigned char carry;
        mode = 0;
        __asm__ volatile("ud2" ::: "memory");
        mode = 1;
        __asm__ volatile("mov $5, %%r13d\n\tclc\n\tud2\n\tsetc %2\n\tmov %%r13, %1"
                         : "+a"(rax), "=r"(r13), "=q"(carry)::"r13", "cc", "memory");
        CHECK(rax == 0x1234567890abcdef && r13 == (uint64_t)-7 && carry == 1);
        mode = 2;
        uint32_t in[4] = {0x11111111, 0x22222222, 0x33333333, 0x44444444}, out[4];
        __asm__ volatile("movups %1, %%xmm5\n\tud2\n\tmovups %%xmm5, %0" : "=m"(out) : "m"(in) : "xmm5", "memory");
        for (int i = 0; i < 4; i++) CHECK(out[i] == ~in[i]);
        mode = 3;
        __asm__ volatile("ud2" ::: "memory");
        sigset_t mask;
        sigemptyset(&mask);
        CHECK(sigprocmask(SIG_SETMASK, &mask, &mask) == 0 && sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGILL));
        mode = 4;
        uint64_t value = 0xabc000 + round;
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %1\n\tud2\n\tlea 128(%%rsp), %%rsp" : "=c"(rcx) : "r"(value) : "memory");
        CHECK(rcx == value);
        mode = 5;
        uint32_t mxcsr;
        __asm__ volatile("ud2\n\tstmxcsr %0" : "=m"(mxcsr)::"memory");
        CHECK(mxcsr == 0x7f80);
        mxcsr = 0x1f80;
        __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
        mode = 6;
        uint16_t control;
        __asm__ volatile("ud2\n\tfnstcw %0" : "=m"(control)::"memory");
        CHECK(control == 0x27f);
        control = 0x37f;
        __asm__ volatile("fldcw %0" ::"m"(control));
    }
    return SUCCESS();
}
