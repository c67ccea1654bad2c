// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O1 -w
// longjmp leaves functions whose blocks were freed on the way; a stale one of them is read behind the setjmp.
#include "../guest.h"
#include <setjmp.h>

static jmp_buf back;
static volatile int *volatile found;
static volatile int sink;

static void __attribute__((noinline)) search(int depth) {
    volatile int *level = malloc(4 * sizeof *level);
    level[1] = depth;
    found = level;
    if (depth == 3) {
        free((void *)level);
        longjmp(back, depth);
    }
    search(depth + 1);
    free((void *)level);
}

int main(void) {
    int result = setjmp(back);
    if (result == 0) search(0);
    CHECK(result == 3);
    sink = found[1]; //~ InvalidRead 4
    volatile int again = 0;
    if (setjmp(back) < 5) {
        again = again + 1;
        longjmp(back, again);
    }
    CHECK(again == 5);
    return SUCCESS();
}
