// build: cc -g -O0
// build O2: cc -g -O2
// build O3: cc -g -O3
// build clang: clang -g -O2
// Valid: bit fields are set one by one in a word that was never set as a whole, and compared alone and together.
#include "../guest.h"

struct flags {
    unsigned a : 1, b : 7, c : 13, d : 3, e : 8;
    unsigned long wide : 37;
};
static volatile int sink;

static void __attribute__((noinline)) fill(struct flags *f, unsigned seed) {
    f->c = seed * 3;
    f->a = seed & 1;
    f->e = seed + 9;
    f->b = seed;
    f->wide = seed * 1000003UL;
}
static int __attribute__((noinline)) both(const struct flags *f) { return f->a && f->b > 3; }
static int __attribute__((noinline)) sum(const struct flags *f) { return (int)(f->c + f->e); }

int main(void) {
    struct flags *list = malloc(8 * sizeof *list);
    for (unsigned i = 0; i < 8; i++) {
        fill(&list[i], i);
        // d is left alone.
        CHECK(both(&list[i]) == (i == 5 || i == 7));
        CHECK(sum(&list[i]) == (int)(3 * i + i + 9));
        CHECK(list[i].wide == i * 1000003UL);
        if (list[i].b == i) sink++;
    }
    CHECK(sink == 8);
    free(list);
    return SUCCESS();
}
