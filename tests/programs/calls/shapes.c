// build: cc -g -O2 -fno-plt -Wl,-z,now
// build lazy: cc -g -O2 -Wl,-z,lazy
// build cet: cc -g -O2 -fcf-protection=full -Wl,-z,lazy
// build static: cc -g -O2 -static
// build plain: cc -g -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -DPLAIN
// Ways to call a function: how often who calls whom is written beside the calls.
#include "../guest.h"
#include <stdlib.h>

#define SEPARATE __attribute__((noinline, noclone))

static volatile int sink;

SEPARATE static int leaf(int x) {
    return x + sink;
}

SEPARATE static int twice(int x) {
    return leaf(x) + 2 * leaf(x + 1); //~ CALLS twice leaf 200
}

// Jumps to leaf, and is jumped to: one call for the caller, two for the reader.
SEPARATE static int jumps(int x) {
    sink = 0;
    return leaf(x + 1); //~ CALLS jumps leaf 70
}

SEPARATE static int jumps_far(int x) {
    sink = 0;
    return jumps(x); //~ CALLS jumps_far jumps 30
}

// Tail calls in a circle: they come back to a function that has not returned.
SEPARATE static int pong(int n);
SEPARATE static int ping(int n) {
    sink = n;
    return n == 0 ? 1 : pong(n - 1);
}
SEPARATE static int pong(int n) {
    sink = n;
    return n == 0 ? 2 : ping(n - 1);
}

SEPARATE static int down(int n) {
    sink = n;
    return n == 0 ? 0 : down(n - 1) ^ sink; //~ CALLS down down 50
}

SEPARATE static int through(int (*f)(int), int x) {
    return f(x) * 2; //~ CALLS through leaf 20
}                    //~ CALLS through twice 10

SEPARATE static int compares(const void *left, const void *right) {
    return *(const int *)left - *(const int *)right;
}

// A loop that jumps to its function's first instruction calls nothing.
SEPARATE static unsigned loops(unsigned n) {
    while (n > 1) n = n % 2 ? 3 * n + 1 : n / 2;
    return n;
}

int main(void) {
    int sum = 0;
    for (int i = 0; i < 90; i++) sum += twice(i);       //~ CALLS main twice 90
    for (int i = 0; i < 40; i++) sum += jumps(i);       //~ CALLS main jumps 40
    for (int i = 0; i < 30; i++) sum += jumps_far(i);   //~ CALLS main jumps_far 30
    for (int i = 0; i < 20; i++) sum += ping(i);        //~ CALLS main ping 20
    sum += down(50);                                    //~ CALLS main down 1
    for (int i = 0; i < 30; i++) sum += through(i % 3 ? leaf : twice, i); //~ CALLS main through 30
    for (int i = 1; i < 12; i++) sum += (int)loops((unsigned)i); //~ CALLS main loops 11
    for (int i = 0; i < 7; i++) sum += getenv("unset") != NULL; //~ CALLS main getenv 7
    int numbers[4] = {4, 3, 2, 1};
    qsort(numbers, 4, sizeof *numbers, compares);       //~ CALLS main qsort 1
    CHECK(numbers[0] == 1 && sum > 0);
    return SUCCESS();
}
