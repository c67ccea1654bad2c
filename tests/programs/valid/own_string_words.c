// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: a strlen that reads aligned words behind the end of its string, and finds the zero byte by arithmetic.
#include "../guest.h"
#include <stdint.h>

typedef uint64_t __attribute__((may_alias)) word;

static size_t __attribute__((noinline)) length(const char *text) {
    const char *at = text;
    for (; (uintptr_t)at % 8; at++)
        if (*at == 0) return (size_t)(at - text);
    for (;; at += 8) {
        word value = *(const word *)at;
        word zero = (value - 0x0101010101010101) & ~value & 0x8080808080808080;
        if (zero) return (size_t)(at - text) + (size_t)__builtin_ctzl(zero) / 8;
    }
}

int main(void) {
    for (size_t size = 1; size < 40; size++) {
        for (size_t from = 0; from < 8 && from < size; from++) {
            char *text = malloc(size);
            memset(text, 'x', size - 1);
            text[size - 1] = 0;
            CHECK(length(text + from) == size - 1 - from);
            free(text);
        }
    }
    return SUCCESS();
}
