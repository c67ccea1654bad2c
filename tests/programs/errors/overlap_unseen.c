// build: cc -g -O0 -fno-builtin
// build static: cc -g -O1 -fno-builtin -static
// peer: takes memcpy for memmove where a libc has one function for both, and knows the others in later versions only
// build musl: musl-gcc -g -O1 -fno-builtin -static
// peer musl: does not replace the functions of a static program
// peer static: does not replace the functions of a static program
// Copies that overlap and that Valgrind does not, or not always, tell of.
#define _GNU_SOURCE
#include "../guest.h"
#include <wchar.h>

static char text[200];
static wchar_t wide[200];

int main(void) {
    memset(text, 'a', 30);
    memcpy(text, text + 5, 20); //~ Overlap 20
    memcpy(text + 5, text, 20); //~ Overlap 20
    memcpy(text, text, 20); //~ Overlap 20
    memccpy(text, text + 5, 'q', 20); //~ Overlap 20
    wmemset(wide, L'a', 30);
    wcsncpy(wide, wide + 5, 20); //~ Overlap 20
    wcpncpy(wide, wide + 5, 20); //~ Overlap 20
    wide[10] = 0;
    wcscat(wide, wide + 12); //~ Overlap 0
    puts("EXIT-SUCCESS");
    return 0;
}
