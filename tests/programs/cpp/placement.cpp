// build: c++ -g -O0 -w
// build O2: c++ -g -O2 -w
// build clang: clang++ -g -O1 -w
// Placement new into a buffer that is too small, and an object of which the constructor leaves a member unset.
#include "../guest.h"
#include <new>

struct record {
    explicit record(int n) : id(n) {}
    volatile int id;
    volatile int state;
    volatile long total = 5;
};
static volatile int sink;

static void __attribute__((noinline)) look(record *one) {
    if (one->state == 3) sink = 1; //~ UninitCondition 0
}

int main() {
    void *room = malloc(sizeof(record));
    record *one = new (room) record(1);
    CHECK(one->id == 1 && one->total == 5);
    look(one);
    one->~record();
    char *small = static_cast<char *>(malloc(12));
    struct half { volatile int a = 1, b = 2, c = 3, d = 4; }; //~ InvalidWrite 4
    half *other = new (small) half;
    CHECK(other->b == 2);
    free(room), free(small);
    return SUCCESS();
}
