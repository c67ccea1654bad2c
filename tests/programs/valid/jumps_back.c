// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: errors by longjmp out of deep recursion with large frames, and calls that use the same stack again.
#include "../guest.h"
#include <setjmp.h>

static jmp_buf back;
static volatile int depth_reached;

static int __attribute__((noinline)) deep(int depth) {
    char local[200];
    memset(local, depth, sizeof local);
    depth_reached = depth;
    if (depth == 50) longjmp(back, 7);
    int result = deep(depth + 1);
    return result + local[depth];
}
static int __attribute__((noinline)) shallow(void) {
    int list[300], sum = 0;
    for (int i = 0; i < 300; i++) list[i] = i;
    for (int i = 0; i < 300; i++) sum += list[i];
    return sum;
}

int main(void) {
    for (volatile int i = 0; i < 20; i++) {
        int why = setjmp(back);
        if (why == 0) deep(0);
        CHECK(why == 7 && depth_reached == 50);
        CHECK(shallow() == 44850);
    }
    return SUCCESS();
}
