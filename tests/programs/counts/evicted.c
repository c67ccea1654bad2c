// build: cc -g -O1 -fno-plt
// record: --cache-size=4M
// errors: ignored
// Generated functions, more than a small code cache holds, called between functions of the program and then replaced by
// others whose instructions begin at other places. On standard error: how many generated instructions are executed.
#include "../code/jit.h"
#include "../guest.h"
#include <sys/mman.h>

#define SEPARATE __attribute__((noinline, noclone))
#define FUNCTIONS 20000

SEPARATE static void generate(unsigned char *at, unsigned value, unsigned nops) {
    memset(at, 0x90, 4);
    emit(at + nops, value);
}

SEPARATE static long adds(long sum, int value) {
    return sum + (value & 1 ? value : -value);
}

SEPARATE static long calls(unsigned char *code) {
    long sum = 0;
    for (unsigned i = 0; i < FUNCTIONS; i++) sum = adds(sum, call(code + 16 * i));
    return sum;
}

SEPARATE static void again(unsigned char *code) {
    for (unsigned i = 0; i < 100; i++) CHECK(call(code) == call(code + 16) - 1);
}

int main(void) {
    size_t size = 16 * FUNCTIONS;
    unsigned char *code = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    unsigned long executed = 0;
    for (unsigned round = 0; round < 3; round++) {
        CHECK(mprotect(code, size, PROT_READ | PROT_WRITE) == 0);
        for (unsigned i = 0; i < FUNCTIONS; i++) generate(code + 16 * i, i, round);
        CHECK(mprotect(code, size, PROT_READ | PROT_EXEC) == 0);
        CHECK(calls(code) == FUNCTIONS / 2);
        again(code);
        CHECK(calls(code) == FUNCTIONS / 2);
        // Each has its nops, a move and a return.
        executed += (2 + round) * (2 * FUNCTIONS + 200);
    }
    fprintf(stderr, "%lu\n", executed);
    return SUCCESS();
}
