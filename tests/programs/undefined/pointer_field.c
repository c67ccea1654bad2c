// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// One bit of a pointer was never set; wherever it leads to, there is memory.
#include "../guest.h"

struct item {
    volatile int *value;
    long other;
};
static volatile int sink;

int main(void) {
    static volatile int number[16] __attribute__((aligned(64))) = {5, 5, 5, 5};
    struct item *one = malloc(sizeof *one), *other = malloc(sizeof *other);
    one->value = number;
    sink = *one->value;
    // All but one bit of it is known.
    unsigned long *bits = (unsigned long *)&other->value;
    *bits = *bits & 8;
    *bits = *bits | (unsigned long)number;
    sink = *other->value; //~ UninitValue 8
    CHECK(sink == 5);
    free(one), free(other);
    return SUCCESS();
}
