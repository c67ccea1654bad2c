// build: cc -O2 -Wl,-z,execstack
// build O0: cc -O0 -Wl,-z,execstack
// Nested functions of GCC: trampolines on the stack, made anew at each level.
#include "../guest.h"

static int apply(int (*f)(int), int x) { return f(x); }

static int level(int depth) {
    int add = depth * 3;
    int inner(int x) { return x + add; }
    int below = depth ? level(depth - 1) : 0;
    return apply(inner, below);
}

static int compare_with(const int *numbers, int count, int pivot) {
    int less(const void *a, const void *b) { return abs(*(const int *)a - pivot) - abs(*(const int *)b - pivot); }
    int copy[16];
    memcpy(copy, numbers, (size_t)count * sizeof *copy);
    qsort(copy, (size_t)count, sizeof *copy, less);
    return copy[0] * 100 + copy[count - 1];
}

int main(void) {
    long sum = 0;
    for (int i = 0; i < 200; i++) sum += level(i % 50);
    int numbers[] = {1, 22, 3, 17, 9, 30, 12};
    for (int pivot = 0; pivot < 40; pivot++) sum += compare_with(numbers, 7, pivot);
    printf("%ld\n", sum);
    return SUCCESS();
}
