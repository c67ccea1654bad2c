// Pairs of malloc and free under ten nested frames: the allocator and the stack are all that costs.
//
// usage: pairs COUNT
#include <stdio.h>
#include <stdlib.h>

// The statement after the call keeps the compiler from making it a jump, which would drop the frame.
#define FRAME(name, callee)                                  \
    __attribute__((noinline)) static long name(long i) {     \
        long result = callee(i);                             \
        __asm__ volatile("" : "+r"(result));                 \
        return result + 1;                                   \
    }

__attribute__((noinline)) static long frame1(long i) {
    volatile char *block = malloc(16 + (i & 127));
    if (!block)
        abort();
    block[0] = (char)i;
    long result = block[0];
    free((void *)block);
    return result;
}
FRAME(frame2, frame1)
FRAME(frame3, frame2)
FRAME(frame4, frame3)
FRAME(frame5, frame4)
FRAME(frame6, frame5)
FRAME(frame7, frame6)
FRAME(frame8, frame7)
FRAME(frame9, frame8)
FRAME(frame10, frame9)

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1, sum = 0;
    for (long i = 0; i < count; i++)
        sum += frame10(i);
    printf("%ld\n", sum);
    return 0;
}
