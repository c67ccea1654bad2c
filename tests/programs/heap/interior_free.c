// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// Frees of pointers that were moved: skipped white space, a header in front of the block, an element of an array.
#include "../guest.h"

static char *__attribute__((noinline)) skip(char *text) {
    while (*text == ' ') text++;
    return text;
}

static void *__attribute__((noinline)) with_header(size_t size) {
    long *block = malloc(size + sizeof *block);
    block[0] = (long)size;
    return block + 1;
}

int main(void) {
    char *line = strdup("   text"), *start = skip(line);
    CHECK(start[0] == 't');
    free(start); //~ InvalidFree 0
    free(line);
    long *own = with_header(40);
    own[0] = 1;
    free(own); //~ InvalidFree 0
    free(own - 1);
    struct { int a, b; } *pairs = calloc(4, sizeof *pairs);
    free(&pairs[2]); //~ InvalidFree 0
    void *moved = realloc(&pairs[1], 100); //~ InvalidFree 0
    CHECK(moved == NULL);
    free(pairs);
    return SUCCESS();
}
