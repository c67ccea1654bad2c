// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// memcmp over buffers of which one has a gap that was never set: before the difference it matters, behind it not.
#include "../guest.h"

static volatile int sink;

static int __attribute__((noinline)) same(const char *a, const char *b, size_t size) {
    int result = memcmp(a, b, size); //~ UninitCondition 0
    return result == 0;
}

int main(void) {
    for (int shift = 0; shift < 3; shift++) {
        char *a = malloc(40), *b = malloc(40);
        memset(a, 1, 40);
        memset(b, 1, 20);
        memset(b + 24, 1, 16);
        b[10] = 2;
        CHECK(!same(a + shift, b + shift, 30));
        CHECK(!same(b + shift, a + shift, 30));
        b[10] = 1;
        CHECK(same(a + shift, b + shift, 20u - (unsigned)shift));
        if (shift == 2) sink = same(a, b, 40);
        free(a), free(b);
    }
    return SUCCESS();
}
