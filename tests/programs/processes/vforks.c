// build: cc -O1
// build static: cc -O1 -static
// vfork: the parent waits, memory is shared, exec and _exit let it go on.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int shared;

int main(void) {
    int status;
    for (int i = 0; i < 50; i++) {
        pid_t child = vfork();
        if (child == 0) {
            shared++;
            _exit(i);
        }
        CHECK(child > 0 && shared == i + 1);
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == i);
    }
    for (int i = 0; i < 10; i++) {
        volatile int error = 0;
        pid_t child = vfork();
        if (child == 0) {
            execl("/no/such/program", "x", (char *)NULL);
            error = errno;
            _exit(127);
        }
        CHECK(error == ENOENT && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 127);
        child = vfork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
            _exit(126);
        }
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
    }
    return SUCCESS();
}
