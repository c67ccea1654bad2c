// build: cc -g -O2 -fno-inline -fno-ipa-icf
// build frameless: cc -g -O2 -fno-inline -fomit-frame-pointer -fno-ipa-icf
// build framed: cc -g -O2 -fno-inline -fno-omit-frame-pointer -fno-ipa-icf
// A function that ends by jumping to malloc leaves no frame: the record belongs to its caller.
#include "../guest.h"

static void *volatile sink;

static __attribute__((noinline)) void *gone(size_t size) { return malloc(size); }

static __attribute__((noinline)) void caller(size_t size) {
    sink = gone(size); //~ definite 67 1
    sink = NULL;
}

int main(int argc, char **argv) {
    (void)argv;
    caller(66 + argc);
    scrub();
    return SUCCESS();
}
