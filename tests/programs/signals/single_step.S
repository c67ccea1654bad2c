// build: cc -nostdlib -static
// known: single stepping by the trap flag is not supported
// The trap flag: a SIGTRAP after each of ten nops.
        .globl _start
        .text
handler:
        incl    count(%rip)
        ret
restore:
        mov     $15, %eax
        syscall
_start: mov     $13, %eax               // rt_sigaction(SIGTRAP)
        mov     $5, %edi
        lea     action(%rip), %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        test    %rax, %rax
        jnz     fail
        pushfq
        orl     $0x100, (%rsp)
        popfq
        .rept 10
        nop
        .endr
        pushfq
        andl    $~0x100, (%rsp)
        popfq
        cmpl    $13, count(%rip)        // ten nops, pushfq, andl, popfq
        jne     fail
        mov     $1, %eax
        mov     $1, %edi
        lea     message(%rip), %rsi
        mov     $13, %edx
        syscall
        xor     %edi, %edi
        mov     $231, %eax
        syscall
fail:   mov     $9, %edi
        mov     $231, %eax
        syscall
        .data
count:  .long   0
        .balign 8
action: .quad   handler
        .quad   0x04000000              // SA_RESTORER
        .quad   restore
        .quad   0
message:
        .ascii  "EXIT-SUCCESS\n"
        .section .note.GNU-stack, "", @progbits
