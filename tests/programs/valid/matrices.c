// build: cc -g -O0
// build O3: cc -g -O3 -mavx2 -mfma
// build clang: clang -g -O3 -mavx2 -mfma
// needs: avx2
// Valid: products of matrices in blocks that were never set before, vectorized, with sizes that are no multiple of a vector.
#include "../guest.h"

static void __attribute__((noinline)) multiply(const double *a, const double *b, double *c, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) c[i * n + j] = 0;
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
    }
}
static float __attribute__((noinline)) dot(const float *a, const float *b, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

int main(void) {
    for (int n = 1; n < 20; n++) {
        size_t bytes = (size_t)(n * n) * sizeof(double);
        double *a = malloc(bytes), *b = malloc(bytes), *c = malloc(bytes);
        for (int i = 0; i < n * n; i++) a[i] = i % 5, b[i] = i % n == i / n;
        multiply(a, b, c, n);
        for (int i = 0; i < n * n; i++) CHECK(c[i] == a[i]);
        free(a), free(b), free(c);
        float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
        for (int i = 0; i < n; i++) x[i] = 2, y[i] = (float)i;
        CHECK(dot(x, y, n) == (float)(n * (n - 1)));
        free(x), free(y);
    }
    return SUCCESS();
}
