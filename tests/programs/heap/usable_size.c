// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// malloc_usable_size is what was asked for, so that a program which uses all of it makes no error.
#include "../guest.h"
#include <malloc.h>

int main(void) {
    for (size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
        char *block = malloc(size);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= size);
        for (size_t i = 0; i < usable; i++) ((volatile char *)block)[i] = 1;
        ((volatile char *)block)[usable] = 1; //~ InvalidWrite 1
        free(block);
    }
    CHECK(malloc_usable_size(NULL) == 0);
    return SUCCESS();
}
