// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: words of which some bytes were never set are masked, shifted and merged before they decide anything.
#include "../guest.h"
#include <stdint.h>

static volatile int sink;

static uint64_t __attribute__((noinline)) low(const uint64_t *p, unsigned bytes) {
    return bytes == 8 ? *p : *p & ((1UL << 8 * bytes) - 1);
}
static uint32_t __attribute__((noinline)) high(const uint32_t *p) { return *p >> 24; }

int main(void) {
    for (unsigned bytes = 1; bytes <= 8; bytes++) {
        uint64_t *word = malloc(sizeof *word);
        memset(word, (int)bytes, bytes);
        uint64_t value = low(word, bytes);
        for (unsigned i = 0; i < bytes; i++)
            if ((value >> 8 * i & 0xff) == bytes) sink++;
        CHECK(value >> (8 * bytes - 1) == 0);
        free(word);
    }
    CHECK(sink == 36);
    uint32_t *word = malloc(sizeof *word);
    ((uint8_t *)word)[3] = 0x41;
    CHECK(high(word) == 0x41);
    *word = (*word | 0x00ffffff) & 0xff000000;
    CHECK(*word == 0x41000000);
    *word = *word ^ *word;
    CHECK(*word == 0);
    free(word);
    return SUCCESS();
}
