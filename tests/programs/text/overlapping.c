// build: cc -g -O0 -fno-builtin -w
// build O2: cc -g -O2 -fno-builtin -w
// build clang: clang -g -O1 -fno-builtin -w
// Text is moved within its own buffer by functions that must not be used for that.
#include "../guest.h"

int main(void) {
    char *text = malloc(64);
    strcpy(text, "  leading blanks");
    strcpy(text, text + 2); //~ Overlap 0
    memmove(text, "0123456789abcdef", 17);
    memmove(text + 2, text, 10);
    CHECK(memcmp(text, "010123456789cdef", 16) == 0);
    strncpy(text, text + 1, 6); //~ Overlap 6
    strcpy(text, "abc");
    strncpy(text + 20, text, 20);
    CHECK(strcmp(text + 20, "abc") == 0);
    free(text);
    return SUCCESS();
}
