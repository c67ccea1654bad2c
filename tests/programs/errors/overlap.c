// build: cc -g -O0 -fno-builtin
// build static: cc -g -O1 -fno-builtin -static
// build musl: musl-gcc -g -O1 -fno-builtin -static
// peer musl: does not replace the functions of a static program
// peer static: does not replace the functions of a static program
// Copies whose source and destination overlap, and such as do not.
#define _GNU_SOURCE
#include "../guest.h"
#include <wchar.h>

static char text[200];
static wchar_t wide[200];

static void reset(void) {
    memset(text, 0, sizeof text);
    memset(wide, 0, sizeof wide);
    for (int i = 0; i < 26; i++) {
        text[i] = (char)('a' + i);
        wide[i] = L'a' + i;
    }
}

int main(void) {
    reset();
    mempcpy(text, text + 5, 20); //~ Overlap 20
    mempcpy(text, text + 20, 20);
    reset();
    strcpy(text, text + 5); //~ Overlap 0
    reset();
    strcpy(text + 50, text);
    stpcpy(text, text + 5); //~ Overlap 0
    reset();
    strncpy(text, text + 5, 20); //~ Overlap 20
    reset();
    strncpy(text, text + 20, 20);
    reset();
    // The zeroes are put behind.
    strncpy(text, text + 20, 40); //~ Overlap 40
    reset();
    stpncpy(text, text + 5, 20); //~ Overlap 20
    reset();
    text[10] = 0;
    strcat(text, text + 12); //~ Overlap 0
    reset();
    text[10] = 0;
    strncat(text, text + 8, 2); //~ Overlap 2
    reset();
    wcscpy(wide, wide + 5); //~ Overlap 0
    reset();
    memmove(text, text + 5, 20);
    memcpy(text, text, 0);
    memcpy(text, text + 20, 20);
    puts("EXIT-SUCCESS");
    return 0;
}
