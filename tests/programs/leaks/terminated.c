// build: cc -g -O0
// ends: signal 15
// A program that dies of SIGTERM while it sleeps is searched for leaks.
#include "../guest.h"
#include <signal.h>
#include <unistd.h>

static void __attribute__((noinline)) lose(void) {
    void *volatile p = calloc(1, 95); //~ definite 95 1
    p = NULL;
}

int main(void) {
    lose();
    scrub();
    alarm(0);
    raise(SIGTERM);
    for (;;) pause();
}
