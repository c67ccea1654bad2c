// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// memcmp of structures whose padding was never set, and the comparison of their members, which is fine.
#include "../guest.h"

struct point {
    char kind;
    long x;
};
static volatile int sink;

static struct point *__attribute__((noinline)) make(char kind, long x) {
    struct point *one = malloc(sizeof *one);
    one->kind = kind;
    one->x = x;
    return one;
}
static int __attribute__((noinline)) same(struct point *a, struct point *b) {
    return a->kind == b->kind && a->x == b->x;
}

int main(void) {
    struct point *a = make(1, 2), *b = make(1, 2), *c = make(1, 3);
    CHECK(same(a, b) && !same(a, c));
    volatile size_t size = sizeof *a;
    if (memcmp(a, b, size) == 0) sink++; //~ UninitCondition 0
    size = sizeof a->x;
    CHECK(memcmp(&a->x, &b->x, size) == 0 && memcmp(&a->x, &c->x, size) != 0);
    free(a), free(b), free(c);
    return SUCCESS();
}
