// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A copy from a block that was freed to the stack by alloca and to an array of variable length.
#include "../guest.h"
#include <alloca.h>

static int __attribute__((noinline)) sum(const char *text, size_t size) {
    char *first = alloca(size);
    char second[size];
    memcpy(first, text, size); //~ InvalidRead 8
    memcpy(second, first, size);
    int sum = 0;
    for (size_t i = 0; i < size; i++) sum += second[i];
    return sum;
}

int main(void) {
    char *text = malloc(64);
    memset(text, 2, 64);
    CHECK(sum(text, 64) == 128);
    free(text);
    volatile int result = sum(text, 64);
    (void)result;
    return SUCCESS();
}
