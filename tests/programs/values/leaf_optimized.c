// build: cc -g -O2 -w
// build O3: cc -g -O3 -w -mno-avx512f
// build clang: clang -g -O2 -w
// Optimized functions that keep what they compute below the stack pointer, also in loops and switches: no error.
#include "../guest.h"

static volatile int one = 1;

static unsigned __attribute__((noinline)) mix(const unsigned *in, int rounds) {
    unsigned state[16];
    for (int i = 0; i < 16; i++) state[i] = in[i];
    for (int n = 0; n < rounds; n++) {
        for (int i = 0; i < 16; i++) state[i] = (state[i] << 5 | state[i] >> 27) + state[(i + 7) & 15];
        unsigned at = state[n & 15] & 15;
        state[at] ^= state[15 - at];
    }
    unsigned sum = 0;
    for (int i = 0; i < 16; i++) sum ^= state[i];
    return sum;
}
static int __attribute__((noinline)) machine(const char *program, int n) {
    volatile int stack[8];
    int top = 0;
    for (int i = 0; i < n; i++) {
        switch (program[i]) {
        case 'a': stack[top++] = 1; break;
        case 'b': stack[top++] = 2; break;
        case 'c': stack[top++] = 3; break;
        case '+': top--; stack[top - 1] = stack[top - 1] + stack[top]; break;
        case '*': top--; stack[top - 1] = stack[top - 1] * stack[top]; break;
        case '-': top--; stack[top - 1] = stack[top - 1] - stack[top]; break;
        case 'd': stack[top] = stack[top - 1]; top++; break;
        default: return -1;
        }
    }
    return stack[0];
}
static double __attribute__((noinline)) polynomial(const double *c, int n, double x) {
    volatile double powers[12];
    powers[0] = 1;
    for (int i = 1; i < n; i++) powers[i] = powers[i - 1] * x;
    double sum = 0;
    for (int i = 0; i < n; i++) sum += c[i] * powers[i];
    return sum;
}
static int (*volatile indirect)(const char *, int) = machine;

int main(void) {
    unsigned in[16];
    for (int i = 0; i < 16; i++) in[i] = i * 2654435761u;
    unsigned first = mix(in, 100);
    CHECK(mix(in, 100) == first);
    for (int i = 0; i < 3; i++) {
        CHECK(machine("abc*+", 5) == 7);
        CHECK(indirect("abdc*+-", 7) == -7);
        CHECK(machine("x", 1) == -1);
    }
    double c[12];
    for (int i = 0; i < 12; i++) c[i] = i;
    CHECK(polynomial(c, 12, 1.0) == 66);
    return one ? SUCCESS() : 1;
}
