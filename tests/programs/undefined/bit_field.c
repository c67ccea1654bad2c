// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O0
// build clang-O2: clang -g -O2
// One bit field of three was never set; its neighbours in the same word are.
#include "../guest.h"

struct flags {
    unsigned kind : 3;
    unsigned dirty : 1;
    unsigned count : 12;
};
static volatile int sink;

static void __attribute__((noinline)) fill(struct flags *flags) {
    flags->kind = 5;
    flags->count = 77;
}
static int __attribute__((noinline)) kind(struct flags *flags) { return flags->kind == 5; }
static int __attribute__((noinline)) count(struct flags *flags) { return flags->count == 77; }
static void __attribute__((noinline)) dirty(struct flags *flags) {
    if (flags->dirty) sink++; //~ UninitCondition 0
}

int main(void) {
    struct flags *flags = malloc(sizeof *flags);
    fill(flags);
    CHECK(kind(flags));
    CHECK(count(flags));
    dirty(flags);
    flags->dirty = 0;
    flags->dirty = 1;
    CHECK(flags->dirty);
    free(flags);
    return SUCCESS();
}
