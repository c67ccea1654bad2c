// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// strtol and sscanf read a number at the very end of a block that has no terminator.
#include "../guest.h"

static volatile long sink;

int main(void) {
    char *good = malloc(4);
    memcpy(good, "123", 4);
    CHECK(strtol(good, NULL, 10) == 123 && atoi(good) == 123);
    int number = 0;
    CHECK(sscanf(good, "%d", &number) == 1 && number == 123);
    char *text = malloc(3);
    memcpy(text, "123", 3);
    sink = strtol(text, NULL, 10); //~ InvalidRead 1
    free(good), free(text);
    return SUCCESS();
}
