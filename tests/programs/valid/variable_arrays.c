// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: arrays of variable length and alloca in loops and recursion, read only where they were set.
#include "../guest.h"
#include <alloca.h>

static int __attribute__((noinline)) permutations(const int *left, int count) {
    if (count <= 1) return 1;
    int sum = 0;
    for (int i = 0; i < count; i++) {
        int rest[count - 1], n = 0;
        for (int k = 0; k < count; k++)
            if (k != i) rest[n++] = left[k];
        CHECK(n == count - 1 && rest[0] != left[i]);
        sum += permutations(rest, n);
    }
    return sum;
}
static int __attribute__((noinline)) chain(int length) {
    struct link { struct link *next; int value; } *list = NULL;
    for (int i = 0; i < length; i++) {
        struct link *one = alloca(sizeof *one);
        one->value = i, one->next = list, list = one;
    }
    int sum = 0;
    for (; list; list = list->next) sum += list->value;
    return sum;
}

int main(void) {
    int list[6] = {1, 2, 3, 4, 5, 6};
    CHECK(permutations(list, 6) == 720);
    for (int i = 0; i < 30; i++) CHECK(chain(i) == i * (i - 1) / 2);
    return SUCCESS();
}
