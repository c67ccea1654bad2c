// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: handlers on an alternative stack that interrupt a loop whose values are half made, and one another.
#include "../guest.h"
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks, nested;

static void inner(int number) {
    int list[16];
    for (int i = 0; i < 16; i++) list[i] = number;
    nested += list[15] == SIGUSR2;
}
static void tick(int number) {
    (void)number;
    ticks++;
    raise(SIGUSR2);
}

int main(void) {
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&other, NULL) == 0);
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_ONSTACK | SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    action.sa_handler = inner;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (ticks < 20) {
        unsigned *half = malloc(64 * sizeof *half), sum = 0;
        for (unsigned i = 0; i < 64; i += 2) half[i] = i;
        for (unsigned i = 0; i < 64; i += 2) sum += half[i];
        CHECK(sum == 992);
        free(half);
    }
    struct itimerval off = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    CHECK(nested == ticks);
    return SUCCESS();
}
