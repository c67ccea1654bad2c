// build: cc -g -O0
// Readable and writable mappings are roots, private and shared; read-only ones and removed ones are not.
#define _GNU_SOURCE
#include "../guest.h"
#include <sys/mman.h>
#include <unistd.h>

static void **map(int flags, int fd) {
    void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(page != MAP_FAILED);
    return page;
}

static void __attribute__((noinline)) fill(void) {
    void **volatile page = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    page[600] = calloc(1, 12); //~ reachable 12 1
    page = map(MAP_SHARED | MAP_ANONYMOUS, -1);
    page[1] = calloc(1, 24); //~ reachable 24 1
    int fd = memfd_create("roots", 0);
    CHECK(fd >= 0 && ftruncate(fd, 8192) == 0);
    page = map(MAP_SHARED, fd);
    close(fd);
    page[2] = calloc(1, 36); //~ reachable 36 1
    page = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    page[3] = calloc(1, 48); //~ definite 48 1
    CHECK(mprotect((void *)page, 8192, PROT_READ) == 0);
    page = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    page[4] = calloc(1, 60); //~ definite 60 1
    CHECK(munmap((void *)page, 8192) == 0);
    page = NULL;
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
