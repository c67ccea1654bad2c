// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// strtok keeps a pointer into a line that is freed before the next token is asked for.
#include "../guest.h"

static volatile int sink;

int main(void) {
    char *line = strdup("one two three");
    char *first = strtok(line, " ");
    CHECK(strcmp(first, "one") == 0);
    char *second = strtok(NULL, " ");
    CHECK(strcmp(second, "two") == 0);
    free(line);
    sink = ((volatile char *)second)[1]; //~ InvalidRead 1
    char *again = strdup("a;b"), *rest;
    CHECK(strcmp(strtok_r(again, ";", &rest), "a") == 0 && strcmp(rest, "b") == 0);
    free(again);
    sink = ((volatile char *)rest)[0]; //~ InvalidRead 1
    return SUCCESS();
}
