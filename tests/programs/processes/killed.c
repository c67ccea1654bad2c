// build: cc -O2
// ends: signal 9
// trace: partial
// Kills itself with SIGKILL after some work.
#include "../guest.h"
#include <signal.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 1000; i++) free(malloc((size_t)i));
    puts("before the end");
    fflush(stdout);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}
