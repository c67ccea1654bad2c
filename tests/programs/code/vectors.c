// build: cc -O2 -mavx2 -mfma -mbmi -mbmi2
// build O3: cc -O3 -mavx2 -mfma -funroll-loops
// build clang: clang -O2 -mavx2 -mfma
// needs: avx2
// 256-bit vectors: arithmetic, gathers, masked moves, permutations; upper halves survive calls and system calls.
#include "../guest.h"
#include <immintrin.h>
#include <stdint.h>
#include <unistd.h>

static uint64_t hash(const void *data, size_t size) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return h;
}

static int table[1000];
static float floats[1024], more[1024];

int main(void) {
    for (int i = 0; i < 1000; i++) table[i] = i * i;
    for (int i = 0; i < 1024; i++) floats[i] = (float)i * 0.37f, more[i] = 1.0f / (float)(i + 1);
    __m256 sum = _mm256_setzero_ps();
    for (int i = 0; i < 1024; i += 8) sum = _mm256_fmadd_ps(_mm256_loadu_ps(floats + i), _mm256_loadu_ps(more + i), sum);
    printf("%016lx\n", (unsigned long)hash(&sum, sizeof sum));
    __m256i indexes = _mm256_setr_epi32(1, 10, 100, 999, -1000000, 5, 7, 1000000);
    __m256i mask = _mm256_setr_epi32(-1, -1, -1, -1, 0, -1, -1, 0);
    __m256i gathered = _mm256_mask_i32gather_epi32(_mm256_set1_epi32(-5), table, indexes, mask, 4);
    printf("%016lx\n", (unsigned long)hash(&gathered, sizeof gathered));
    int out[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    _mm256_maskstore_epi32(out, mask, gathered);
    __m256i none = _mm256_maskload_epi32((int *)0, _mm256_setzero_si256());
    printf("%016lx %d\n", (unsigned long)hash(out, sizeof out), _mm256_testz_si256(none, none));
    __m256i permuted = _mm256_permutevar8x32_epi32(gathered, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
    permuted = _mm256_shuffle_epi8(permuted, _mm256_set1_epi8(3));
    printf("%016lx %x\n", (unsigned long)hash(&permuted, sizeof permuted), (unsigned)_mm256_movemask_epi8(permuted));
    // The upper halves of all registers over a system call and a fault-free call.
    uint64_t in[4] = {11, 22, 33, 44}, back[4];
    for (int i = 0; i < 1000; i++) {
        in[3] = (uint64_t)i;
        long result = 39;
        __asm__ volatile("vmovdqu %2, %%ymm13\n\tsyscall\n\tvmovdqu %%ymm13, %1\n\tvzeroupper"
                         : "+a"(result), "=m"(back)
                         : "m"(in)
                         : "rcx", "r11", "xmm13", "memory");
        CHECK(memcmp(in, back, sizeof in) == 0 && result == getpid());
    }
    return SUCCESS();
}
