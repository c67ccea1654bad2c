// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// Frees in signal handlers, on the normal and on an alternative stack, and by a handler that interrupts the heap's users.
#include "../guest.h"
#include <signal.h>
#include <sys/time.h>

static void *volatile freed;
static void *volatile whole;
static volatile sig_atomic_t ticks;

static void twice(int signal) {
    free(freed); //~ InvalidFree 0
    free((char *)whole + 4); //~ InvalidFree 0
    free(whole);
}

static void tick(int signal) {
    free(freed); //~ InvalidFree 0
    ticks++;
}

int main(void) {
    static char stack[1 << 16];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&other, NULL) == 0);
    freed = malloc(24);
    free(freed);

    struct sigaction action = {.sa_handler = twice};
    sigaction(SIGUSR1, &action, NULL);
    whole = malloc(64);
    raise(SIGUSR1);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR2, &action, NULL);
    whole = malloc(640);
    raise(SIGUSR2);
    free(whole); //~ InvalidFree 0

    action.sa_handler = tick;
    action.sa_flags = 0;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    unsigned long sum = 0;
    while (ticks < 20) {
        for (unsigned i = 1; i < 100000; i++) {
            sum += sum / i;
        }
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    puts("EXIT-SUCCESS");
    return 0;
}
