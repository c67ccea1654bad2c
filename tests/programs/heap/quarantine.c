// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// A block that was freed long ago, with many others of its size allocated and freed since.
#include "../guest.h"

int main(void) {
    volatile long *old = malloc(sizeof *old * 4);
    old[0] = 77;
    free((void *)old);
    for (int i = 0; i < 20000; i++) {
        volatile long *other = malloc(sizeof *other * 4);
        other[0] = i;
        free((void *)other);
    }
    long value = old[0]; //~ InvalidRead 8
    (void)value;
    free((void *)old); //~ InvalidFree 0
    return SUCCESS();
}
