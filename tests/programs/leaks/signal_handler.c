// build: cc -g -O0
// Memory lost in a signal handler, and by a jump out of one; the stack goes through the signal frame.
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;

static void lose(int signal) {
    void *volatile p = calloc(1, 56); //~ definite 56 1 //~ definite 112 2
    p = NULL;
    if (signal == SIGUSR2) siglongjmp(back, 1);
}

int main(void) {
    signal(SIGUSR1, lose);
    signal(SIGUSR2, lose);
    raise(SIGUSR1);
    for (volatile int i = 0; i < 2; i++) {
        if (sigsetjmp(back, 1) == 0) raise(SIGUSR2);
    }
    scrub();
    return SUCCESS();
}
