// build: cc -O1 -fno-pie -no-pie
// build pie: cc -O1
// build static: cc -O1 -static
// record: --events=alloc,clock
// Checks change flags that the instruction would have overwritten: without them, all are as natively.
// Synchronous faults: number, code, address, trap number, error code and the exact place in the context.
#define _GNU_SOURCE
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int signal_number, code, trap, error;
static volatile uintptr_t address, place, registers[4];

static void handler(int signal, siginfo_t *info, void *context) {
    greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;
    signal_number = signal;
    code = info->si_code;
    address = (uintptr_t)info->si_addr;
    trap = (int)gregs[REG_TRAPNO];
    error = (int)gregs[REG_ERR];
    place = (uintptr_t)gregs[REG_RIP];
    registers[0] = (uintptr_t)gregs[REG_RBX];
    registers[1] = (uintptr_t)gregs[REG_R9];
    registers[2] = (uintptr_t)gregs[REG_R15];
    registers[3] = (uintptr_t)gregs[REG_EFL];
    siglongjmp(back, 1);
}

static uintptr_t label, end;

// Runs one instruction with known registers after a preparation; its label is the place where the fault must be seen.
#define FAULT(name, preparation, instruction, rax_value, after)                                              \
    do {                                                                                                     \
        signal_number = 0;                                                                                   \
        if (sigsetjmp(back, 1) == 0) {                                                                       \
            __asm__ volatile("lea 1f(%%rip), %%rdx\n\tmov %%rdx, %[label]\n\t"                              \
                             "lea 2f(%%rip), %%rdx\n\tmov %%rdx, %[end]\n\t"                                \
                             "mov $0x1111, %%ebx\n\tmov $0x2222, %%r9d\n\tmov $0x3333, %%r15d\n\t"         \
                             "xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tstc\n\t" preparation "\n\t"         \
                             "1: " instruction "\n\t2:"                                                      \
                             : [label] "=m"(label), [end] "=m"(end)                                          \
                             : "a"((uintptr_t)(rax_value))                                                   \
                             : "rbx", "rcx", "rdx", "rdi", "r9", "r15", "xmm0", "memory", "cc");             \
            printf("%s: no fault\n", name);                                                                  \
        } else {                                                                                             \
            uintptr_t expected = (after) == 2 ? (uintptr_t)(rax_value) : (after) ? end : label;              \
            CHECK(place == expected);                                                                        \
            CHECK(registers[0] == 0x1111 && registers[1] == 0x2222 && registers[2] == 0x3333);               \
            printf("%s: signal %d code %d trap %d error %d address %s carry %d\n", name, signal_number, code, \
                   trap, error, place_name(address, (uintptr_t)(rax_value), label), (int)(registers[3] & 1)); \
        }                                                                                                    \
    } while (0)

static const char *place_name(uintptr_t a, uintptr_t target, uintptr_t label) {
    if (a == 0) return target == 0 ? "zero, the target" : "zero";
    if (a == target) return "the target";
    if (a == label) return "the instruction";
    if (a - target < 4096) return "behind the target";
    return "elsewhere";
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    for (int i = 0; i < 5; i++) sigaction((int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP}[i], &action, NULL);
    char *readable = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *none = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gap = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gap + 4096, 4096);
    int fd = memfd_create("short", 0);
    char *file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    FAULT("null load", "", "mov (%%rax), %%rcx", 0, 0);
    FAULT("null store", "", "movl $1, (%%rax)", 0, 0);
    FAULT("small address", "", "incl 16(%%rax)", 16, 0);
    FAULT("not canonical", "", "mov (%%rax), %%cl", 0x8000000000000000, 0);
    FAULT("kernel address", "", "mov (%%rax), %%cl", 0xffffffff80000000, 0);
    FAULT("store to read-only", "", "movb $1, (%%rax)", readable, 0);
    FAULT("load without permission", "", "movups (%%rax), %%xmm0", none, 0);
    FAULT("store without permission", "", "movq %%xmm0, (%%rax)", none, 0);
    FAULT("across the end", "", "mov (%%rax), %%rcx", gap + 4092, 0);
    FAULT("add to memory", "", "addq %%r9, 8(%%rax)", none, 0);
    FAULT("exchange", "", "xchg %%ecx, (%%rax)", none, 0);
    FAULT("locked", "", "lock incl (%%rax)", readable, 0);
    FAULT("compare and exchange", "", "lock cmpxchgl %%ecx, (%%r9)", 0x2222, 0);
    FAULT("push from memory", "", "pushq (%%rax)", none, 0);
    FAULT("string store", "mov %%rax, %%rdi; mov $100, %%ecx", "rep stosb", none, 0);
    FAULT("unaligned vector", "", "movaps 1(%%rax), %%xmm0", readable, 0);
    FAULT("beyond the file", "", "mov 4096(%%rax), %%cl", file, 0);
    FAULT("empty file", "", "movb $1, (%%rax)", file, 0);
    FAULT("division by zero", "", "divl %%ecx", 77, 0);
    FAULT("division overflow", "mov $1, %%ecx; mov $5, %%edx", "divl %%ecx", 1, 0);
    FAULT("undefined", "", "ud2", 0, 0);
    FAULT("breakpoint", "", "int3", 0, 1);
    FAULT("privileged", "", "hlt", 0, 0);
    FAULT("port", "", "inb $0x80, %%al", 0, 0);
    FAULT("jump to nothing", "", "jmp *%%rax", 0, 2);
    FAULT("jump to data", "", "jmp *%%rax", readable, 2);
    FAULT("jump far away", "", "jmp *%%rax", none, 2);
    FAULT("indirect call through null", "", "call *(%%rax)", 0, 0);
    FAULT("prefetch", "", "prefetcht0 (%%rax)", 0, 0);
    FAULT("long nop", "", "nopl 8(%%rax)", 0, 0);
    FAULT("address only", "", "lea 5(%%rax), %%rcx", 0, 0);
    return SUCCESS();
}
