// build: cc -nostdlib -static -Wl,--build-id=none
// build pie: cc -nostdlib -static-pie
// build high: cc -nostdlib -static -Wl,-Ttext-segment=0xa00000000
// build omagic: cc -nostdlib -static -Wl,-N,--no-warn-rwx-segments
// args: alpha
// No libc: the state that the kernel hands to _start, checked with nothing but instructions.
        .globl _start
        .text
_start:
        mov     (%rsp), %rbx            // argc
        cmp     $2, %rbx
        jne     fail
        test    $15, %rsp               // the psABI aligns the stack
        jnz     fail
        mov     16(%rsp), %rsi          // argv[1]
        cmpl    $0x68706c61, (%rsi)     // "alph"
        jne     fail
        cmpq    $0, 24(%rsp)            // the end of argv
        jne     fail
        pushfq
        pop     %rax
        test    $0x400, %eax            // the direction flag is clear
        jnz     fail
        stmxcsr -8(%rsp)
        cmpl    $0x1f80, -8(%rsp)
        jne     fail
        fnstcw  -8(%rsp)
        cmpw    $0x37f, -8(%rsp)
        jne     fail
        mov     $1, %eax
        mov     $1, %edi
        lea     message(%rip), %rsi
        mov     $message_end - message, %edx
        syscall
        cmp     $message_end - message, %rax
        jne     fail
        xor     %edi, %edi
        mov     $231, %eax
        syscall
fail:   mov     $9, %edi
        mov     $60, %eax
        syscall
        .section .rodata
message:
        .ascii  "EXIT-SUCCESS\n"
message_end:
        .section .note.GNU-stack, "", @progbits
