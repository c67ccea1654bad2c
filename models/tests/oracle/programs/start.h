// The beginning and end of each program: no libc, a stack at a fixed address, and an end whose last block has been
// executed before (Callgrind leaves out the last block of a program otherwise).
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

static u8 stack[16384] __attribute__((aligned(4096), used));

__asm__(".globl _start\n"
        "_start:\n"
        "    lea stack+16384(%rip), %rsp\n"
        "    call run\n"
        "    mov $39, %eax\n" // getpid
        "    jmp 1f\n"
        "1:  xor %edi, %edi\n"
        "    syscall\n"
        "    mov $60, %eax\n" // exit
        "    jmp 1b\n");

static u64 state = 88172645463325252;

// The same numbers in every run.
static u64 below(u64 bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % bound;
}
