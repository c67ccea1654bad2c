// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A structure with padding is written to a file as it lies in memory; one that was cleared before is not told.
#include "../guest.h"

struct record {
    char kind;
    int value;
};
static void __attribute__((noinline)) fill(struct record *record) {
    record->kind = 'k';
    record->value = 5;
}

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int fd = fileno(file);
    struct record *bare = malloc(sizeof *bare), *cleared = calloc(1, sizeof *cleared);
    fill(bare);
    fill(cleared);
    CHECK(write(fd, cleared, sizeof *cleared) == sizeof *cleared);
    CHECK(write(fd, bare, sizeof *bare) == sizeof *bare); //~ SyscallParam 0
    CHECK(write(fd, &bare->value, sizeof bare->value) == sizeof bare->value);
    CHECK(pwrite(fd, bare, 1, 0) == 1);
    CHECK(pwrite(fd, bare, 2, 0) == 2); //~ SyscallParam 0
    free(bare), free(cleared);
    fclose(file);
    return SUCCESS();
}
