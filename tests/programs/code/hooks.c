// build: cc -O2 -pthread -Wl,-z,lazy
// Calls and jumps through pointers at fixed addresses: set once, changed between calls, changed by another thread; and
// library functions that several threads call for the first time at once.
#include "../guest.h"
#include <pthread.h>
#include <stdint.h>
#include <sched.h>
#include <time.h>

static long one(long x) { return x * 10 + 1; }
static long two(long x) { return x * 10 + 2; }
static long three(long x) { return x * 10 + 3; }

long (*volatile hook)(long);
long (*volatile shared)(long) = one;

// The pointer as an operand, whatever the compiler would make of it; rcx, r11 and the carry are the caller's.
__attribute__((noinline)) static long through(long x, uint64_t *kept) {
    long result;
    uint64_t rcx, r11;
    unsigned char carry;
    __asm__ volatile("mov $0x1122334455667788, %%rcx\n\t"
                     "mov $0x8877665544332211, %%r11\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "sub $136, %%rsp\n\t"
                     "push %%rax\n\t"
                     "stc\n\t"
                     "jmp *jump_to(%%rip)\n"
                     "1:\n\t"
                     "setc %b2\n\t"
                     "mov %%rcx, %0\n\t"
                     "mov %%r11, %1\n\t"
                     "add $136, %%rsp"
                     : "=&r"(rcx), "=&r"(r11), "=&r"(carry)
                     :
                     : "rax", "rcx", "r11", "cc", "memory");
    kept[0] = rcx;
    kept[1] = r11;
    kept[2] = carry;
    __asm__ volatile("sub $128, %%rsp\n\tcall *hook(%%rip)\n\tadd $128, %%rsp"
                     : "=a"(result), "+D"(x)
                     :
                     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory");
    return result;
}
// Two places that only return.
__asm__(".globl back_a, back_b\nback_a: ret\nnop\nback_b: ret\n");
void back_a(void), back_b(void);
void (*volatile jump_to)(void);

static volatile int stop;

static void *changer(void *argument) {
    long (*const all[])(long) = {one, two, three};
    for (unsigned i = 0; !stop; i++) {
        shared = all[i % 3];
        if (i % 64 == 0) sched_yield();
    }
    return argument;
}

static pthread_barrier_t together;

// None of these was called before.
static void *first_calls(void *argument) {
    struct timespec now;
    pthread_barrier_wait(&together);
    CHECK(clock_getres(CLOCK_MONOTONIC, &now) == 0);
    CHECK(strpbrk("first calls", "c") != NULL);
    CHECK(strspn("aab", "a") == 2);
    CHECK(labs(-3) == 3 && atoll("12") == 12);
    return argument;
}

int main(void) {
    pthread_t threads[4];
    pthread_barrier_init(&together, NULL, 4);
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, first_calls, NULL) == 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);

    uint64_t kept[3];
    for (int i = 0; i < 30000; i++) {
        hook = i < 10000 ? one : i % 2 ? two : three;
        jump_to = i < 20000 ? back_a : i % 3 ? back_b : back_a;
        CHECK(through(i, kept) == i * 10L + (i < 10000 ? 1 : i % 2 ? 2 : 3));
        CHECK(kept[0] == 0x1122334455667788 && kept[1] == 0x8877665544332211 && kept[2] == 1);
    }

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, changer, NULL) == 0);
    long seen[4] = {0};
    for (int i = 0; i < 300000; i++) {
        long result = shared(i) - i * 10L;
        CHECK(result >= 1 && result <= 3);
        seen[result]++;
    }
    stop = 1;
    pthread_join(thread, NULL);
    CHECK(seen[1] + seen[2] + seen[3] == 300000);

    return SUCCESS();
}
