// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A child frees its copy of a block and goes on to use it; its parent's is alive.
#include "../guest.h"
#include <sys/wait.h>

int main(void) {
    volatile int *block = malloc(8 * sizeof *block);
    block[2] = 6;
    pid_t child = fork();
    if (child == 0) {
        free((void *)block);
        block[3] = 7; //~ InvalidWrite 4
        _exit(block[2] == 6 ? 0 : 0); //~ InvalidRead 4
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(block[2] == 6);
    block[3] = 1;
    free((void *)block);
    return SUCCESS();
}
