// build: cc -g -O0
// A child and its parent each lose memory; the child has copies of what the parent had lost before.
#include "../guest.h"
#include <sys/wait.h>
#include <unistd.h>

static void __attribute__((noinline)) before(void) {
    void *volatile p = calloc(1, 30); //~ definite 30 1 //~ definite 30 1
    p = NULL;
}

static void __attribute__((noinline)) in_child(void) {
    void *volatile p = calloc(1, 31); //~ definite 31 1
    p = NULL;
}

static void __attribute__((noinline)) in_parent(void) {
    void *volatile p = calloc(1, 32); //~ definite 32 1
    p = NULL;
}

int main(void) {
    before();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        in_child();
        scrub();
        _exit(7);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    in_parent();
    scrub();
    return SUCCESS();
}
