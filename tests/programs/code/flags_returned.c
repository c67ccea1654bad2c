// build: cc -O2
// build static: cc -O2 -static
// build far: cc -O2 -DFAR
// Functions in assembly that return a flag, which compilers never do, with loads between what sets it and the return; called
// first by code that does not look at it.
#include "../guest.h"

__asm__(
    ".text\n"
    ".type odd, @function\n"
    "odd: .cfi_startproc\n"
    " push %rbx\n .cfi_adjust_cfa_offset 8\n push %rbp\n .cfi_adjust_cfa_offset 8\n sub $24, %rsp\n .cfi_adjust_cfa_offset 24\n"
    " mov %rdi, %rbx\n add $24, %rsp\n .cfi_adjust_cfa_offset -24\n"
    " bt $0, %rdi\n mov (%rsi), %rax\n"
    " pop %rbp\n .cfi_adjust_cfa_offset -8\n pop %rbx\n .cfi_adjust_cfa_offset -8\n ret\n"
    " .cfi_endproc\n .size odd, .-odd\n"
    ".type caller, @function\n"
    "caller: .cfi_startproc\n call odd\n mov $0, %edx\n jc 1f\n xor %eax, %eax\n ret\n 1: inc %rax\n ret\n .cfi_endproc\n"
    ".size caller, .-caller\n"
    ".type indirect_caller, @function\n"
    "indirect_caller: .cfi_startproc\n lea odd(%rip), %rcx\n call *%rcx\n adc $0, %rax\n ret\n .cfi_endproc\n"
    ".size indirect_caller, .-indirect_caller\n");
// The call is at the end of a long straight piece of code.
__asm__(
    ".type far_caller, @function\n"
    "far_caller: .cfi_startproc\n .rept 50\n movabs $1, %rax\n .endr\n"
    " call odd\n movabs $0, %rdx\n jc 1f\n xor %eax, %eax\n ret\n 1: inc %rax\n ret\n .cfi_endproc\n"
    ".size far_caller, .-far_caller\n");
long far_caller(long n, const long *value);
long odd(long n, const long *value);
long caller(long n, const long *value);
long indirect_caller(long n, const long *value);

int main(void) {
    long value = 41;
    for (int i = 0; i < 5; i++) CHECK(odd(i, &value) == 41);
    for (int i = 0; i < 10; i++) CHECK(far_caller(i, &value) == (i & 1 ? 42 : 0));
#ifdef FAR
    return SUCCESS();
#endif
    for (int i = 0; i < 10; i++) CHECK(caller(i, &value) == (i & 1 ? 42 : 0));
    for (int i = 0; i < 10; i++) CHECK(indirect_caller(i, &value) == 41 + (i & 1));
    return SUCCESS();
}
