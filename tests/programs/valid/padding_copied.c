// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: structures with padding are assigned, passed and returned by value, sorted; only their members are compared.
#include "../guest.h"

struct mixed {
    char c;
    double d;
    short s;
    long l;
    char text[5];
};

static struct mixed __attribute__((noinline)) make(int i) {
    struct mixed m;
    m.c = (char)i, m.d = i * 0.5, m.s = (short)-i, m.l = i * 1000L;
    memcpy(m.text, "text", 5);
    return m;
}
static long __attribute__((noinline)) value(struct mixed m) { return m.c + (long)m.d + m.s + m.l; }
static int compare(const void *a, const void *b) {
    const struct mixed *x = a, *y = b;
    return (x->l > y->l) - (x->l < y->l);
}

int main(void) {
    struct mixed *list = malloc(20 * sizeof *list);
    for (int i = 0; i < 20; i++) list[i] = make(i * 7 % 20);
    qsort(list, 20, sizeof *list, compare);
    for (int i = 0; i < 20; i++) {
        struct mixed copy = list[i];
        CHECK(copy.l == i * 1000L && value(copy) == (long)(i * 0.5) + i * 1000L);
        CHECK(memcmp(copy.text, list[0].text, sizeof copy.text) == 0);
        CHECK(memcmp(&copy.d, &list[i].d, sizeof copy.d) == 0);
    }
    free(list);
    return SUCCESS();
}
