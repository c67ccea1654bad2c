// build: cc -g -O0
// build O1: cc -g -O1
// build O2: cc -g -O2
// build clang: clang -g -O0
// build clang-O2: clang -g -O2
// Memory of the heap that was never set: used in a branch, as an index, through copies and arithmetic; and much that is fine.
#include "../guest.h"

static volatile int sink;
static volatile int table[16];
struct pair {
    char letter;
    int number;
    short flags : 3, more : 5;
};

static void __attribute__((noinline)) branch(const int *p) {
    if (*p == 7) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) by_index(const int *p) {
    sink = table[*p & 15]; //~ UninitValue 8
}
static void __attribute__((noinline)) computed(const int *p) {
    int sum = p[1] * 3 + p[2];
    sum ^= 0x55;
    if (sum > 4) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) found(void) { sink++; }
static void __attribute__((noinline)) in_loop(const char *p, int n) {
    for (int i = 0; i < n; i++)
        if (p[i]) found(); //~ UninitCondition 0
}
static int __attribute__((noinline)) masked(const unsigned *p) {
    // Only bits that were set.
    return (*p & 0xff) == 3;
}

int main(void) {
    int *numbers = malloc(10 * sizeof *numbers);
    branch(numbers);
    by_index(numbers + 1);
    computed(numbers);
    char *text = malloc(8);
    text[0] = 1, text[1] = 0;
    in_loop(text, 2);
    in_loop(text + 2, 1);
    // A copy is as undefined as what it is of, and no error itself.
    int *copy = malloc(10 * sizeof *copy);
    memcpy(copy, numbers, 10 * sizeof *copy);
    copy[0] = 7;
    if (copy[0] == 7) sink++;
    branch(copy + 3);
    // realloc keeps what was set, and only that.
    numbers[0] = 1;
    numbers = realloc(numbers, 20 * sizeof *numbers);
    if (numbers[0] == 1) sink++;
    branch(numbers + 15);
    // Bits that are set count one by one.
    unsigned *word = malloc(sizeof *word);
    *(unsigned char *)word = 3;
    CHECK(masked(word));
    // Padding may be copied and left alone.
    struct pair *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    a->letter = 1, a->number = 2, a->flags = 3, a->more = 4;
    *b = *a;
    CHECK(b->letter == 1 && b->number == 2 && b->flags == 3 && b->more == 4);
    int *zeroed = calloc(4, sizeof *zeroed);
    CHECK(zeroed[3] == 0);
    char *set = malloc(100);
    memset(set, 5, 100);
    for (int i = 0; i < 100; i++) CHECK(set[i] == 5);
    free(numbers), free(copy), free(text), free(word), free(a), free(b), free(zeroed), free(set);
    return SUCCESS();
}
