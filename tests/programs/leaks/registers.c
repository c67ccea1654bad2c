// build: cc -g -O0 -pthread
// build static: cc -g -O0 -pthread -static
// A pointer that only a general register of a running thread holds is a root, in a vector register it is not.
#include "../guest.h"
#include <pthread.h>
#include <unistd.h>

static unsigned long hidden[2];
static volatile int ready;

static void __attribute__((noinline)) fill(void) {
    hidden[0] = ~(unsigned long)calloc(1, 40); //~ reachable 40 1
    hidden[1] = ~(unsigned long)calloc(1, 50); //~ definite 50 1
}

static void *hold(void *argument) {
    __asm__ volatile("mov %0, %%r12\n\t"
                     "not %%r12\n\t"
                     "mov %1, %%rax\n\t"
                     "not %%rax\n\t"
                     "movq %%rax, %%xmm9\n\t"
                     "xor %%eax, %%eax\n\t"
                     "movl $1, %2\n\t"
                     "1: pause\n\t"
                     "jmp 1b"
                     :
                     : "m"(hidden[0]), "m"(hidden[1]), "m"(ready)
                     : "rax", "r12", "xmm9", "memory");
    return argument;
}

int main(void) {
    pthread_t thread;
    fill();
    CHECK(pthread_create(&thread, NULL, hold, NULL) == 0); //~ any
    while (!ready) usleep(1000);
    scrub();
    return SUCCESS();
}
