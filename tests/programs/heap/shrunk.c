// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// A block that realloc has made smaller is used with its old size.
#include "../guest.h"

int main(void) {
    short *list = malloc(100 * sizeof *list);
    for (int i = 0; i < 100; i++) list[i] = (short)i;
    list = realloc(list, 40 * sizeof *list);
    volatile short *kept = list;
    CHECK(kept[39] == 39);
    short out = kept[40]; //~ InvalidRead 2
    kept[60] = out; //~ InvalidWrite 2
    CHECK(kept[0] == 0);
    free(list);
    return SUCCESS();
}
