// build: c++ -g -O0 -std=c++17
// A program with its own operator new on top of malloc: it is replaced like the one of the library. The allocator is
// given a file name of its own, so that the records belong to its callers.
#include "../guest.h"
#include <new>

static long calls;
#line 1 "allocator.inc"
__attribute__((noinline)) void *operator new(std::size_t size) {
    calls++;
    void *p = std::malloc(size);
    if (!p) throw std::bad_alloc();
    return p;
}
__attribute__((noinline)) void operator delete(void *p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void *p, std::size_t) noexcept { std::free(p); }
#line 18 "own_new.cpp"

static long *kept;

static void __attribute__((noinline)) fill() {
    kept = new long(5); //~ reachable 8 1
    long *volatile lost = new long(6); //~ definite 8 1
    lost = nullptr;
    delete new long(7);
}

int main() {
    fill();
    scrub();
    return SUCCESS();
}
