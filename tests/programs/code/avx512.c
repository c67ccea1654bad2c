// build: cc -O2 -mavx512f -mavx512bw -mavx512vl -mavx512dq
// needs: avx512bw
// 512-bit vectors with masks, also where the processor that the program is shown has none.
#include "../guest.h"
#include <immintrin.h>
#include <stdint.h>

static void __attribute__((noinline)) work(void) {
    static int32_t a[64], b[64], c[64];
    for (int i = 0; i < 64; i++) a[i] = i * 3, b[i] = 100 - i;
    for (int i = 0; i < 64; i += 16) {
        __m512i x = _mm512_loadu_si512(a + i), y = _mm512_loadu_si512(b + i);
        __mmask16 less = _mm512_cmplt_epi32_mask(x, y);
        x = _mm512_mask_add_epi32(y, less, x, y);
        x = _mm512_maskz_compress_epi32(less ^ 0x5555, x);
        x = _mm512_ternarylogic_epi32(x, y, _mm512_set1_epi32(0x0f0f), 0x96);
        _mm512_mask_storeu_epi32(c + i, 0xfffe, x);
    }
    long sum = 0;
    for (int i = 0; i < 64; i++) sum = sum * 31 + c[i];
    printf("%ld\n", sum);
    __m512i high;
    __asm__ volatile("vpternlogd $0xff, %%zmm29, %%zmm29, %%zmm29\n\tkxnorw %%k5, %%k5, %%k5\n\tmov $39, %%eax\n\tsyscall\n\t"
                     "kshiftrw $4, %%k5, %%k5\n\tvmovdqu32 %%zmm29, %0%{%%k5%}%{z%}"
                     : "=v"(high)::"rax", "rcx", "r11", "xmm29", "k5", "memory");
    int32_t lanes[16];
    _mm512_storeu_si512(lanes, high);
    for (int i = 0; i < 16; i++) CHECK(lanes[i] == (i < 12 ? -1 : 0));
}

int main(void) {
    work();
    return SUCCESS();
}
