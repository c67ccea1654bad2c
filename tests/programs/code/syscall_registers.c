// build: cc -O1
// build static: cc -O1 -static
// What a system call does to registers: rcx and r11 as the processor sets them, everything else kept; odd places.
#include "../guest.h"
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 100; i++) {
        uint64_t rax = 39, rcx, r11, expected, flags, keep[4] = {1, 2, 3, 4};
        register uint64_t r8 __asm__("r8") = 0x8888888888888888, r9 __asm__("r9") = 0x9999999999999999;
        register uint64_t r10 __asm__("r10") = 0xaaaaaaaaaaaaaaaa;
        uint64_t rdi = 0xd1, rsi = 0x51, rdx = 0xd0;
        __asm__ volatile("movups %[keep], %%xmm11\n\t"
                         "cmp $1, %%rbx\n\tstc\n\tpushfq\n\tpop %[flags]\n\t"
                         "push %[flags]\n\tpopfq\n\t"
                         "syscall\n\t"
                         "1: lea 1b(%%rip), %[expected]\n\t"
                         "mov %%r11, %[r11]\n\t"
                         "movups %%xmm11, %[keep]"
                         : "+a"(rax), "=&c"(rcx), [r11] "=&r"(r11), [expected] "=&r"(expected), [flags] "=&b"(flags), "+r"(r8), "+r"(r9),
                           "+r"(r10), "+D"(rdi), "+S"(rsi), "+d"(rdx), [keep] "+m"(keep)
                         :
                         : "r11", "xmm11", "memory", "cc");
        uint64_t after[3] = {r8, r9, r10};
        CHECK(rax == (uint64_t)getpid() && rcx == expected && (r11 & ~0x10000UL) == (flags & ~0x10000UL));
        CHECK(after[0] == 0x8888888888888888 && after[1] == 0x9999999999999999 && after[2] == 0xaaaaaaaaaaaaaaaa);
        CHECK(rdi == 0xd1 && rsi == 0x51 && rdx == 0xd0 && keep[0] == 1 && keep[1] == 2);
    }
    // Two calls back to back, a call in a loop with its count in a preserved register, an unknown number.
    uint64_t result;
    __asm__ volatile("mov $39, %%eax\n\tsyscall\n\tmov %%rax, %%rbx\n\tmov $110, %%eax\n\tsyscall\n\tadd %%rbx, %%rax"
                     : "=a"(result)::"rbx", "rcx", "r11", "memory");
    CHECK(result == (uint64_t)getpid() + (uint64_t)getppid());
    __asm__ volatile("mov $1000, %%ebx\n1: mov $39, %%eax\n\tsyscall\n\tdec %%ebx\n\tjnz 1b" : "=a"(result)::"rbx", "rcx", "r11", "memory");
    CHECK(result == (uint64_t)getpid());
    __asm__ volatile("mov $9999, %%eax\n\tsyscall" : "=a"(result)::"rcx", "r11", "memory");
    CHECK((int64_t)result == -ENOSYS);
    __asm__ volatile("mov $-1, %%rax\n\tsyscall" : "=a"(result)::"rcx", "r11", "memory");
    CHECK((int64_t)result == -ENOSYS);
    CHECK(write(1, (void *)8, 1) == -1 && errno == EFAULT);
    // The upper half of the number is ignored or refused, as the kernel decides.
    __asm__ volatile("movabs $0x100000027, %%rax\n\tsyscall" : "=a"(result)::"rcx", "r11", "memory");
    printf("wide number: %s\n", result == (uint64_t)getpid() ? "taken" : "refused");
    return SUCCESS();
}
