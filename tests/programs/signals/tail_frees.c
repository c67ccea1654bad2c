// build: cc -O2 {src} -o {out}
// timeout: 120
// A timer storm against functions that end by a jump to an allocator's: what follows calls cannot see such returns, and the engine is asked
// about the next call again and again.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

static volatile long ticks;

static void handler(int signal) {
    (void)signal;
    ticks++;
}

__attribute__((noinline)) static void drop(void *block) { free(block); }

__attribute__((noinline)) static uint64_t mix(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    drop(malloc(a % 100));
    return (a * 31 + b) ^ (c * 17 + d);
}

static uint64_t work(void) {
    uint64_t a = 1, b = 2, c = 3, d = 4;
    for (int i = 0; i < 2000; i++) {
        uint64_t e = mix(a, b, c, d);
        a = b, b = c, c = d, d = e;
    }
    return d;
}

int main(void) {
    uint64_t expected = work();
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 300}, {0, 300}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    for (int i = 0; i < 40 || ticks < 1000; i++) CHECK(work() == expected);
    setitimer(ITIMER_REAL, &off, NULL);
    printf("%016lx\n", (unsigned long)expected);
    return SUCCESS();
}
