// build: cc -g -O0 -w
// build O1: cc -g -O1 -w
// build clang: clang -g -O0 -w
// An out parameter that a function leaves alone when it fails, and a caller that does not ask.
#include "../guest.h"

static volatile int sink;

static int __attribute__((noinline)) parse(const char *text, int *value) {
    if (text[0] < '0' || text[0] > '9') return -1;
    *value = text[0] - '0';
    return 0;
}

static void __attribute__((noinline)) use(const char *text) {
    int value;
    parse(text, &value);
    if (value == 7) sink++; //~ UninitCondition 0
}

int main(void) {
    scrub();
    use("7");
    CHECK(sink == 1);
    use("seven");
    return SUCCESS();
}
