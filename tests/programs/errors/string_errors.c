// build: cc -g -O0 -fno-builtin
// build static: cc -g -O1 -fno-builtin -static
// build pie: cc -g -O1 -fno-builtin -static-pie
// peer pie: does not replace the functions of a static program
// build musl: musl-gcc -g -O1 -fno-builtin -static
// peer musl: does not replace the functions of a static program
// peer static: does not replace the functions of a static program
// Ranges of string functions that end behind a block, or lie in one that was freed. Each is told once, in the size of the
// accesses that Valgrind's own functions make.
#define _GNU_SOURCE
#include "../guest.h"
#include <strings.h>
#include <wchar.h>

static volatile long sink;

int main(void) {
    char *good = malloc(64), *b = malloc(16), *other = malloc(16);
    memset(good, 'x', 63);
    good[63] = 0;
    memset(b, 'x', 16);
    memset(other, 'x', 16);

    memcpy(good, b, 17); //~ InvalidRead 1
    memcpy(good, b, 20); //~ InvalidRead 2
    memcpy(good, b, 24); //~ InvalidRead 8
    memcpy(good + 1, b, 17); //~ InvalidRead 1
    memcpy(good + 2, b, 18); //~ InvalidRead 2
    memcpy(b, good, 17); //~ InvalidWrite 1
    memmove(b, good, 24); //~ InvalidWrite 8
    memmove(good, b - 1, 2); //~ InvalidRead 1
    memset(b, 'x', 17); //~ InvalidWrite 1
    memset(b, 'x', 24); //~ InvalidWrite 8
    memset(b + 1, 'x', 16); //~ InvalidWrite 1

    memset(good, 'x', 63);
    // What lies behind a block is no part of it; here it is made to differ, so that comparisons end.
    sink = memcmp(good, b, 17); //~ InvalidRead 1
    sink = memcmp(good + 1, b, 17); //~ InvalidRead 1
    sink = (long)memchr(b, 'y', 17); //~ InvalidRead 1
    sink = strnlen(b, 17); //~ InvalidRead 1
    sink = strncmp(good, b, 17); //~ InvalidRead 1
    sink = strncasecmp(b, good, 17); //~ InvalidRead 1
    strncpy(b, "abc", 17); //~ InvalidWrite 1
    memset(b, 'x', 16);
    memset(good, 'x', 63);

    strcpy(b, "0123456789abcdef"); //~ InvalidWrite 1
    stpcpy(b, "0123456789abcdef"); //~ InvalidWrite 1
    strcpy(b, "01234567");
    strcat(b, "01234567"); //~ InvalidWrite 1
    strcpy(b, "01234567");
    strncat(b, "0123456789", 8); //~ InvalidWrite 1

    wchar_t *wide = malloc(16);
    wcscpy(wide, L"abc");
    wcscpy(wide, L"abcd"); //~ InvalidWrite 4

    // Freed: the text is still there.
    char *gone = malloc(16);
    strcpy(gone, "text");
    free(gone);
    sink = strlen(gone); //~ InvalidRead 1
    sink = strcmp(gone, "text"); //~ InvalidRead 1
    sink = (long)strchr(gone, 'q'); //~ InvalidRead 1
    sink = (long)strrchr(gone, 'q'); //~ InvalidRead 1
    sink = (long)strstr(gone, "q"); //~ InvalidRead 1
    sink = strspn(gone, "tex"); //~ InvalidRead 1
    sink = strcspn(gone, "q"); //~ InvalidRead 1
    sink = (long)strpbrk(gone, "q"); //~ InvalidRead 1
    sink = strcasecmp(gone, "TEXT"); //~ InvalidRead 1
    strcpy(good, gone); //~ InvalidRead 1
    free(wide);
    free(b);
    puts("EXIT-SUCCESS");
    return 0;
}
