// build: cc -g -O0 -w
// build fast: cc -g -O2 -w
// peer: tells of what is not mapped alone
// Writes to what can only be read, in a module, in a mapping and in code; below the stack; by threads.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static __thread sigjmp_buf behind;
static __thread volatile int caught;

static void handler(int signal) {
    caught++;
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

static void *in_thread(void *unused) {
    char *volatile literal = "another";
    FAULTS(*(volatile int *)literal = 8); //~ InvalidWrite 4
    pthread_attr_t attributes;
    void *stack;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack, &size);
    pthread_attr_destroy(&attributes);
    // Its guard page.
    FAULTS(((volatile char *)stack)[-8] = 1); //~ InvalidWrite 1
    return NULL;
}

int main(void) {
    signal(SIGSEGV, handler);
    char *volatile literal = "literal";
    FAULTS(*(volatile char *)literal = 'L'); //~ InvalidWrite 1
    FAULTS(*(volatile int *)(long)main = 1); //~ InvalidWrite 4
    // A guard page, reached by an access that begins before it.
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_NONE);
    FAULTS(*(volatile int *)(page + 4094)); //~ InvalidRead 4
    FAULTS(*(volatile long *)(page + 5000) = 1); //~ InvalidWrite 8
    // By halves there.
    FAULTS(asm volatile("movups %%xmm0, (%0)" ::"r"(NULL) : "memory")); //~ InvalidWrite 16
    volatile int *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0);
    FAULTS(*mapped = 1); //~ InvalidWrite 4
    FAULTS(asm volatile("addl $1, (%0)" ::"r"(mapped) : "memory")); //~ InvalidWrite 4
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    puts("EXIT-SUCCESS");
    return 0;
}
