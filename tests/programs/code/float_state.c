// build: cc -O2 {src} -o {out} -lm
// Control words of x87 and SSE: rounding, flush to zero, exceptions, 80-bit results, MMX, state over calls.
#include "../guest.h"
#include <fenv.h>
#include <stdint.h>
#include <unistd.h>

static uint32_t get_mxcsr(void) {
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}
static void set_mxcsr(uint32_t value) { __asm__ volatile("ldmxcsr %0" ::"m"(value)); }

int main(void) {
    static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    volatile double one = 1.0, ten = 10.0;
    volatile long double wide_one = 1.0L, wide_ten = 10.0L;
    for (int i = 0; i < 4; i++) {
        CHECK(fesetround(modes[i]) == 0);
        getpid();
        char *p = malloc(100);
        CHECK(fegetround() == modes[i]);
        double quotient = one / ten;
        long double wide = wide_one / wide_ten;
        uint64_t bits[2] = {0};
        memcpy(bits, &wide, 10);
        uint64_t plain;
        memcpy(&plain, &quotient, 8);
        printf("%016lx %04lx%016lx\n", (unsigned long)plain, (unsigned long)bits[1], (unsigned long)bits[0]);
        free(p);
    }
    fesetround(FE_TONEAREST);
    volatile float tiny = 1e-38f;
    uint32_t saved = get_mxcsr();
    set_mxcsr(saved | 0x8040);
    volatile float flushed = tiny / 16;
    CHECK(flushed == 0 && (get_mxcsr() & 0x8040) == 0x8040);
    set_mxcsr(saved & ~0x3fu);
    flushed = tiny / 16;
    CHECK(flushed != 0);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0, result = one / zero;
    CHECK(fetestexcept(FE_DIVBYZERO) && result > 1e300);
    uint16_t control = 0x27f, now; // 53 bits
    __asm__ volatile("fldcw %0" ::"m"(control));
    getpid();
    free(malloc(50));
    __asm__ volatile("fnstcw %0" : "=m"(now));
    CHECK(now == 0x27f);
    long double narrow = wide_one / wide_ten;
    uint64_t mantissa;
    memcpy(&mantissa, &narrow, 8);
    CHECK((mantissa & 0x7ff) == 0);
    control = 0x37f;
    __asm__ volatile("fldcw %0" ::"m"(control));
    // A full x87 stack over a system call.
    double values[8];
    for (int i = 0; i < 8; i++) values[i] = i * 1.25;
    for (int i = 0; i < 8; i++) __asm__ volatile("fldl %0" ::"m"(values[i]));
    long call = 39;
    __asm__ volatile("syscall" : "+a"(call)::"rcx", "r11", "memory");
    double out[8];
    for (int i = 7; i >= 0; i--) __asm__ volatile("fstpl %0" : "=m"(out[i]));
    CHECK(memcmp(values, out, sizeof out) == 0);
    uint64_t mmx;
    __asm__ volatile("movq %1, %%mm3\n\tpaddb %%mm3, %%mm3\n\tmovq %%mm3, %0\n\temms"
                     : "=m"(mmx)
                     : "m"((uint64_t){0x0102030405060708})
                     : "mm3");
    CHECK(mmx == 0x020406080a0c0e10);
    return SUCCESS();
}
