// build: cc -g -O0
// build static: cc -g -O0 -static
// What a program had allocated before exec is gone with its memory and no leak.
#include "../guest.h"
#include <unistd.h>

static void __attribute__((noinline)) lose(size_t size) {
    void *volatile p = calloc(1, size); //~ definite 41 1
    p = NULL;
}

int main(int argc, char **argv) {
    if (argc == 1) {
        lose(1000);
        execl(argv[0], argv[0], "again", (char *)NULL);
        CHECK(!"exec came back");
    }
    lose(41);
    scrub();
    return SUCCESS();
}
