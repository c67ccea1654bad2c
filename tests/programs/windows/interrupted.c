// build: cc -g -O2 -pthread
// build static: cc -g -O1 -static -pthread
// A function that switches collection while signals interrupt it, its entries and its leaves, in two threads; now and then its handler
// leaves it by a jump. What it executes of `work` is the same each time.
#include "../guest.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#define SEPARATE __attribute__((noinline, noclone))
enum { TURNS = 20000 };

// work(n): 3 n + 2 instructions.
void work(long turns);
__asm__(".text\n.globl work\n.type work, @function\nwork:\n"
        "  mov %rdi, %rcx\n"
        "1: lea 1(%rax), %rax\n"
        "  dec %rcx\n"
        "  jnz 1b\n"
        "  ret\n"
        ".size work, .-work\n");

static volatile int handled, sink;
static __thread sigjmp_buf back;
static __thread volatile int leaves;

SEPARATE static void collected(void) {
    work(16); //~ WORK 2000000
    sink++;
}

// Left by the handler's jump, or after the wait; `work` is done before in any case.
SEPARATE static void left(void) {
    work(6); //~ WORK 1000
    leaves = 1;
    while (leaves) sink++;
}

static void handler(int signal) {
    (void)signal;
    handled++;
    if (!leaves) return;
    leaves = 0;
    if (handled % 2) siglongjmp(back, 1);
}

static void *run(void *unused) {
    for (int i = 0; i < TURNS; i++) {
        collected();
        work(3);
    }
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, 300}, {0, 300}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    pthread_t other;
    CHECK(pthread_create(&other, NULL, run, NULL) == 0);
    run(NULL);
    CHECK(pthread_join(other, NULL) == 0);
    for (int i = 0; i < 50; i++) {
        if (sigsetjmp(back, 1) == 0) left();
        work(1000);
    }
    struct itimerval none = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0 && handled > 0);
    return SUCCESS();
}
