// Instructions whose references are more than an operand's, each once or in a loop of its own.
#define DATA data + 4096
    .bss
    .balign 4096
data:
    .skip 65536
    .text
    .intel_syntax noprefix
    .globl _start
    // The end of a block of Callgrind's. What is a constant in a block is no condition and no target; VEX does not get through
    // a block that has both x87 and elements.
    .macro block
    jmp 99f
99:
    .endm
_start:
    lea rsp, data[rip + 32768]
    mov ebx, offset data + 8192
    // The stack.
    push rax
    push 5
    push word ptr [rbx]
    pushfq
    popfq
    push [rsp + 8]
    push [rsp]
    pop [rsp + 16]
    pop [rsp]
    push ax
    pop ax
    pop rcx
    push rsp
    pop rsp
    enter 32, 0
    leave
    call 1f
1:  pop rax
    lea rax, 2f[rip]
    mov [rbx], rax
    block
    jmp [rbx]
2:  lea rax, 3f[rip]
    block
    call rax
3:  lea rax, 4f[rip]
    mov [rsp], rax
    ret
4:  lea rax, 5f[rip]
    push 0
    push rax
    ret 8
5:  lea rax, 6f[rip]
    mov [rsp + 8], rax
    call [rsp + 8]
6:  add rsp, 8
    // Strings.
    .macro strings
    lea rsi, data[rip + 16384]
    lea rdi, data[rip + 20480]
    .endm
    strings
    movsb
    movsw
    movsd
    movsq
    stosb
    stosq
    lodsb
    lodsd
    scasb
    scasq
    strings
    mov ecx, 5
    block
    rep movsb
    mov ecx, 3
    block
    rep movsq
    xor ecx, ecx
    block
    rep stosd
    mov ecx, 4
    block
    rep stosd
    std
    mov ecx, 3
    block
    rep stosw
    cld
    strings
    mov ecx, 7
    block
    repe cmpsb
    strings
    mov ecx, 9
    mov al, 1
    block
    repe scasb
    mov ecx, 4
    block
    repne scasd
    mov ecx, 1
    block
    rep lodsq
    strings
    mov ecx, 3
    block
    addr32 rep movsb
    // Tables and bits.
    mov eax, 0x177
    mov rax, -77
    mov ecx, 1003
    bt [rbx], rax
    bt dword ptr [rbx], ecx
    bt word ptr [rbx], cx
    bts qword ptr [rbx], rcx
    btr dword ptr [rbx], eax
    lock btc dword ptr [rbx], ecx
    bt dword ptr [rbx], 7
    bts qword ptr [rbx], 77
    lock btr word ptr [rbx], 3
    bt ecx, eax
    bts rcx, rax
    btr cx, ax
    btc ecx, eax
    // Exchanges.
    xchg [rbx], rax
    xchg al, [rbx]
    xadd [rbx], ecx
    lock xadd [rbx], ecx
    cmpxchg [rbx], cl
    lock cmpxchg [rbx], ecx
    cmpxchg8b [rbx]
    lock cmpxchg8b [rbx]
    cmpxchg16b [rbx]
    lock cmpxchg16b [rbx]
    lock inc dword ptr [rbx]
    lock not byte ptr [rbx]
    lock add [rbx], rcx
    lock sub word ptr [rbx], 7
    // Addresses.
    mov ecx, 3
    mov rax, [rbx + rcx * 2]
    lea rax, [rbx + rcx * 2]
    nop dword ptr [rbx + 8]
    prefetcht0 [rbx]
    prefetchw [rbx]
    clflush [rbx]
    mov eax, data[rip + 8]
    mov eax, [ebx + 16]
    mov ecx, -3
    mov eax, [ebx + ecx * 4]
    mov eax, ds:[data]
    movabs eax, data
    mov edi, 0x1002
    lea rsi, data[rip + 4096]
    // arch_prctl(ARCH_SET_FS)
    mov eax, 158
    syscall
    mov rax, fs:[16]
    mov ecx, 24
    mov fs:[rcx * 2 + 64], rax
    // Conditions.
    test eax, eax
    cmovs eax, [rbx]
    cmovns eax, [rbx]
    sets [rbx]
    // x87 and saved state.
    fninit
    fld dword ptr [rbx]
    fstp tbyte ptr [rbx]
    fild word ptr [rbx]
    fistp qword ptr [rbx]
    fnstcw [rbx]
    fldcw [rbx]
    fnstsw [rbx]
    stmxcsr [rbx]
    ldmxcsr [rbx]
    fnstenv [rbx]
    fldenv [rbx]
    fnsave [rbx]
    frstor [rbx]
    fxsave [rbx]
    fxrstor [rbx]
    fxsave64 [rbx]
    xor edx, edx
    mov eax, 7
    xsave [rbx]
    xrstor [rbx]
    mov eax, 3
    xsave64 [rbx]
    xrstor64 [rbx]
    mov eax, 4
    xsave [rbx]
    mov eax, 1
    xsave [rbx]
    mov eax, 7
    // Masks and elements.
    pcmpeqd xmm1, xmm1
    strings
    maskmovdqu xmm2, xmm1
    maskmovdqu xmm2, xmm3
    movq mm1, [rbx]
    maskmovq mm1, mm0
    emms
    block
    vpcmpeqd ymm1, ymm1, ymm1
    vpslldq ymm1, ymm1, 4
    vmaskmovps ymm2, ymm1, [rbx]
    vmaskmovps [rbx], ymm1, ymm2
    vmaskmovpd xmm2, xmm1, [rbx]
    vpmaskmovd [rbx], xmm1, xmm2
    vpmaskmovq ymm2, ymm1, [rbx]
    vpmaskmovq [rbx], ymm1, ymm2
    .macro gather insn, to, index, mask
    block
    vpcmpeqd ymm1, ymm1, ymm1
    vpslldq ymm1, ymm1, 8
    \insn \to, [rbx + \index * 4], \mask
    .endm
    vpcmpeqd ymm3, ymm3, ymm3
    vpsrld ymm3, ymm3, 28
    vpxor ymm4, ymm4, ymm4
    vpsubd ymm3, ymm4, ymm3
    gather vpgatherdd, ymm2, ymm3, ymm1
    gather vpgatherdd, xmm2, xmm3, xmm1
    gather vgatherdpd, ymm2, xmm3, ymm1
    gather vpgatherdq, xmm2, xmm3, xmm1
    vpcmpeqd ymm3, ymm3, ymm3
    vpsrlq ymm3, ymm3, 60
    gather vpgatherqd, xmm2, ymm3, xmm1
    gather vgatherqps, xmm2, xmm3, xmm1
    gather vpgatherqq, ymm2, ymm3, ymm1
    gather vgatherqpd, xmm2, xmm3, xmm1
    // Branches.
    mov ecx, 2
    block
7:  loop 7b
    jrcxz 8f
8:  mov eax, 60
    xor edi, edi
    syscall
