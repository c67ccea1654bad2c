// build: cc -g -O1 -mavx2 -fno-builtin
// needs: avx2
// peer: reports vectors and long doubles in parts
// One access each of the forms that differ in how they are checked: flags alive, read-modify-write, indices, vectors.
#include "../guest.h"
#include <immintrin.h>

static __attribute__((noinline)) void *fresh(size_t size) {
    char *block = malloc(size);
    for (size_t i = 0; i < size; i++) {
        ((volatile char *)block)[i] = 1;
    }
    return block;
}

static volatile long sink;

int main(void) {
    int *p = fresh(64);
    long index = 16, out, flag;
    __asm__ volatile("addl $1, 64(%0)" : : "r"(p) : "memory", "cc"); //~ InvalidRead 4
    __asm__ volatile("movl (%1,%2,4), %k0" : "=r"(out) : "r"(p), "r"(index)); //~ InvalidRead 4
    __asm__ volatile("stc; movl 68(%2), %k0; sbb %1, %1" //~ InvalidRead 4
                     : "=&r"(out), "=&r"(flag) : "r"(p) : "cc");
    if (flag != -1) {
        puts("the carry is lost");
    }
    __asm__ volatile("stc; mov %2, %0; movl 72(%0), %k0; sbb %1, %1" //~ InvalidRead 4
                     : "=&r"(out), "=&r"(flag) : "r"(p) : "cc");
    if (flag != -1) {
        puts("the carry is lost");
    }
    __asm__ volatile("lock xaddl %k0, 76(%1)" : "=r"(out) : "r"(p), "0"(1L) : "memory", "cc"); //~ InvalidRead 4
    __asm__ volatile("vmovdqu %%ymm0, 64(%0)" : : "r"(p) : "memory"); //~ InvalidWrite 32
    __asm__ volatile("movups %%xmm0, 52(%0)" : : "r"(p) : "memory"); //~ InvalidWrite 16
    __asm__ volatile("fldt 64(%0); fstp %%st" : : "r"(p)); //~ InvalidRead 10
    __asm__ volatile("movb 64(%0), %%ah" : : "r"(p) : "rax"); //~ InvalidRead 1
    __asm__ volatile("pushq 64(%0); popq %%rax" : : "r"(p) : "rax", "memory"); //~ InvalidRead 8
    sink = out;
    puts("EXIT-SUCCESS");
    return 0;
}
