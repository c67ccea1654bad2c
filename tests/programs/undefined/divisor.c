// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Divided by a value that is undefined in part, and a branch on the quotient; the division itself is no error.
#include "../guest.h"

static volatile long sink;

static long __attribute__((noinline)) quotient(long a, const long *b) { return a / (*b | 1); }
static void __attribute__((noinline)) use(long value) {
    if (value > 100) sink++; //~ UninitCondition 0
}

int main(void) {
    long *numbers = malloc(2 * sizeof *numbers);
    numbers[0] = 6;
    CHECK(quotient(70, numbers) == 10);
    long unknown = quotient(1000, numbers + 1);
    sink = unknown;
    use(unknown);
    free(numbers);
    return SUCCESS();
}
