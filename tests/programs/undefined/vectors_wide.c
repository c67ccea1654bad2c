// build: cc -g -O0 -mavx2
// build O3: cc -g -O3 -mavx2
// build clang: clang -g -O2 -mavx2
// needs: avx2
// AVX2: undefined lanes through shuffles, blends and sums, to a branch or to nothing.
#include "../guest.h"
#include <immintrin.h>

static volatile int sink;

static int __attribute__((noinline)) upper_sum(const int *p) {
    __m256i all = _mm256_loadu_si256((const __m256i *)p);
    __m128i upper = _mm256_extracti128_si256(all, 1);
    return _mm_cvtsi128_si32(_mm_add_epi32(upper, _mm_shuffle_epi32(upper, 0x55)));
}
static int __attribute__((noinline)) blended(const int *p) {
    __m256i all = _mm256_loadu_si256((const __m256i *)p);
    __m256i with = _mm256_blend_epi32(all, _mm256_set1_epi32(9), 0x0f);
    int list[8];
    _mm256_storeu_si256((__m256i *)list, with);
    int sum = 0;
    for (int i = 0; i < 8; i++) sum += ((volatile int *)list)[i];
    return sum;
}
static void __attribute__((noinline)) use(int value, int expected) {
    if (value == expected) sink++; //~ UninitCondition 0
}

int main(void) {
    int *list = malloc(8 * sizeof *list);
    // Only the upper half is set.
    for (int i = 4; i < 8; i++) list[i] = i;
    use(upper_sum(list), 9);
    CHECK(sink == 1);
    use(blended(list), 58);
    CHECK(sink == 2);
    int *other = malloc(8 * sizeof *other);
    for (int i = 0; i < 4; i++) other[i] = i;
    use(upper_sum(other), 9);
    free(list), free(other);
    return SUCCESS();
}
