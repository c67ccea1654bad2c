// build: cc -g -O0 -w
// Makes an error and waits, for ever if need be, until the file "go" is there: whoever makes it has seen the error.
#include "../guest.h"

int main(void) {
    volatile char *block = malloc(8);
    block[8] = 1;
    while (access("go", F_OK) != 0) usleep(1000);
    free((void *)block);
    puts("EXIT-SUCCESS");
    return 0;
}
