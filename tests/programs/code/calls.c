// build: cc -O2
// build O0: cc -O0
// build retpoline: cc -O2 -mindirect-branch=thunk -mfunction-return=thunk
// build cet: cc -O2 -fcf-protection=full
// build notailcalls: cc -O2 -fno-optimize-sibling-calls -fno-omit-frame-pointer
// build clang: clang -O2
// Calls and jumps of all densities: recursion, pointers with 1, 2, 8 and 1000 targets, switches, computed goto.
#include "../guest.h"

static long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static int even(unsigned n);
static int odd(unsigned n) { return n == 0 ? 0 : even(n - 1); }
static int even(unsigned n) { return n == 0 ? 1 : odd(n - 1); }

#define F1(n) static __attribute__((noinline)) long f##n(long x) { return x * 3 + n; }
#define F10(n) F1(n##0) F1(n##1) F1(n##2) F1(n##3) F1(n##4) F1(n##5) F1(n##6) F1(n##7) F1(n##8) F1(n##9)
#define F100(n) F10(n##0) F10(n##1) F10(n##2) F10(n##3) F10(n##4) F10(n##5) F10(n##6) F10(n##7) F10(n##8) F10(n##9)
F100(1) F100(2) F100(3) F100(4) F100(5) F100(6) F100(7) F100(8) F100(9) F100(10)
#define N10(n) f##n##0, f##n##1, f##n##2, f##n##3, f##n##4, f##n##5, f##n##6, f##n##7, f##n##8, f##n##9
#define N100(n) N10(n##0), N10(n##1), N10(n##2), N10(n##3), N10(n##4), N10(n##5), N10(n##6), N10(n##7), N10(n##8), N10(n##9)
static long (*const volatile functions[1000])(long) = {N100(1), N100(2), N100(3), N100(4), N100(5),
                                                       N100(6), N100(7), N100(8), N100(9), N100(10)};

static long switches(unsigned seed) {
    long sum = 0;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525 + 1013904223;
        switch (seed >> 27) {
        case 0: sum += 1; break;
        case 1: sum -= 2; break;
        case 2: sum ^= 3; break;
        case 3: sum += seed & 7; break;
        case 4: sum *= 3; break;
        case 5: sum -= i; break;
        case 6: sum = ~sum; break;
        case 7: sum >>= 1; break;
        case 8: sum += 17; break;
        case 12: sum ^= i; break;
        case 20: sum += sum & 15; break;
        default: sum++;
        }
    }
    return sum;
}

static long interpret(const unsigned char *program, long rounds) {
    static void *const labels[] = {&&add, &&sub, &&mul, &&next, &&end};
    const unsigned char *p = program;
    long acc = 1;
    goto *labels[*p++];
add: acc += 5; goto *labels[*p++];
sub: acc -= 3; goto *labels[*p++];
mul: acc = (acc * 7) & 0xffffff; goto *labels[*p++];
next:
    if (--rounds) p = program;
    goto *labels[*p++];
end: return acc;
}

int main(void) {
    printf("%ld %d\n", fib(25), even(10001) * 2 + odd(777));
    for (int targets = 1; targets <= 1000; targets = targets == 1 ? 2 : targets == 2 ? 8 : targets == 8 ? 1000 : 2000) {
        long sum = 0;
        unsigned seed = 1;
        for (int i = 0; i < 100000; i++) {
            seed = seed * 1664525 + 1013904223;
            sum = functions[(seed >> 10) % (unsigned)targets](sum) & 0xffffffff;
        }
        printf("%d targets: %ld\n", targets, sum);
    }
    printf("%ld\n", switches(42));
    static const unsigned char program[] = {0, 2, 1, 2, 0, 0, 1, 3, 4};
    printf("%ld\n", interpret(program, 20000));
    return SUCCESS();
}
