// build: cc -O1 -fno-optimize-sibling-calls
// build static: cc -O1 -fno-optimize-sibling-calls -static
// Uses most of an 8 MiB stack by recursion and by one large frame.
#define _GNU_SOURCE
#include "../guest.h"
#include <alloca.h>
#include <sys/resource.h>

static __attribute__((noinline)) long recurse(int depth) {
    volatile char frame[1000];
    frame[depth % 1000] = (char)depth;
    long below = depth ? recurse(depth - 1) : 0;
    return below + (frame[depth % 1000] == (char)depth);
}

int main(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    if (limit.rlim_cur < 8 << 20) {
        puts("SKIP the stack limit is below 8 MiB");
        return 0;
    }
    printf("%ld\n", recurse(7000));
    volatile char *big = alloca(7 << 20);
    for (int i = 0; i < 7 << 20; i += 4096) big[i] = (char)(i >> 12);
    long sum = 0;
    for (int i = 0; i < 7 << 20; i += 4096) sum += big[i];
    printf("%ld\n", sum);
    return SUCCESS();
}
