// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Undefined values that go through conditional moves, set instructions and carries before a branch looks at them.
#include "../guest.h"

static volatile int sink;

static unsigned __attribute__((noinline)) smaller(const unsigned *a, const unsigned *b) {
    unsigned least = *b;
    __asm__("cmpl %1, %0; cmova %1, %0" : "+r"(least) : "r"(*a) : "cc");
    return least;
}
static unsigned long __attribute__((noinline)) added(const unsigned long *a) {
    unsigned long low = a[0], high = a[1];
    __asm__("addq %2, %0; adcq $0, %1" : "+r"(low), "+r"(high) : "r"(a[2]) : "cc");
    return high;
}
static unsigned __attribute__((noinline)) flag(const unsigned *a) {
    unsigned is = *a > 6;
    return is << 3;
}
static void __attribute__((noinline)) use(unsigned long value) {
    if (value) sink++; //~ UninitCondition 0
}

int main(void) {
    unsigned *a = malloc(4 * sizeof *a);
    unsigned long *b = malloc(3 * sizeof *b);
    a[0] = 1, a[1] = 2, b[1] = 0, b[2] = 1;
    use(smaller(a, a + 1));
    use(smaller(a, a + 2));
    use(added(b));
    use(flag(a));
    use(flag(a + 3));
    free(a), free(b);
    return SUCCESS();
}
