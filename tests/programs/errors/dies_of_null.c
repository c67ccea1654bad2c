// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-ipa-sra
// peer fast: takes what is behind a jump for what is before it
// ends: signal 11
// A null pointer, after an error that the program has survived.
#include "../guest.h"

static int *volatile nothing;

static int __attribute__((noinline)) use(int *pointer) {
    return *pointer + 1; //~ InvalidRead 4 //~ FatalSignal 0
}

int main(void) {
    void *volatile block = malloc(8);
    free(block);
    free(block); //~ InvalidFree 0
    return use(nothing);
}
