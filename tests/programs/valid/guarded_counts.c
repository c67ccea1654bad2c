// build: cc -g -O0
// build O2: cc -g -O2 -mbmi -mbmi2 -mlzcnt -mpopcnt -fno-strict-aliasing
// build clang: clang -g -O2 -fno-strict-aliasing
// needs: bmi2
// Valid: counts of leading and trailing zeros with a bit set as a guard; what lies behind the bit was never set.
#include "../guest.h"
#include <stdint.h>

static int __attribute__((noinline)) trailing(const uint32_t *p) { return __builtin_ctz(*p | 0x10000); }
static int __attribute__((noinline)) leading(const uint64_t *p) { return __builtin_clzl(*p | 1UL << 40); }

int main(void) {
    uint32_t *low = malloc(sizeof *low);
    uint64_t *high = malloc(sizeof *high);
    for (int i = 0; i < 16; i++) {
        // The low half is set, the high one not.
        ((uint16_t *)low)[0] = (uint16_t)(1u << i);
        CHECK(trailing(low) == i);
        CHECK(__builtin_popcount(((uint16_t *)low)[0]) == 1);
    }
    ((uint16_t *)low)[0] = 0;
    CHECK(trailing(low) == 16);
    // The other way round: the bytes above bit 40 are set.
    for (int i = 0; i < 16; i++) {
        ((uint16_t *)high)[3] = (uint16_t)(1u << i);
        ((uint8_t *)high)[5] = 1;
        CHECK(leading(high) == 15 - i);
    }
    free(low), free(high);
    return SUCCESS();
}
