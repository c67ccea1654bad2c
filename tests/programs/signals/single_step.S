// build: cc -nostdlib -static
// The trap flag: a SIGTRAP behind each instruction, at the places where the processor stops natively: copied ones, branches,
// calls, a system call of the kernel's and one of the engine's, an operand relative to rip.
        .globl _start
        .text
handler:                                // Counts, and keeps a sum of where it was.
        incl    count(%rip)
        mov     168(%rdx), %rax         // rip in the ucontext
        lea     _start(%rip), %rcx
        sub     %rcx, %rax
        rolq    $5, sum(%rip)
        add     %rax, sum(%rip)
        cmp     16(%rsi), %rcx          // si_addr lies behind the start
        ja      fail
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
        mov     $3, %ebx
again:  pushfq
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
        movl    $0, count(%rip)
        dec     %ebx
        jnz     again

        mov     $5, %ebx
        pushfq
        orl     $0x100, (%rsp)
        popfq
        mov     count(%rip), %eax
1:      call    function
        lea     function(%rip), %rax
        call    *%rax
        mov     $39, %eax               // getpid
        syscall
        xor     %edi, %edi
        mov     $12, %eax               // brk
        syscall
        test    %rax, %rax
        jz      fail
        push    2f(%rip)
        ret
        nop
        .balign 64
3:      cld
        mov     $4, %ecx
        lea     count(%rip), %rsi
        lea     buffer(%rip), %rdi
        rep movsb
        jmp     4f
        nop
4:      dec     %ebx
        jnz     1b
        pushfq
        andl    $~0x100, (%rsp)
        popfq

        mov     sum(%rip), %rax         // in hexadecimal
        add     count(%rip), %eax
        mov     $16, %ecx
        lea     message(%rip), %rsi
5:      rol     $4, %rax
        mov     %eax, %edx
        and     $15, %edx
        add     $'a', %edx
        mov     %dl, (%rsi)
        inc     %rsi
        dec     %ecx
        jnz     5b
        mov     $1, %eax
        mov     $1, %edi
        lea     message(%rip), %rsi
        mov     $30, %edx
        syscall
        xor     %edi, %edi
        mov     $231, %eax
        syscall
function:
        add     $8, %rsp
        jmp     *-8(%rsp)
fail:   mov     $9, %edi
        mov     $231, %eax
        syscall
        .data
count:  .long   0
        .balign 8
sum:    .quad   0
buffer: .quad   0
2:      .quad   3b
action: .quad   handler
        .quad   0x04000004              // SA_RESTORER, SA_SIGINFO
        .quad   restore
        .quad   0
message:
        .ascii  "................\nEXIT-SUCCESS\n"
        .section .note.GNU-stack, "", @progbits
