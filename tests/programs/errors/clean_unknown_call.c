// build: cc -g -O1
// A system call that nobody knows, made by two processes, is no error, only less is looked at.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void) {
    for (int i = 0; i < 3; i++) CHECK(syscall(400) < 0 && errno == ENOSYS);
    pid_t child = fork();
    if (child == 0) _exit(syscall(400) < 0 && errno == ENOSYS ? 0 : 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return SUCCESS();
}
