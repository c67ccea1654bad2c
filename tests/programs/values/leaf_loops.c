// build: cc -g -O2 -w
// build clang: clang -g -O2 -w
// Loops that begin with the first instruction of a function which keeps values below the stack pointer from one round to the
// next, and jumps through pointers within one: no error.
#include "../guest.h"

// What is set in one round is read in a later one.
static int __attribute__((noinline)) run(const int *p) {
    volatile int slots[8];
    for (;;) {
        int op = *p++;
        if (op < 0) return slots[-op & 7];
        slots[op & 7] = *p++;
    }
}

// The same for sure, whatever a compiler makes of loops: the loop goes back to the entry.
__asm__(
    ".text\n"
    ".type back, @function\n"
    "back: .cfi_startproc\n"
    " test %edi, %edi\n jle 1f\n"
    " mov %edi, -24(%rsp)\n xor %edi, %edi\n jmp back\n"
    "1: cmpl $40, -24(%rsp)\n jle 2f\n mov $1, %eax\n ret\n"
    "2: xor %eax, %eax\n ret\n"
    " .cfi_endproc\n .size back, .-back\n"
    // A conditional jump back, from within the first block.
    ".type count, @function\n"
    "count: .cfi_startproc\n"
    " cmpl $0, %esi\n je 1f\n"
    " mov -24(%rsp), %eax\n cmp $7, %eax\n jne 2f\n ret\n"
    "1: movl $7, -24(%rsp)\n mov $1, %esi\n cmp $1, %esi\n je count\n"
    "2: ud2\n"
    " .cfi_endproc\n .size count, .-count\n"
    // A jump through a pointer at a fixed address, to a label.
    ".type through, @function\n"
    "through: .cfi_startproc\n"
    " mov %edi, -24(%rsp)\n jmp *place(%rip)\n"
    " ud2\n"
    "3: mov -24(%rsp), %eax\n cmp $3, %eax\n jg 2f\n xor %eax, %eax\n"
    "2: ret\n"
    " .cfi_endproc\n .size through, .-through\n"
    ".data\n .balign 8\nplace: .quad 3b\n .text\n");
int back(int n);
int count(int n, int set);
int through(int n);
static int (*volatile pointer)(int) = back;

int main(void) {
    const int program[] = {1, 42, 2, 7, 5, 3, -1};
    for (int i = 0; i < 4; i++) {
        CHECK(run(program) == 42);
        CHECK(back(41) == 1 && back(3) == 0);
        CHECK(pointer(41) == 1);
        CHECK(count(1, 0) == 7);
        CHECK(through(5) == 5 && through(2) == 0);
    }
    return SUCCESS();
}
