// build: cc -g -O0
// build O2: cc -g -O2 -fno-ipa-icf
// build clang: clang -g -O1
// Parent and child have each their own copy of what is undefined: the child sets it, the parent does not.
#include "../guest.h"
#include <sys/wait.h>

static volatile int sink;
static void __attribute__((noinline)) in_child(const int *p) {
    if (*p == 3) sink++;
}
static void __attribute__((noinline)) unset_in_child(const int *p) {
    if (*p == 3) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) in_parent(const int *p) {
    if (*p == 3) sink++; //~ UninitCondition 0
}

int main(void) {
    int *block = malloc(4 * sizeof *block);
    pid_t child = fork();
    if (child == 0) {
        block[0] = 3;
        in_child(block);
        unset_in_child(block + 1);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    in_parent(block);
    free(block);
    return SUCCESS();
}
