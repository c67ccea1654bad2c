// build: cc -g -O1 -w
// build O2: cc -g -O2 -w
// build O3: cc -g -O3 -w
// build clang: clang -g -O1 -w
// build clangO2: clang -g -O2 -w
// build clangO3: clang -g -O3 -w
// Conditions that compilers evaluate in the other order: `a && b` where b was never set because a is false. No error, whatever
// code it becomes.
#include "../guest.h"

struct one { char used; char kind; short flags; int number; long big; unsigned bits : 3, more : 5; };
struct list { struct list *next; int valid, value; };

#define SHAPE(NAME, CONDITION) \
    static int __attribute__((noinline)) NAME(const struct one *p) { \
        if (CONDITION) return 1; \
        return 2; \
    }
SHAPE(bytes, p->used && p->kind)
SHAPE(numbers, p->used && p->number > 3)
SHAPE(both, p->used == 1 && p->kind == 2 && p->number == 3)
SHAPE(three, p->used && p->kind && p->flags)
SHAPE(longs, p->used && p->big < 0)
SHAPE(neither, !p->used || p->kind == 3)
SHAPE(mixed, p->used && (p->kind == 1 || p->number == 2))
SHAPE(fields, p->used && p->bits == 5 && p->more > 1)
SHAPE(ranges, p->used && p->number >= 1 && p->number < 10)
SHAPE(shorts, p->used != 0 && p->flags == 7)

static int __attribute__((noinline)) within(const struct one *a, const struct one *b) {
    return a->used == b->used && (!a->used || (a->number == b->number && a->kind == b->kind));
}
static int __attribute__((noinline)) in_loop(const struct one *list, int n) {
    int found = 0;
    for (int i = 0; i < n; i++)
        if (list[i].used && list[i].number == i) found++;
    return found;
}
static int __attribute__((noinline)) of_locals(int argc, int n) {
    int value, set = 0;
    if (argc > 100) value = argc, set = 1;
    for (int i = 0; i < n; i++)
        if (set && value > i) return i;
    return -1;
}
static int __attribute__((noinline)) of_optional(const struct list *l) {
    while (l) {
        if (l->valid && l->value == 5) return 1;
        l = l->next;
    }
    return 0;
}

int main(int argc, char **argv) {
    (void)argv;
    struct one *p = malloc(4 * sizeof *p);
    for (int i = 0; i < 4; i++) p[i].used = 0;
    int (*const shapes[])(const struct one *) = {bytes, numbers, both, three, longs, mixed, fields, ranges, shorts};
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) CHECK(shapes[i](p) == 2);
    CHECK(neither(p) == 1);
    CHECK(within(p, p + 1) == 1);
    CHECK(in_loop(p, 4) == 0);
    CHECK(of_locals(argc, 3) == -1);
    struct list *l = malloc(sizeof *l);
    l->next = NULL;
    l->valid = 0;
    CHECK(of_optional(l) == 0);
    free(l);
    free(p);
    return SUCCESS();
}
