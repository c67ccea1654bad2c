// build: cc -g -O1 -fno-plt
// build plain: cc -g -O0 -fno-plt
// Recursion, direct and mutual, beside functions that are called from several places.
#include "../guest.h"

#define SEPARATE __attribute__((noinline, noclone))

SEPARATE static int fibonacci(int n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

SEPARATE static int odd(int n);
SEPARATE static int even(int n) {
    return n == 0 ? 1 : odd(n - 1) + 2;
}
SEPARATE static int odd(int n) {
    return n == 0 ? 0 : even(n - 1) + 1;
}

SEPARATE static int ackermann(int m, int n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

SEPARATE static unsigned mix(unsigned value, unsigned with) {
    switch (with % 7) {
    case 0: return value + with;
    case 1: return value ^ with;
    case 2: return value * 31;
    case 3: return value - with * 5;
    case 4: return (value >> 3) | with;
    case 5: return value & ~with;
    default: return value;
    }
}

SEPARATE static int compares(const void *left, const void *right) {
    unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;
    return a < b ? -1 : a > b;
}

int main(void) {
    static unsigned numbers[500];
    unsigned value = 1;
    for (unsigned i = 0; i < 5000; i++) {
        value = mix(value, i);
        numbers[i % 500] = value;
    }
    qsort(numbers, 500, sizeof *numbers, compares);
    for (unsigned i = 1; i < 500; i++) CHECK(numbers[i - 1] <= numbers[i]);
    CHECK(fibonacci(20) == 6765);
    CHECK(even(1000) == 1501);
    CHECK(ackermann(2, 30) == 63);
    return SUCCESS();
}
