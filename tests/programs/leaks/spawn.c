// build: cc -g -O0
// A spawned child loses memory of its own; the parent waits for it.
#include "../guest.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void __attribute__((noinline)) lose(size_t size) {
    void *volatile p = calloc(1, size); //~ definite 51 1 //~ definite 52 1
    p = NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        lose(52);
        scrub();
        return 0;
    }
    char *child_argv[] = {argv[0], "child", NULL};
    pid_t child;
    int status;
    CHECK(posix_spawn(&child, argv[0], NULL, NULL, child_argv, environ) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    lose(51);
    scrub();
    return SUCCESS();
}
