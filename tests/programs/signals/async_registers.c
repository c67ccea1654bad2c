// build: cc -O1
// build static: cc -O1 -static
// timeout: 120
// All registers under a timer: a loop in which every register is a known function of one of them, and a handler
// that checks the whole file wherever it lands.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <ucontext.h>

extern char loop_begin[], loop_end[];
static volatile long hits, outside, bad;
static volatile int stop;
static const uint64_t pattern = 0x0123456789abcdef;

static void handler(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    (void)signal, (void)info;
    uintptr_t rip = (uintptr_t)g[REG_RIP];
    if (rip < (uintptr_t)loop_begin || rip >= (uintptr_t)loop_end) {
        outside++;
        return;
    }
    // Within a step the registers are raised one after the other: each equals base + k or base + k + 1.
    static const int order[] = {REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8,
                                REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    uint64_t base = (uint64_t)g[REG_RAX];
    int raised = 1;
    for (int i = 0; i < 14; i++) {
        int64_t difference = (int64_t)((uint64_t)g[order[i]] - base - (uint64_t)(i + 1) * 0x1000000000001);
        if (difference == 0 && raised) continue;
        if (difference == -1) raised = 0;
        else bad++;
    }
    uint64_t *xmm = (uint64_t *)&uc->uc_mcontext.fpregs->_xmm[7];
    int64_t low = (int64_t)(xmm[0] - base);
    if (!(low == 0 || low == -1) || xmm[1] != 0x0123456789abcdef) bad++;
    // The loop keeps carry set and the direction flag clear, except between its add and its stc.
    if (g[REG_EFL] & 0x400) bad++;
    hits++;
}

static void work(void) {
    __asm__ volatile(
        "push %%rbp\n\t"
        "movq %[pattern], %%xmm8\n\t"
        "pslldq $8, %%xmm8\n\t"
        "mov $1, %%eax\n\t"
        "movq %%rax, %%xmm9\n\t"
        "movabs $0x1000000000001, %%r15\n\t"
        "xor %%eax, %%eax\n\t"
        "movdqa %%xmm8, %%xmm7\n\t"
        "mov %%r15, %%rbx\n\t"
        "lea (%%rbx,%%r15), %%rcx\n\t"
        "lea (%%rcx,%%r15), %%rdx\n\t"
        "lea (%%rdx,%%r15), %%rsi\n\t"
        "lea (%%rsi,%%r15), %%rdi\n\t"
        "lea (%%rdi,%%r15), %%rbp\n\t"
        "lea (%%rbp,%%r15), %%r8\n\t"
        "lea (%%r8,%%r15), %%r9\n\t"
        "lea (%%r9,%%r15), %%r10\n\t"
        "lea (%%r10,%%r15), %%r11\n\t"
        "lea (%%r11,%%r15), %%r12\n\t"
        "lea (%%r12,%%r15), %%r13\n\t"
        "lea (%%r13,%%r15), %%r14\n\t"
        "add %%r14, %%r15\n\t"
        ".globl loop_begin\n"
        "loop_begin:\n\t"
        "stc\n\t"
        "inc %%rax\n\t"
        "lea 1(%%rbx), %%rbx\n\t"
        "add $1, %%rcx\n\t"
        "inc %%rdx\n\t"
        "sub $-1, %%rsi\n\t"
        "inc %%rdi\n\t"
        "lea 1(%%rbp), %%rbp\n\t"
        "inc %%r8\n\t"
        "call 3f\n\t"
        "add $1, %%r10\n\t"
        "inc %%r11\n\t"
        "push %%r12\n\t"
        "incq (%%rsp)\n\t"
        "pop %%r12\n\t"
        "inc %%r13\n\t"
        "jmp 4f\n\t"
        "3: inc %%r9\n\t"
        "ret\n\t"
        "4: inc %%r14\n\t"
        "inc %%r15\n\t"
        "paddq %%xmm9, %%xmm7\n\t"
        "cmpl $0, %[stop]\n\t"
        "je loop_begin\n\t"
        ".globl loop_end\n"
        "loop_end:\n\t"
        "pop %%rbp"
        :
        : [stop] "m"(stop), [pattern] "m"(pattern)
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm7", "xmm8", "xmm9",
          "memory", "cc");
}

static void ticking(int signal, siginfo_t *info, void *context) {
    handler(signal, info, context);
    if (hits + outside > 3000) stop = 1;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = ticking, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    work();
    setitimer(ITIMER_REAL, &off, NULL);
    printf("inside the loop: %s, wrong registers: %ld\n", hits > 100 ? "often" : "NEVER", bad);
    CHECK(bad == 0 && hits > 100);
    return SUCCESS();
}
