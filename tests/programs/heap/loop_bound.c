// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A loop that runs one element too far, forwards over ints and backwards over doubles.
#include "../guest.h"

static void __attribute__((noinline)) fill(volatile int *list, int count) {
    for (int i = 0; i <= count; i++) list[i] = i; //~ InvalidWrite 4
}

static double __attribute__((noinline)) total(volatile double *list, int count) {
    double sum = 0;
    for (int i = count - 1; i >= -1; i--) sum += list[i]; //~ InvalidRead 8
    return sum;
}

int main(void) {
    int *numbers = malloc(10 * sizeof *numbers);
    fill(numbers, 10);
    CHECK(numbers[9] == 9);
    double *reals = calloc(7, sizeof *reals);
    double sum = total(reals, 7);
    (void)sum;
    free(numbers);
    free(reals);
    return SUCCESS();
}
