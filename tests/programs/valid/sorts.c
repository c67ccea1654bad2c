// build: cc -g -O0
// build O3: cc -g -O3
// build clang: clang -g -O3
// Valid: heapsort, merge sort with a scratch buffer that is filled as far as it is used, and radix sort.
#include "../guest.h"
#include <stdint.h>

enum { N = 500 };

static void __attribute__((noinline)) heap(uint32_t *a, int n) {
    for (int start = n / 2 - 1, end = n; end > 1;) {
        if (start >= 0) start--;
        else {
            uint32_t t = a[--end];
            a[end] = a[0], a[0] = t;
        }
        for (int root = start < 0 ? 0 : start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && a[child] < a[child + 1]) child++;
            if (a[root] >= a[child]) break;
            uint32_t t = a[root];
            a[root] = a[child], a[child] = t;
        }
    }
}
static void __attribute__((noinline)) merge(uint32_t *a, uint32_t *scratch, int n) {
    if (n < 2) return;
    int half = n / 2, i = 0, j = half, k = 0;
    merge(a, scratch, half), merge(a + half, scratch, n - half);
    while (i < half && j < n) scratch[k++] = a[i] <= a[j] ? a[i++] : a[j++];
    while (i < half) scratch[k++] = a[i++];
    memcpy(a, scratch, (size_t)k * sizeof *a);
}
static void __attribute__((noinline)) radix(uint32_t *a, uint32_t *scratch, int n) {
    for (int shift = 0; shift < 32; shift += 8) {
        int counts[257] = {0};
        for (int i = 0; i < n; i++) counts[(a[i] >> shift & 255) + 1]++;
        for (int i = 0; i < 256; i++) counts[i + 1] += counts[i];
        for (int i = 0; i < n; i++) scratch[counts[a[i] >> shift & 255]++] = a[i];
        memcpy(a, scratch, (size_t)n * sizeof *a);
    }
}

int main(void) {
    for (int which = 0; which < 3; which++) {
        uint32_t *a = malloc(N * sizeof *a), *scratch = malloc(N * sizeof *a), seed = 7;
        for (int i = 0; i < N; i++) a[i] = seed = seed * 1664525 + 1013904223;
        if (which == 0) heap(a, N);
        if (which == 1) merge(a, scratch, N);
        if (which == 2) radix(a, scratch, N);
        for (int i = 1; i < N; i++) CHECK(a[i - 1] <= a[i]);
        free(a), free(scratch);
    }
    return SUCCESS();
}
