// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O1 -w
// ends: signal 11
// A wild index that leads far behind every block, after a negative one that was a difference of unsigned numbers.
#include "../guest.h"

static volatile int sink;

int main(void) {
    volatile int *list = calloc(16, sizeof *list);
    volatile long far = 1 << 22;
    volatile unsigned low = 2, high = 5;
    sink += list[(int)(low - high)]; //~ InvalidRead 4
    list[low] = 1;
    sink += list[far]; //~ InvalidRead 4 //~ FatalSignal 0
    return SUCCESS();
}
