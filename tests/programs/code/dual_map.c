// build: cc -O2
// One memory at two addresses: written through the one, run through the other; through memfd, shared memory, files.
#define _GNU_SOURCE
#include "../guest.h"
#include "jit.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void run(int fd, const char *name) {
    CHECK(fd >= 0 && ftruncate(fd, 16384) == 0);
    unsigned char *writable = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *runnable = mmap(NULL, 16384, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    unsigned char *second = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 8192);
    CHECK(writable != MAP_FAILED && runnable != MAP_FAILED && second != MAP_FAILED);
    for (int i = 0; i < 1000; i++) {
        emit(writable + 64, (uint32_t)i);
        CHECK(call(runnable + 64) == i);
        emit(writable + 8192 + i, (uint32_t)(i * 2));
        CHECK(call(second + i) == i * 2 && call(runnable + 8192 + i) == i * 2);
        unsigned char text[6];
        emit(text, (uint32_t)(i * 5));
        CHECK(pwrite(fd, text, 6, 128) == 6 && call(runnable + 128) == i * 5);
    }
    puts(name);
    munmap(writable, 16384);
    munmap(runnable, 16384);
    munmap(second, 8192);
    close(fd);
}

int main(void) {
    run(memfd_create("code", 0), "memfd");
    run(open("file", O_RDWR | O_CREAT, 0600), "file");
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *alias = mremap(code, 0, 4096, MREMAP_MAYMOVE);
    CHECK(code != MAP_FAILED && alias != MAP_FAILED);
    for (int i = 0; i < 500; i++) {
        emit(code, (uint32_t)i);
        CHECK(call(alias) == i);
    }
    return SUCCESS();
}
