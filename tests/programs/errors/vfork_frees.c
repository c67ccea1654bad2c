// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// peer: makes fork of vfork
// peer fast: makes fork of vfork
// A child of vfork has its parent's memory: what it frees is gone.
#include "../guest.h"
#include <sys/wait.h>

static void *volatile shared;

int main(void) {
    shared = malloc(30);
    pid_t child = vfork();
    if (child == 0) {
        free(shared);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    free(shared); //~ InvalidFree 0
    puts("EXIT-SUCCESS");
    return 0;
}
