// build: cc -g -O0
// Frames that a longjmp leaves take their pointers with them.
#include "../guest.h"
#include <setjmp.h>

static jmp_buf back;

static void __attribute__((noinline)) deep(int depth) {
    void *volatile p = depth ? NULL : calloc(1, 57); //~ definite 57 1
    if (depth) deep(depth - 1);
    else longjmp(back, 1);
    (void)p;
}

int main(void) {
    if (setjmp(back) == 0) deep(5);
    scrub();
    return SUCCESS();
}
