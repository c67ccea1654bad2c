// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Reported by nobody: accesses that leave one static array and end in the next one, or in the same structure.
#include "../guest.h"

static struct {
    volatile int before[4], list[8], behind[4];
} data;
static volatile int sink;

static void __attribute__((noinline)) fill(volatile int *list, int from, int to) {
    for (int i = from; i < to; i++) list[i] = i;
}

int main(void) {
    fill(data.list, -1, 9);
    CHECK(data.before[3] == -1 && data.behind[0] == 8);
    struct { volatile char name[8]; volatile int number; } local = {{0}, 3};
    volatile char *name = local.name;
    for (int i = 0; i < 10; i++) name[i] = 1;
    sink = local.number;
    CHECK(sink != 3);
    return SUCCESS();
}
