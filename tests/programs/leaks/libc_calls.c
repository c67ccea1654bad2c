// build: cc -g -O0
// Functions of the C library that allocate on behalf of the caller.
#define _GNU_SOURCE
#include "../guest.h"
#include <wchar.h>

static void __attribute__((noinline)) fill(void) {
    char *volatile p = strdup("hello"); //~ definite 6 1
    p = strndup("hello", 3); //~ definite 4 1
    char *text = NULL;
    CHECK(asprintf(&text, "%d bottles", 99) == 10); //~ definite 11 1
    text = NULL;
    size_t size = 0;
    FILE *file = fmemopen("a line\n", 7, "r");
    CHECK(file && getline(&text, &size, file) == 7); //~ definite 120 1
    fclose(file);
    text = NULL;
    wchar_t *volatile wide = wcsdup(L"wide"); //~ definite 20 1
    wide = NULL;
    text = NULL;
    file = open_memstream(&text, &size);
    CHECK(file && fprintf(file, "0123456789") == 10);
    CHECK(fclose(file) == 0); //~ definite 11 1
    text = NULL;
    p = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
