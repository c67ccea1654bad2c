// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// qsort and bsearch call back to compare elements, one of which was never set.
#include "../guest.h"

static volatile int calls;

static int compare(const void *a, const void *b) {
    int first = *(const int *)a, second = *(const int *)b;
    calls++;
    if (first < second) calls++; //~ UninitCondition 0
    return (first > second) - (first < second);
}

int main(void) {
    int *list = malloc(20 * sizeof *list);
    for (int i = 0; i < 19; i++) list[i] = i * 37 % 19;
    qsort(list, 19, sizeof *list, compare);
    for (int i = 0; i < 19; i++) CHECK(list[i] == i);
    int key = 11;
    CHECK(bsearch(&key, list, 19, sizeof *list, compare) == &list[11]);
    int *other = malloc(3 * sizeof *other);
    other[0] = 3, other[2] = 1;
    calls = compare(other, other + 1);
    free(list), free(other);
    return SUCCESS();
}
