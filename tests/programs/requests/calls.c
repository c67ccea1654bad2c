// build: cc -g -O2
// Guest functions that a client request calls: arguments, result, and every register of the caller as it was.
#include "../guest.h"
#include "../client_requests.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static int running;
static jmp_buf away;
static volatile sig_atomic_t ticks;

static long none(long tid) { return 1000 * tid; }
static long one(long tid, long a) { return 1000 * tid + a; }
static long two(long tid, long a, long b) { return 1000 * tid + 10 * a + b; }
static long three(long tid, long a, long b, long c) { return 1000 * tid + 100 * a + 10 * b + c; }
static long leaves(long tid) { longjmp(away, (int)tid); }

// Changes every register that a function may change, and uses the C library.
static __attribute__((noinline)) long spoils(long tid) {
    char text[64];
    snprintf(text, sizeof text, "%.3f %ld", 1.5 * (double)tid, tid);
    char *copy = strdup(text);
    CHECK(((unsigned long)__builtin_frame_address(0) & 15) == 0);
    free(copy);
    __asm__ volatile("xorl %%eax, %%eax; xorl %%ecx, %%ecx; xorl %%esi, %%esi; xorl %%edi, %%edi\n\t"
                     "xorl %%r8d, %%r8d; xorl %%r9d, %%r9d; xorl %%r10d, %%r10d; xorl %%r11d, %%r11d\n\t"
                     "pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15\n\t"
                     "fninit; fldz; cmpq $1, %%rax"
                     : : : "rax", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm7", "xmm15", "cc");
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3");
    return 42;
}

static long nested(long tid, long depth) {
    if (depth == 0) return tid;
    return 1 + (long)REQUEST(0, CLIENT_CALL1, ADDRESS(nested), (unsigned long)depth - 1);
}

struct state {
    unsigned long general[9];
    double vectors[4];
    double x87;
};

static void registers_stay(void) {
    volatile unsigned long words[6] = {CLIENT_CALL0, ADDRESS(spoils)};
    static struct state after;
    static double upper[4] __attribute__((aligned(32)));
    static const double before[4] __attribute__((aligned(32))) = {1.5, 2.5, 3.5, 4.5};
    int avx = __builtin_cpu_supports("avx");
    unsigned long result = 7;
    if (avx) __asm__ volatile("vmovapd %0, %%ymm7" : : "m"(before) : "xmm7");
    __asm__ volatile(
        "movsd %[half], %%xmm0; movsd %[half], %%xmm15; fldl %[half]\n\t"
        "movq $1, %%rcx; movq $2, %%rsi; movq $3, %%rdi; movq $4, %%r8\n\t"
        "movq $5, %%r9; movq $6, %%r10; movq $7, %%r11\n\t" REQUEST_PREAMBLE "xchgq %%rbx, %%rbx\n\t"
        "movq %%rcx, 0(%[out]); movq %%rsi, 8(%[out]); movq %%rdi, 16(%[out]); movq %%r8, 24(%[out])\n\t"
        "movq %%r9, 32(%[out]); movq %%r10, 40(%[out]); movq %%r11, 48(%[out]); movq %%rax, 56(%[out])\n\t"
        "movsd %%xmm0, 72(%[out]); movsd %%xmm15, 80(%[out]); fstpl 104(%[out])\n\t"
        : "+d"(result)
        : [out] "b"(&after), "a"(words), [half] "m"(before[0])
        : "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm15", "cc", "memory");
    if (avx) __asm__ volatile("vmovapd %%ymm7, %0; vzeroupper" : "=m"(upper));
    CHECK(result == (running ? 42 : 7));
    for (unsigned long i = 0; i < 7; i++) CHECK(after.general[i] == i + 1);
    CHECK(after.general[7] == ADDRESS(words));
    CHECK(after.vectors[0] == 1.5 && after.vectors[1] == 1.5 && after.x87 == 1.5);
    CHECK(!avx || memcmp(upper, before, sizeof upper) == 0);
}

static void tick(int signal) {
    (void)signal;
    ticks++;
}

int main(void) {
    running = REQUEST(0, RUNNING_ON_VALGRIND) != 0;
    if (running) {
        CHECK(REQUEST(0, CLIENT_CALL0, ADDRESS(none)) == 1000);
        CHECK(REQUEST(0, CLIENT_CALL1, ADDRESS(one), 5) == 1005);
        CHECK(REQUEST(0, CLIENT_CALL2, ADDRESS(two), 5, 6) == 1056);
        CHECK(REQUEST(0, CLIENT_CALL3, ADDRESS(three), 5, 6, 7) == 1567);
        CHECK(REQUEST(0, CLIENT_CALL1, ADDRESS(nested), 50) == 51);
    }
    registers_stay();
    for (volatile int i = 0; running && i < 1000; i++) {
        if (setjmp(away) == 0) {
            REQUEST(0, CLIENT_CALL0, ADDRESS(leaves));
            CHECK(!"comes back");
        }
    }
    // Interrupted anywhere.
    struct sigaction action = {.sa_handler = tick};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, 500}, {0, 500}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (ticks < 100) {
        registers_stay();
        CHECK(REQUEST(3, RUNNING_ON_VALGRIND) == (running ? 1 : 3));
    }
    // A call of a function's original is a plain call where nothing is replaced.
    if (running) {
        long result = (long)none;
        __asm__ volatile("movq $4, %%rdi; subq $128, %%rsp; pushq %%rbp; movq %%rsp, %%rbp; andq $-16, %%rsp\n\t"
                         "movq %0, %%rax\n\t"
                         "rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rdx, %%rdx\n\t"
                         "movq %%rbp, %%rsp; popq %%rbp; addq $128, %%rsp"
                         : "+a"(result)
                         :
                         : "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
        CHECK(result == 4000);
    }
    return SUCCESS();
}
