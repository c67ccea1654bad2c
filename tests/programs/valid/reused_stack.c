// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: large results through memory of the caller, tail calls, callbacks with context, mutual recursion.
#include "../guest.h"

struct large {
    long values[20];
    int count;
};
typedef int callback(void *context, long value);

static struct large __attribute__((noinline)) range(int from, int count) {
    struct large result;
    result.count = count;
    for (int i = 0; i < count; i++) result.values[i] = from + i;
    return result;
}
static int __attribute__((noinline)) each(const struct large *list, int at, callback *call, void *context) {
    if (at == list->count) return at;
    if (call(context, list->values[at])) return at;
    return each(list, at + 1, call, context);
}
static int add(void *context, long value) {
    *(long *)context += value;
    return *(long *)context > 50;
}
static int odd(unsigned n);
static int __attribute__((noinline)) even(unsigned n) { return n == 0 ? 1 : odd(n - 1); }
static int __attribute__((noinline)) odd(unsigned n) { return n == 0 ? 0 : even(n - 1); }

int main(void) {
    for (int i = 0; i < 10; i++) {
        struct large list = range(i, 12);
        long sum = 0;
        int stopped = each(&list, 0, add, &sum);
        CHECK(stopped == 12 || sum > 50);
        CHECK(even((unsigned)i + 20) == !(i & 1));
    }
    return SUCCESS();
}
