// build: cc -g -O0
// build O2: cc -g -O2
// Valid: a file is written through one mapping and read through another, grown by mremap, and mapped anew after munmap.
#define _GNU_SOURCE
#include "../guest.h"
#include <sys/mman.h>

static int *map(int fd, size_t bytes, int flags) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int fd = fileno(file);
    CHECK(ftruncate(fd, 4096) == 0);
    int *one = map(fd, 4096, MAP_SHARED), *two = map(fd, 4096, MAP_SHARED);
    for (int i = 0; i < 1024; i++) one[i] = i;
    for (int i = 0; i < 1024; i++) CHECK(two[i] == i);
    CHECK(ftruncate(fd, 16384) == 0);
    int *grown = mremap(one, 4096, 16384, MREMAP_MAYMOVE);
    CHECK(grown != MAP_FAILED && grown[1000] == 1000 && grown[4095] == 0);
    CHECK(munmap(two, 4096) == 0);
    int *copy = map(fd, 16384, MAP_PRIVATE);
    copy[7] = -1;
    CHECK(grown[7] == 7 && copy[7] == -1 && copy[8] == 8);
    CHECK(madvise(copy, 16384, MADV_DONTNEED) == 0 && copy[7] == 7);
    CHECK(munmap(copy, 16384) == 0 && munmap(grown, 16384) == 0);
    int *fresh = map(-1, 8192, MAP_PRIVATE | MAP_ANONYMOUS);
    CHECK(fresh[2000] == 0);
    fclose(file);
    return SUCCESS();
}
