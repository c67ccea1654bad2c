// build terabytes: cc -g -O0
// build small: cc -g -O0 -DTIB=((size_t)1<<27)
// peer terabytes: refuses mappings of terabytes
// Mappings of terabytes with a few touched pages: what these hold is found wherever they lie, and the holes cost no time.
// The small ones are for Valgrind, and for kernels where holes do cost time (case snapshots/old_kernel).
#define _GNU_SOURCE
#include "../guest.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define TABLE ((size_t)2 << 20) // what one page table maps
#ifndef TIB
#define TIB ((size_t)1 << 40)
#endif

static char *map(size_t bytes, int protection, int flags, int fd) {
    char *at = mmap(NULL, bytes, protection, flags | MAP_NORESERVE, fd, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static char *next_table(char *at) { return (char *)(((uintptr_t)at + TABLE - 1) & ~(TABLE - 1)); }

static void __attribute__((noinline)) put(char *at, void *block) { *(void *volatile *)at = block; }

static void __attribute__((noinline)) private_memory(void) {
    char *volatile at = map(6 * TIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    put(at, calloc(1, 10)); //~ reachable 10 1
    put(at + 5 * PAGE + 8, calloc(1, 20)); //~ reachable 20 1
    char *volatile middle = next_table(at + 3 * TIB + 12345);
    // Around the end of a page table, and a whole table between them.
    put(middle - 8, calloc(1, 30)); //~ reachable 30 1
    put(middle, calloc(1, 40)); //~ reachable 40 1
    put(middle + 3 * TABLE - 8, calloc(1, 50)); //~ reachable 50 1
    // Read only, so that it is the zero page; a pointer that was given back with its page.
    CHECK(*(volatile char *)(middle + 100 * TABLE) == 0);
    put(middle + 101 * TABLE, calloc(1, 60)); //~ definite 60 1
    CHECK(madvise(middle + 101 * TABLE, PAGE, MADV_DONTNEED) == 0);
    put(at + 6 * TIB - PAGE, calloc(1, 70)); //~ reachable 70 1
    put(at + 6 * TIB - 8, calloc(1, 80)); //~ reachable 80 1
    at = middle = NULL;
}

static void __attribute__((noinline)) huge_pages(void) {
    char *volatile at = map(TIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    at = next_table(at + TIB / 2);
    // A huge page where the kernel has one; the pointers are in its middle and at its end.
    madvise(at, TABLE, MADV_HUGEPAGE);
    put(at + TABLE / 2, calloc(1, 90)); //~ reachable 90 1
    put(at + TABLE - 8, calloc(1, 100)); //~ reachable 100 1
    // One that is only half there.
    madvise(at + 8 * TABLE, TABLE, MADV_HUGEPAGE);
    put(at + 8 * TABLE, calloc(1, 110)); //~ definite 110 1
    put(at + 9 * TABLE - 8, calloc(1, 120)); //~ reachable 120 1
    CHECK(madvise(at + 8 * TABLE, TABLE / 2, MADV_DONTNEED) == 0);
    at = NULL;
}

static void __attribute__((noinline)) shared_memory(void) {
    int fd = memfd_create("sparse", 0);
    CHECK(fd >= 0 && ftruncate(fd, TIB) == 0);
    char *volatile at = map(TIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    close(fd);
    put(at + TIB / 3 / PAGE * PAGE, calloc(1, 130)); //~ reachable 130 1
    put(at + TIB - 8, calloc(1, 140)); //~ reachable 140 1
    at = NULL;
}

// As memory managers do it: an inaccessible range in which pages are made usable.
static void __attribute__((noinline)) reserved_memory(void) {
    char *volatile at = map(2 * TIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK(mprotect(at + TIB, TIB / 2, PROT_READ | PROT_WRITE) == 0);
    put(at + TIB, calloc(1, 150)); //~ reachable 150 1
    put(at + TIB + TIB / 2 - 8, calloc(1, 160)); //~ reachable 160 1
    // Not readable any more: no root.
    put(at + TIB + TIB / 4, calloc(1, 170)); //~ definite 170 1
    CHECK(mprotect(at + TIB + TIB / 4, PAGE, PROT_NONE) == 0);
    at = NULL;
}

int main(void) {
    private_memory();
    huge_pages();
    shared_memory();
    reserved_memory();
    scrub();
    return SUCCESS();
}
