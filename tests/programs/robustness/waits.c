// build: cc -O2 -g
// Says that it is ready, then waits for SIGTERM or SIGINT and ends with a status that tells which one it was; one
// block of 64 bytes is lost by then.
#include "../guest.h"
#include <signal.h>
#include <unistd.h>

static volatile int got;
static void handler(int signal) { got = signal; }

static void __attribute__((noinline)) lose(void) {
    void *volatile p = malloc(64);
    p = NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    lose();
    scrub();
    puts("ready");
    fflush(stdout);
    while (!got) usleep(1000);
    printf("signal %d\n", got);
    fflush(stdout);
    return 20 + got;
}
