// build: cc -g -O0
// build O2: cc -g -O2
// fwrite takes undefined bytes into its buffer; they are told when the buffer is written.
#include "../guest.h"

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    char *block = malloc(100);
    memset(block, 'a', 50);
    CHECK(fwrite(block, 1, 50, file) == 50);
    CHECK(fflush(file) == 0);
    CHECK(fwrite(block, 1, 60, file) == 60);
    CHECK(fflush(file) == 0); //~ SyscallParam 0
    free(block);
    fclose(file);
    return SUCCESS();
}
