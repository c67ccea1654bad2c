// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A handler of SIGSEGV leaves by siglongjmp: each fault is told, and what comes behind is looked at as before.
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;
static volatile int faults, sink;

static void handle(int number) {
    (void)number;
    faults++;
    siglongjmp(back, 1);
}
static void __attribute__((noinline)) look(const int *p) {
    if (*p == 4) sink++; //~ UninitCondition 0
}

int main(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    volatile int *volatile nowhere = (volatile int *)64;
    int *block = malloc(2 * sizeof *block);
    if (sigsetjmp(back, 1) == 0) {
        sink = *nowhere; //~ InvalidRead 4
    }
    if (sigsetjmp(back, 1) == 0) {
        nowhere[1] = 5; //~ InvalidWrite 4
    }
    CHECK(faults == 2);
    block[0] = 4;
    look(block);
    look(block + 1);
    free(block);
    return SUCCESS();
}
