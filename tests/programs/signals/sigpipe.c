// build: cc -O2
// ends: signal 13
// EPIPE when SIGPIPE is ignored or handled, death when it is not; what exec and fork inherit.
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static volatile int handled;
static void handler(int signal) { handled = signal; }

int main(void) {
    int pipes[2];
    CHECK(pipe(pipes) == 0 && close(pipes[0]) == 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK(write(pipes[1], "x", 1) == -1 && errno == EPIPE);
    signal(SIGPIPE, handler);
    CHECK(write(pipes[1], "x", 1) == -1 && errno == EPIPE && handled == SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
    puts("EXIT-SUCCESS");
    fflush(stdout);
    if (write(pipes[1], "x", 1)) puts("still there");
    return 1;
}
