// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A count per letter, of a buffer that was filled in part: the index of the count is undefined.
#include "../guest.h"

static unsigned counts[256];

static void __attribute__((noinline)) count(const unsigned char *text, size_t size) {
    for (size_t i = 0; i < size; i++) counts[text[i]]++; //~ UninitValue 8
}

int main(void) {
    unsigned char *buffer = malloc(32);
    memcpy(buffer, "letters", 7);
    count(buffer, 7);
    CHECK(counts['t'] == 2 && counts['e'] == 2);
    count(buffer, 8);
    free(buffer);
    return SUCCESS();
}
