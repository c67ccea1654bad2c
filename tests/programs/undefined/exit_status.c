// build: cc -g -O0
// build O2: cc -g -O2
// ends: exit 3
// The status that a program exits with was never set in full.
#include "../guest.h"

int main(void) {
    int *status = malloc(sizeof *status);
    ((unsigned char *)status)[0] = 3;
    ((unsigned char *)status)[1] = 0;
    // Of the others the low bits are known and the high ones are dropped by the kernel.
    fflush(NULL);
    _exit(*status); //~ SyscallParam 0
}
