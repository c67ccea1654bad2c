// build: cc -g -O0 -msse4.1
// build O2: cc -g -O2 -msse4.1
// build clang: clang -g -O2 -msse4.1
// Lanes of SSE vectors: one of four was never set; what is made of the others is defined.
#include "../guest.h"
#include <immintrin.h>

static volatile int sink;

static int __attribute__((noinline)) lane(const int *p, int which) {
    __m128i sum = _mm_add_epi32(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi32(3));
    int list[4];
    _mm_storeu_si128((__m128i *)list, sum);
    return ((volatile int *)list)[which];
}
static void __attribute__((noinline)) any(const int *p) {
    __m128i equal = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi32(2));
    if (_mm_movemask_epi8(equal) != 0) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) test(const int *p) {
    __m128i value = _mm_loadu_si128((const __m128i *)p);
    if (_mm_testz_si128(value, value)) sink++; //~ UninitCondition 0
}
static int __attribute__((noinline)) three(const int *p) {
    __m128i equal = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi32(1));
    return (_mm_movemask_epi8(equal) & 0xfff) == 0xfff;
}

int main(void) {
    int *list = malloc(4 * sizeof *list);
    list[0] = list[1] = list[2] = 1;
    CHECK(lane(list, 0) == 4 && lane(list, 2) == 4);
    CHECK(three(list));
    any(list);
    int *zeros = malloc(4 * sizeof *zeros);
    zeros[0] = zeros[1] = zeros[2] = 0;
    test(zeros);
    free(zeros);
    if (lane(list, 3) == 4) sink++; //~ UninitCondition 0
    free(list);
    return SUCCESS();
}
