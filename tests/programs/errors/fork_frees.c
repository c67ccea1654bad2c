// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O0 -w -fno-builtin
// A child has blocks of its own: what it frees is still there for its parent, and what its parent freed before is not.
#include "../guest.h"
#include <sys/wait.h>

static void *volatile before, *volatile both;

static void wait_for(pid_t child) {
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    before = malloc(10);
    free(before);
    both = malloc(20);
    pid_t child = fork();
    if (child == 0) {
        free(both);
        free(before); //~ InvalidFree 0
        free(both); //~ InvalidFree 0
        pid_t grandchild = fork();
        if (grandchild == 0) {
            free((char *)both + 2); //~ InvalidFree 0
            _exit(0);
        }
        wait_for(grandchild);
        _exit(0);
    }
    wait_for(child);
    free(both);
    puts("EXIT-SUCCESS");
    return 0;
}
