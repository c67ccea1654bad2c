// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A program's own loops over text: a search without a bound, a copy without a terminator, a comparison of unset letters.
#include "../guest.h"

static volatile int sink;

static size_t __attribute__((noinline)) own_length(const char *text) {
    const char *end = text;
    sink++;
    while (*(const volatile char *)end) end++; //~ InvalidRead 1
    return (size_t)(end - text);
}
static int __attribute__((noinline)) own_compare(const char *a, const char *b) {
    sink++;
    for (; *a && *b; a++, b++) {
        int x = *a, y = *b;
        if (x != y) return 1;
        sink++;
    }
    return 0;
}

int main(void) {
    char *text = malloc(6);
    memcpy(text, "sixsix", 6);
    CHECK(own_length("seven67") == 7);
    CHECK(own_compare("abc", "abd") == 1 && own_compare("abc", "abc") == 0);
    sink = (int)own_length(text);
    free(text);
    return SUCCESS();
}
