// build: cc -g -O0
// build O2: cc -g -O2
// The argument of an ioctl that the kernel reads was never set; one that it writes to comes back defined.
#include "../guest.h"
#include <sys/ioctl.h>

int main(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3);
    int *waiting = malloc(sizeof *waiting);
    CHECK(ioctl(ends[0], FIONREAD, waiting) == 0 && *waiting == 3);
    int *blocking = malloc(sizeof *blocking);
    CHECK(ioctl(ends[0], FIONBIO, blocking) == 0); //~ SyscallParam 0
    *blocking = 1;
    CHECK(ioctl(ends[0], FIONBIO, blocking) == 0);
    free(waiting), free(blocking);
    return SUCCESS();
}
