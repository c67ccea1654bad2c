// build: cc -g -O0 -w
// peer: tells of every signal that ends a program
// ends: signal 15
// Being told to end is no error.
#include "../guest.h"
#include <signal.h>

int main(void) {
    kill(getpid(), SIGTERM);
    pause();
    return 0;
}
