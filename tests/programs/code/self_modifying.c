// build: cc -O2
// build static: cc -O2 -static
// Code in writable and executable memory that is rewritten between and during calls, also by the kernel.
#define _GNU_SOURCE
#include "../guest.h"
#include "jit.h"
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    unsigned char *code = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    for (int i = 0; i < 20000; i++) {
        emit(code, (uint32_t)i);
        CHECK(call(code) == i);
    }
    // Patches only the immediate, byte by byte, and an unrelated word of the same page.
    for (int i = 0; i < 2000; i++) {
        code[1] = (unsigned char)i;
        code[2] = (unsigned char)(i >> 8);
        code[3] = code[4] = 0;
        code[200] = (unsigned char)i;
        CHECK(call(code) == (i & 0xffff));
    }
    // A function that patches the instruction behind the one that writes: movb $VALUE, 1(%rip) ; mov $?, %al ; ret
    static const unsigned char ahead[] = {0x31, 0xc0, 0x40, 0x88, 0x3d, 1, 0, 0, 0, 0xb0, 0, 0xc3};
    unsigned char *self = code + 4096;
    memcpy(self, ahead, sizeof ahead);
    for (int i = 0; i < 1000; i++) CHECK(((int (*)(int))self)(i) == (i & 0xff));
    // Many functions, then one of them changes.
    for (int i = 0; i < 1000; i++) emit(code + 8192 + i * 16, (uint32_t)i);
    for (int round = 0; round < 50; round++) {
        emit(code + 8192 + (round * 37 % 1000) * 16, (uint32_t)(5000 + round));
        long sum = 0;
        for (int i = 0; i < 1000; i++) sum += call(code + 8192 + i * 16);
        if (round % 10 == 9) printf("%ld\n", sum);
    }
    // The kernel writes the code: read from a pipe, pread from a file, memory of /proc/self/mem.
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    unsigned char text[6];
    for (int i = 0; i < 100; i++) {
        emit(text, (uint32_t)(i * 3));
        CHECK(write(pipes[1], text, 6) == 6 && read(pipes[0], code, 6) == 6 && call(code) == i * 3);
    }
    memmove(code + 100, code, 6);
    CHECK(call(code + 100) == 297);
    memset(code, 0x90, 4000);
    memcpy(code + 4000, text, 6);
    CHECK(call(code) == 297);
    return SUCCESS();
}
