// build: cc -g -O0 -fno-builtin -w
// build O2: cc -g -O2 -fno-builtin -w
// build clang: clang -g -O1 -fno-builtin -w
// Wide characters: sizes in characters where bytes are meant, and a buffer that was never set.
#include "../guest.h"
#include <wchar.h>

static volatile long sink;

int main(void) {
    const wchar_t *text = L"wide";
    wchar_t *copy = malloc(wcslen(text) + 1);
    wcscpy(copy, text); //~ InvalidWrite 4
    wchar_t *good = malloc((wcslen(text) + 1) * sizeof *good);
    wcscpy(good, text);
    CHECK(wcslen(good) == 4 && wcscmp(good, L"wide") == 0);
    wchar_t *unset = malloc(5 * sizeof *unset);
    unset[4] = 0;
    sink = (long)wcslen(unset); //~ UninitCondition 0
    sink = wcscmp(unset, good); //~ UninitCondition 0
    good[4] = L'!';
    sink = (long)wcslen(good); //~ InvalidRead 4
    free(copy), free(good), free(unset);
    return SUCCESS();
}
