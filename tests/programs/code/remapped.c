// build: cc -O2
// Code that disappears and comes back different at the same address: munmap, MAP_FIXED, mremap, madvise, truncate.
#define _GNU_SOURCE
#include "../guest.h"
#include "jit.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static void handler(int signal) { siglongjmp(back, signal); }
static const int RWX = PROT_READ | PROT_WRITE | PROT_EXEC, ANON = MAP_PRIVATE | MAP_ANONYMOUS;

static int call_or_signal(void *at) {
    int signal = sigsetjmp(back, 1);
    return signal ? -signal : call(at);
}

int main(void) {
    signal(SIGSEGV, handler);
    signal(SIGBUS, handler);
    signal(SIGILL, handler);
    signal(SIGTRAP, handler);
    unsigned char *code = mmap(NULL, 8192, RWX, ANON, -1, 0);
    CHECK(code != MAP_FAILED);
    for (int i = 0; i < 300; i++) {
        emit(code, (uint32_t)i);
        CHECK(call_or_signal(code) == i);
        CHECK(munmap(code, 8192) == 0 && call_or_signal(code) == -SIGSEGV);
        CHECK(mmap(code, 8192, RWX, ANON | MAP_FIXED, -1, 0) == code);
        emit(code, (uint32_t)(i + 1000));
        CHECK(call_or_signal(code) == i + 1000);
        CHECK(mmap(code, 8192, RWX, ANON | MAP_FIXED, -1, 0) == code);
        emit(code, (uint32_t)(i + 2000));
        CHECK(call_or_signal(code) == i + 2000);
        CHECK(mprotect(code, 4096, PROT_READ) == 0 && call_or_signal(code) == -SIGSEGV);
        CHECK(mprotect(code, 4096, PROT_NONE) == 0 && call_or_signal(code) == -SIGSEGV);
        CHECK(mprotect(code, 4096, RWX) == 0 && call_or_signal(code) == i + 2000);
        unsigned char *other = mmap(NULL, 8192, RWX, ANON, -1, 0);
        emit(other, (uint32_t)(i + 3000));
        CHECK(mremap(other, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, code) == code);
        CHECK(call_or_signal(code) == i + 3000 && call_or_signal(other) == -SIGSEGV);
        CHECK(madvise(code, 8192, MADV_DONTNEED) == 0);
        code[0] = 0xcc;
        CHECK(call_or_signal(code) == -SIGTRAP);
    }
    int fd = memfd_create("code", 0);
    CHECK(ftruncate(fd, 4096) == 0);
    unsigned char *file = mmap(NULL, 4096, RWX, MAP_SHARED, fd, 0);
    emit(file, 5);
    CHECK(call_or_signal(file) == 5);
    CHECK(ftruncate(fd, 0) == 0 && call_or_signal(file) == -SIGBUS);
    CHECK(ftruncate(fd, 4096) == 0);
    emit(file, 6);
    CHECK(call_or_signal(file) == 6);
    return SUCCESS();
}
