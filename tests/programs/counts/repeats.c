// build: cc -g -O1 -nostdlib -static -fno-stack-protector -fcf-protection=none
// Instructions that repeat themselves: a single step is one turn, and a count is one instruction. REPEATED is what the
// single steps have more: of each the turns without the first.
//~ REPEATED 10*(99+49+6)

asm(".text\n"
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  mov $10, %ebx\n"
    "1: cld\n"
    "  mov $100, %ecx\n"
    "  lea buffer(%rip), %rdi\n"
    "  mov $7, %eax\n"
    "  rep stosb\n"
    "  mov $50, %ecx\n"
    "  lea buffer(%rip), %rsi\n"
    "  lea 100+buffer(%rip), %rdi\n"
    "  rep movsb\n"
    // Not once: a single step all the same.
    "  rep movsb\n"
    // Ends at the difference, in its seventh turn.
    "  movb $1, 6+buffer(%rip)\n"
    "  mov $50, %ecx\n"
    "  lea buffer(%rip), %rsi\n"
    "  lea 100+buffer(%rip), %rdi\n"
    "  repe cmpsb\n"
    "  dec %ebx\n"
    "  jnz 1b\n"
    "  mov $1, %eax\n"
    "  mov $1, %edi\n"
    "  lea text(%rip), %rsi\n"
    "  mov $13, %edx\n"
    "  syscall\n"
    "  mov $231, %eax\n"
    "  xor %edi, %edi\n"
    "  syscall\n"
    ".size _start, .-_start\n"
    ".data\n"
    "text: .ascii \"EXIT-SUCCESS\\n\"\n"
    ".bss\n"
    "buffer: .zero 256\n"
    ".text\n");
