// build: cc -g -O1 -fno-plt
// Functions that are left by longjmp, and handlers of signals that the program raises, one of which leaves by siglongjmp.
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>

#define SEPARATE __attribute__((noinline, noclone))

static jmp_buf back;
static sigjmp_buf out;
static volatile int handled;

SEPARATE static int falls(int depth) {
    if (depth == 0) longjmp(back, 1);
    return falls(depth - 1) + 1;
}

SEPARATE static int climbs(int depth) {
    if (setjmp(back) != 0) return depth;
    return falls(depth);
}

SEPARATE static void counts(int number) {
    handled += number == SIGUSR1 ? 1 : 2;
}

SEPARATE static void leaves(int number) {
    handled += number;
    siglongjmp(out, 1);
}

SEPARATE static int raises(int number) {
    if (sigsetjmp(out, 1) != 0) return 1;
    raise(number);
    return 0;
}

int main(void) {
    CHECK(signal(SIGUSR1, counts) != SIG_ERR && signal(SIGUSR2, leaves) != SIG_ERR);
    int sum = 0;
    for (int i = 0; i < 200; i++) sum += climbs(i % 20);
    CHECK(sum == 1900);
    for (int i = 0; i < 200; i++) {
        sum += raises(SIGUSR1);
        sum += raises(SIGUSR2);
    }
    CHECK(sum == 2100 && handled == 200 + 200 * SIGUSR2);
    return SUCCESS();
}
