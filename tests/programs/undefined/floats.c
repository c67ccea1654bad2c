// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Undefined float, double and long double: computed with, converted, compared.
#include "../guest.h"

static volatile int sink;

static void __attribute__((noinline)) of_float(const float *p) {
    float twice = *p * 2 + 1;
    if (twice > 3.0f) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) of_double(const double *p) {
    double sum = p[0] + p[1];
    if (sum < 10) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) of_long_double(const long double *p) {
    long double sum = *p + 1;
    if (sum > 2) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) converted(const double *p) {
    int number = (int)*p;
    if (number == 3) sink++; //~ UninitCondition 0
}

int main(void) {
    float *f = malloc(2 * sizeof *f);
    double *d = malloc(4 * sizeof *d);
    long double *l = malloc(2 * sizeof *l);
    f[0] = 1, d[0] = 1, d[1] = 2, l[0] = 3;
    of_float(f), of_double(d), of_long_double(l), converted(d);
    CHECK(sink == 2);
    of_float(f + 1);
    of_double(d + 1);
    of_long_double(l + 1);
    converted(d + 2);
    free(f), free(d), free(l);
    return SUCCESS();
}
