// build: cc
// build static: cc -static
// build nonpie: cc -no-pie
// Transfers of control that compilers seldom make, each compared with what it must give.
        .intel_syntax noprefix
        .text
        .globl  main
        .macro  expect value
        cmp     rax, \value
        mov     edi, 1 + \@
        jne     fail
        .endm
main:   push    rbx
        push    rbp
        push    r12
        // A jump into the middle of an instruction: b8 ff c0 90 90 is mov eax, imm, from its second byte inc eax.
        mov     r12d, 100
        xor     ebx, ebx
1:      xor     eax, eax
        test    r12d, 1
        jz      middle
        jmp     middle + 1
middle: .byte   0xb8, 0xff, 0xc0, 0x90, 0x90
        movzx   eax, al
        add     ebx, eax                // 255 from the whole, 1 from the part
        dec     r12d
        jnz     1b
        mov     rax, rbx
        expect  12800
        // Overlapping code: eb ff c0 is jmp into itself, the second byte begins inc eax.
        xor     eax, eax
        .byte   0xeb, 0xff, 0xc0
        expect  1
        // A prefix that is jumped over.
        mov     rax, 5
        lea     rcx, [rip + cell]
        cmp     rax, 5
        je      5f
        .byte   0xf0
5:      add     qword ptr [rcx], rax
        mov     rax, [rcx]
        expect  5
        // call to the next instruction, then pop.
        call    6f
6:      pop     rax
        lea     rcx, [rip + 6b]
        sub     rax, rcx
        expect  0
        // A return that is not from a call.
        lea     rax, [rip + 7f]
        push    rax
        mov     eax, 7
        ret
        mov     eax, 8
7:      expect  7
        // A retpoline.
        lea     r11, [rip + target]
        mov     r12d, 1000
        xor     ebx, ebx
8:      call    retpoline
        dec     r12d
        jnz     8b
        mov     rax, rbx
        expect  1000
        // ret with an argument area.
        mov     r12, rsp
        push    1
        push    2
        call    pops_two
        sub     r12, rsp
        mov     rax, r12
        expect  0
        // A tail of returns: three addresses pushed at once.
        lea     rax, [rip + 9f]
        push    rax
        lea     rax, [rip + add_ten]
        push    rax
        push    rax
        xor     eax, eax
        ret
9:      expect  20
        // jrcxz, loop, loope, loopne with all their exits.
        xor     eax, eax
        xor     ecx, ecx
        jrcxz   10f
        mov     eax, 1
10:     expect  0
        mov     rcx, 0x100000000
        jecxz   11f
        mov     eax, 1
11:     expect  0
        xor     eax, eax
        mov     ecx, 1000
12:     inc     rax
        loop    12b
        expect  1000
        mov     ecx, 100
13:     dec     rax
        cmp     eax, 950
        loopne  13b
        expect  950
        lea     rax, [rcx]
        expect  50
        mov     ecx, 10
        xor     eax, eax
14:     inc     eax
        cmp     eax, eax
        loope   14b
        expect  10
        // Jumps and calls through memory: relative to the stack, to the instruction pointer, scaled.
        lea     rax, [rip + 15f]
        push    rax
        jmp     qword ptr [rsp]
        ud2
15:     pop     rcx
        mov     eax, 1
        lea     rcx, [rip + add_ten]
        mov     [rip + cell], rcx
        call    qword ptr [rip + cell]
        expect  11
        lea     rdx, [rip + cell]
        mov     ecx, 2
        call    qword ptr [rdx + rcx * 8 - 16]
        expect  21
        push    rax
        lea     rax, [rip + add_ten]
        push    rax
        mov     eax, 30
        call    [rsp]
        expect  40
        add     rsp, 16
        // call through rsp itself: the operand is read before the push.
        lea     rax, [rip + add_ten]
        push    rax
        mov     eax, 3
        call    qword ptr [rsp + 0]
        expect  13
        add     rsp, 8
        // push rsp, pop rsp, push [rsp], pop [rsp], xchg with memory on the stack.
        mov     rbx, rsp
        push    rsp
        pop     rax
        sub     rax, rbx
        expect  0
        push    77
        push    qword ptr [rsp]
        pop     rax
        pop     rcx
        expect  77
        push    5
        push    6
        pop     qword ptr [rsp]         // writes the slot above the popped one
        pop     rax
        expect  6
        mov     rbp, rsp
        enter   32, 0
        leave
        sub     rbp, rsp
        mov     rax, rbp
        expect  0
        // Flags over calls, pushf and popf, lahf and sahf.
        stc
        call    nothing
        setc    al
        movzx   eax, al
        expect  1
        std
        pushfq
        cld
        pop     rax
        shr     eax, 10
        and     eax, 1
        expect  1
        mov     eax, 0xd700
        sahf
        setc    cl
        setz    dl
        sets    al
        and     al, cl
        and     al, dl
        movzx   eax, al
        expect  1
        // Addresses of 32 bits, and a segment prefix without meaning.
        lea     rdx, [rip + cell]
        mov     qword ptr [rdx], 123
        mov     rax, ds:[rdx]
        expect  123
        mov     rdx, 0x7fffffffffffffff
        lea     eax, [edx + 2]
        expect  1
        .byte   0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 2, 0, 0
        lea     rdi, [rip + message]
        call    puts@PLT
        pop     r12
        pop     rbp
        pop     rbx
        xor     eax, eax
        ret
fail:   mov     eax, 231
        syscall
nothing:
        ret
add_ten:
        lea     rax, [rax + 10]
        ret
pops_two:
        ret     16
retpoline:
        call    17f
16:     pause
        lfence
        jmp     16b
17:     mov     [rsp], r11
        ret
target: inc     rbx
        ret
        .data
        .balign 8
cell:   .quad   0
message:
        .asciz  "EXIT-SUCCESS"
        .section .note.GNU-stack, "", @progbits
