// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O1 -w
// A structure that is returned by value in registers and in memory, with a member that was never set.
#include "../guest.h"

struct small {
    int a, b;
};
struct large {
    long a[6];
};
static volatile int sink;

static struct small __attribute__((noinline)) small(const int *p) {
    struct small s;
    s.a = p[0];
    s.b = p[1];
    return s;
}
static struct large __attribute__((noinline)) large(const long *p) {
    struct large l;
    for (int i = 0; i < 6; i++) l.a[i] = p[i];
    return l;
}
static void __attribute__((noinline)) use(long value) {
    if (value == 4) sink++; //~ UninitCondition 0
}

int main(void) {
    int *ints = malloc(2 * sizeof *ints);
    long *longs = malloc(6 * sizeof *longs);
    ints[0] = 4, longs[5] = 4;
    struct small s = small(ints);
    use(s.a);
    struct large l = large(longs);
    use(l.a[5]);
    CHECK(sink == 2);
    use(s.b);
    use(l.a[2]);
    free(ints), free(longs);
    return SUCCESS();
}
