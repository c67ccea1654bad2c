// build: cc -g -O0
// Encoded pointers: a tag in the low bits is an interior pointer, everything else hides the block.
#include "../guest.h"
#include <stdint.h>

static uintptr_t inverted, xored, rotated, low_tag, high_tag, halves[2], one_past, before;

static uintptr_t address(void *block) { return (uintptr_t)block; }

static void __attribute__((noinline)) fill(void) {
    inverted = ~address(calloc(1, 81)); //~ definite 81 1
    xored = address(calloc(1, 82)) ^ 0x5555555555555555; //~ definite 82 1
    uintptr_t p = address(calloc(1, 83)); //~ definite 83 1
    rotated = p << 16 | p >> 48;
    low_tag = address(calloc(1, 84)) | 1; //~ possible 84 1
    high_tag = address(calloc(1, 85)) | (uintptr_t)0xabcd << 48; //~ definite 85 1
    p = address(calloc(1, 86)); //~ definite 86 1
    halves[0] = p & 0xffff;
    halves[1] = p >> 16;
    one_past = address(calloc(1, 96)) + 96; //~ definite 96 1
    before = address(calloc(1, 88)) - 1; //~ definite 88 1
    p = 0;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
