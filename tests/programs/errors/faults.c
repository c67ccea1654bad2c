// build: cc -g -O0 -w
// build fast: cc -g -O2 -w
// build clang: clang -g -O1 -w
// build static: cc -g -O1 -w -static
// Accesses to where nothing is mapped, in all sizes; the program's handler goes on behind each.
#include "../guest.h"
#include <emmintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static sigjmp_buf behind;
static volatile int caught;
static void *volatile faulted;

static void handler(int signal, siginfo_t *info, void *context) {
    caught++;
    faulted = info->si_addr;
    siglongjmp(behind, 1);
}

#define FAULTS(action)                                                                       \
    do {                                                                                     \
        caught = 0;                                                                          \
        if (!sigsetjmp(behind, 1)) {                                                         \
            action;                                                                          \
        }                                                                                    \
        CHECK(caught == 1);                                                                  \
    } while (0)

static volatile char *volatile bytes;
static volatile uint64_t sink;
static void *volatile nothing;

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);

    FAULTS(sink = *(volatile uint8_t *)nothing); //~ InvalidRead 1
    FAULTS(sink = *(volatile uint16_t *)nothing); //~ InvalidRead 2
    FAULTS(sink = *(volatile uint32_t *)nothing); //~ InvalidRead 4
    FAULTS(sink = *(volatile uint64_t *)nothing); //~ InvalidRead 8
    FAULTS(*(volatile __m128i *)nothing); //~ InvalidRead 16
    FAULTS(*(volatile uint8_t *)nothing = 1); //~ InvalidWrite 1
    FAULTS(*(volatile uint16_t *)nothing = 1); //~ InvalidWrite 2
    FAULTS(*(volatile uint32_t *)nothing = 1); //~ InvalidWrite 4
    FAULTS(*(volatile uint64_t *)nothing = 1); //~ InvalidWrite 8
    FAULTS(asm volatile("addl $1, (%0)" ::"r"(nothing) : "memory")); //~ InvalidRead 4
    long value;
    FAULTS(asm volatile("movl (%1, %2, 4), %%eax" : "=a"(value) : "r"(nothing), "r"(256L)); sink = value); //~ InvalidRead 4
    CHECK(faulted == (void *)1024);

    // No address of this machine.
    FAULTS(sink = *(volatile uint32_t *)0x1234567800000000); //~ InvalidRead 4

    // Memory that has gone.
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 1;
    munmap(page, 4096);
    FAULTS(sink = *(volatile uint32_t *)page); //~ InvalidRead 4

    // What faults and is no error of addresses: a vector that is not aligned.
    static char vectors[64] __attribute__((aligned(16)));
    void *volatile odd = vectors + 1;
    FAULTS(asm volatile("movaps (%0), %%xmm0" ::"r"(odd) : "xmm0"));
    puts("EXIT-SUCCESS");
    return 0;
}
