// build: cc -g -O0 -msse4.2
// build O2: cc -g -O2 -msse4.2
// build clang: clang -g -O2 -msse4.2
// Valid: strlen, strchr and a comparison by SSE vectors, aligned so that they may read behind the string.
#include "../guest.h"
#include <immintrin.h>
#include <stdint.h>

static size_t __attribute__((noinline)) length(const char *text) {
    uintptr_t skipped = (uintptr_t)text % 16;
    const __m128i *at = (const __m128i *)(text - skipped);
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(*at, _mm_setzero_si128())) >> skipped;
    if (mask) return (size_t)__builtin_ctz(mask);
    for (;;) {
        mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(*++at, _mm_setzero_si128()));
        if (mask) return (size_t)((const char *)at - text) + (size_t)__builtin_ctz(mask);
    }
}
static int __attribute__((noinline)) same(const char *a, const char *b, size_t size) {
    size_t i = 0;
    for (; i + 16 <= size; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(a + i)), y = _mm_loadu_si128((const __m128i *)(b + i));
        if (_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) != 0xffff) return 0;
    }
    for (; i < size; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

int main(void) {
    char *block = aligned_alloc(16, 256);
    for (size_t from = 0; from < 20; from++) {
        for (size_t size = 0; size < 50; size += 7) {
            memset(block + from, 'a' + (int)from, size);
            block[from + size] = 0;
            CHECK(length(block + from) == size);
            char *copy = malloc(size + 1);
            memcpy(copy, block + from, size + 1);
            CHECK(same(copy, block + from, size + 1));
            free(copy);
        }
    }
    free(block);
    return SUCCESS();
}
