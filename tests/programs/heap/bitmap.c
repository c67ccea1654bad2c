// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// A bitmap that rounds its size down instead of up: the last bits have no byte.
#include "../guest.h"

static unsigned char *__attribute__((noinline)) make(unsigned bits) { return calloc(bits / 8, 1); }
static void __attribute__((noinline)) set(unsigned char *map, unsigned bit) {
    unsigned char value = (unsigned char)(1u << (bit & 7));
    ((volatile unsigned char *)map)[bit >> 3] = value; //~ InvalidWrite 1
}
static int __attribute__((noinline)) get(unsigned char *map, unsigned bit) {
    int shift = bit & 7;
    return ((volatile unsigned char *)map)[bit >> 3] >> shift & 1; //~ InvalidRead 1
}

int main(void) {
    unsigned char *map = make(100);
    for (unsigned bit = 0; bit < 100; bit += 8) set(map, bit);
    int count = 0;
    for (unsigned bit = 0; bit < 96; bit++) count += get(map, bit);
    CHECK(count == 12);
    for (unsigned bit = 97; bit < 100; bit++) count += get(map, bit);
    free(map);
    return SUCCESS();
}
