// build: cc -g -O0
// build O1: cc -g -O1
// build clang: clang -g -O1
// Valid: a value is looked at only where another says that it was set.
#include "../guest.h"

struct maybe {
    int set;
    long value;
    char *text;
};
static volatile int sink;

static int __attribute__((noinline)) is_large(const struct maybe *m) {
    sink++;
    return m->set && *(const volatile long *)&m->value > 100;
}
static size_t __attribute__((noinline)) length(const struct maybe *m) {
    return m->set == 2 ? strlen(m->text) : 0;
}

int main(void) {
    struct maybe *list = malloc(30 * sizeof *list);
    for (int i = 0; i < 30; i++) {
        list[i].set = i % 3;
        if (i % 3) list[i].value = i * 20;
        if (i % 3 == 2) list[i].text = "text";
    }
    int large = 0;
    size_t letters = 0;
    for (int i = 0; i < 30; i++) large += is_large(&list[i]), letters += length(&list[i]);
    CHECK(large == 16 && letters == 40);
    free(list);
    return SUCCESS();
}
