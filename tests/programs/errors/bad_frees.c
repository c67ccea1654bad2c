// build: cc -g -O0 -w
// build fast: cc -g -O2 -w -fno-builtin
// build small: cc -g -Os -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// build static: cc -g -O1 -w -fno-builtin -static
// peer static: does not replace the allocator of a static program
// Frees of what is no live block: of the stack, of data, of code, within a block, beside one, twice, after a realloc.
#include "../guest.h"
#include <malloc.h>

static int global = 1;
static char zeroes[64];

static void *volatile pointer;

int main(void) {
    char local[16] = "x";
    pointer = local;
    free(pointer); //~ InvalidFree 0 //= local[0]
    pointer = &global;
    free(pointer); //~ InvalidFree 0 //= global
    pointer = zeroes + 3;
    free(pointer); //~ InvalidFree 0 //= zeroes[3]
    pointer = (void *)main;
    free(pointer); //~ InvalidFree 0
    pointer = (void *)8;
    free(pointer); //~ InvalidFree 0
    pointer = (void *)-1L;
    free(pointer); //~ InvalidFree 0

    char *block = malloc(40);
    pointer = block + 1;
    free(pointer); //~ InvalidFree 0
    pointer = block - 16;
    free(pointer); //~ InvalidFree 0
    pointer = block + 40;
    free(pointer); //~ InvalidFree 0
    pointer = block + 39;
    CHECK(realloc(pointer, 80) == NULL); //~ InvalidFree 0
    strcpy(block, "still there");
    free(block);
    pointer = block;
    free(pointer); //~ InvalidFree 0
    CHECK(realloc(pointer, 80) == NULL); //~ InvalidFree 0

    char *old = malloc(8);
    char *moved = realloc(old, 4000);
    pointer = old;
    free(pointer); //~ InvalidFree 0
    free(moved);

    for (int i = 0; i < 3; i++) {
        pointer = moved;
        free(pointer); //~ InvalidFree 0
    }

    // Of a page of its own.
    char *large = malloc(3 << 20);
    pointer = large + (1 << 20);
    free(pointer); //~ InvalidFree 0
    free(large);
    pointer = large;
    free(pointer); //~ InvalidFree 0

    char *aligned = memalign(256, 100);
    pointer = aligned - 64;
    free(pointer); //~ InvalidFree 0
    free(aligned);

    char *empty = malloc(0);
    free(empty);
    pointer = empty;
    free(pointer); //~ InvalidFree 0
    free(NULL);
    puts("EXIT-SUCCESS");
    return 0;
}
