// build: cc -O2
// build nonpie: cc -O2 -no-pie
// Rules of mmap and its relatives that programs rely on.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096 };
static const int ANON = MAP_PRIVATE | MAP_ANONYMOUS, RW = PROT_READ | PROT_WRITE;

int main(void) {
    unsigned char *p = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 16; i++) p[i * PAGE] = (unsigned char)(i + 1);
    CHECK(munmap(p + 4 * PAGE, PAGE) == 0);
    CHECK(mmap(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4 * PAGE);
    CHECK(p[4 * PAGE] == 0);
    CHECK(mmap(p + 3 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    CHECK(mmap(p + 5 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 5 * PAGE && p[5 * PAGE] == 0);
    CHECK(p[7 * PAGE] == 8);
    void *moved = mremap(p + 8 * PAGE, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && ((unsigned char *)moved)[PAGE] == 10);
    ((unsigned char *)moved)[63 * PAGE] = 1;
    CHECK(mremap(moved, 64 * PAGE, 2 * PAGE, 0) == moved);
    unsigned char *target = mmap(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
    CHECK(mremap(moved, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target && target[PAGE] == 10);
    uintptr_t low = (uintptr_t)mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
    CHECK(low < 0x80000000);
    CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0) == MAP_FAILED && errno == EBADF);
    CHECK(munmap(p + 1, PAGE) == -1 && errno == EINVAL);
    char *reserve = mmap(NULL, (size_t)1 << 38, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    CHECK(reserve != MAP_FAILED);
    CHECK(mprotect(reserve + ((size_t)1 << 37), PAGE, RW) == 0);
    reserve[(size_t)1 << 37] = 1;
    CHECK(munmap(reserve, (size_t)1 << 38) == 0);
    CHECK(mprotect(reserve, PAGE, PROT_READ) == -1 && errno == ENOMEM);
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0);
    unsigned char resident[16];
    CHECK(mincore(p, 4 * PAGE, resident) == 0);
    CHECK(mincore(reserve, PAGE, resident) == -1 && errno == ENOMEM);
    int fd = memfd_create("file", 0);
    CHECK(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0 && pwrite(fd, "hello", 5, PAGE) == 5);
    char *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, PAGE);
    CHECK(memcmp(shared + PAGE, "hello", 5) == 0 && memcmp(private, "hello", 5) == 0);
    shared[PAGE] = 'J';
    private[1] = 'u';
    char text[6] = {0};
    CHECK(pread(fd, text, 5, PAGE) == 5 && strcmp(text, "Jello") == 0 && private[1] == 'u');
    CHECK(msync(shared, 2 * PAGE, MS_SYNC) == 0);
    return SUCCESS();
}
