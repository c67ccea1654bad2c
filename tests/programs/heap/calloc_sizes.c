// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// A product of calloc that does not fit is refused; a product that fits is all there, and no more.
#include "../guest.h"
#include <stdint.h>

static void *volatile block;

int main(void) {
    volatile size_t half = SIZE_MAX / 2, three = 3, twelve = 12;
    block = calloc(half, three);
    CHECK(block == NULL);
    block = reallocarray(NULL, half, three);
    CHECK(block == NULL);
    volatile unsigned *list = block = calloc(three, twelve);
    for (int i = 0; i < 9; i++) CHECK(list[i] == 0);
    unsigned past = list[9]; //~ InvalidRead 4
    (void)past;
    free(block);
    // A size that was computed in 32 bits and has lost its upper half.
    volatile unsigned count = 0x40000001;
    volatile unsigned *small = block = malloc(count * 4);
    small[0] = 1;
    small[1] = 2; //~ InvalidWrite 4
    free(block);
    return SUCCESS();
}
