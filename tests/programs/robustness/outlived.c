// build: cc -O2 -g
// Ends at once while its child, in a session of its own, works on for half a second.
#include "../guest.h"
#include <unistd.h>

int main(void) {
    fflush(stdout);
    if (fork() == 0) {
        setsid();
        for (int i = 0; i < 50; i++) {
            free(malloc(100));
            usleep(10000);
        }
        _exit(0);
    }
    puts("parent ends");
    return 4;
}
