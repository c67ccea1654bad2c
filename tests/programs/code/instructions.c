// build: cc -O2
// needs: sse4_2
// Scalar instructions with corner cases: results and flags are folded into a number that must be equal.
#include "../guest.h"
#include <stdint.h>

static uint64_t hash = 14695981039346656037u;
static void fold(uint64_t value) { hash = (hash ^ value) * 1099511628211u; }

static const uint64_t values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                  0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0x123456789abcdef};
enum { COUNT = sizeof values / sizeof *values };

#define BINARY(op, mask)                                                                                     \
    for (int i = 0; i < COUNT; i++)                                                                          \
        for (int k = 0; k < COUNT; k++) {                                                                    \
            uint64_t a = values[i], b = values[k], flags;                                                    \
            __asm__ volatile("stc\n\t" op "\n\tpushfq\n\tpop %1" : "+a"(a), "=&r"(flags), "+b"(b) : "c"(k * 5) : "cc", "memory"); \
            fold(a);                                                                                         \
            fold(b);                                                                                         \
            fold(flags & (mask));                                                                            \
        }
enum { ALL = 0x8d5, NO_AF = 0x8c5, CF_ZF = 0x41 };

int main(void) {
    BINARY("add %%rbx, %%rax", ALL)
    BINARY("adcl %%ebx, %%eax", ALL)
    BINARY("sbbw %%bx, %%ax", ALL)
    BINARY("sub %%bl, %%ah", ALL)
    BINARY("and %%bh, %%al", NO_AF)
    BINARY("xor %%ebx, %%eax", NO_AF)
    BINARY("cmp %%rbx, %%rax", ALL)
    BINARY("test %%bx, %%ax", NO_AF)
    BINARY("incw %%ax", ALL)
    BINARY("decb %%ah", ALL)
    BINARY("neg %%rax", ALL)
    BINARY("imul %%rbx, %%rax", 0x801)
    BINARY("imul $-77, %%ebx, %%eax", 0x801)
    BINARY("xadd %%rbx, %%rax", ALL)
    BINARY("cmpxchg %%rbx, %%rbx", ALL)
    BINARY("bt %%rbx, %%rax", 1)
    BINARY("btc %%ebx, %%eax", 1)
    BINARY("bts $17, %%rax", 1)
    BINARY("cmovbe %%rbx, %%rax", 0)
    BINARY("cmovb %%ebx, %%eax", 0)
    BINARY("setnle %%al", 0)
    BINARY("bswap %%rax", 0)
    BINARY("movsbl %%bl, %%eax", 0)
    BINARY("movzwl %%bx, %%eax", 0)
    BINARY("movslq %%ebx, %%rax", 0)
    BINARY("xchg %%ah, %%bl", 0)
    BINARY("shl %%cl, %%rax", 0)
    BINARY("sarl %%cl, %%eax", 0)
    BINARY("rorw %%cl, %%ax", 0)
    BINARY("rcl $5, %%rax", 1)
    BINARY("rcrb $3, %%al", 1)
    BINARY("shld %%cl, %%rbx, %%rax", 0)
    BINARY("shrd $13, %%ebx, %%eax", 1)
    BINARY("cbtw; cwtl; cltq", 0)
    BINARY("lea 7(%%rax,%%rbx,8), %%eax", 0)
    BINARY("lea -3(%%ebx,%%eax,2), %%rax", 0)
    BINARY("lahf", 0)
    BINARY("cmc; adc $0, %%rax", ALL)
    BINARY("push %%rax; pushw %%bx; popw %%ax; pop %%rbx", 0)
    BINARY("crc32q %%rbx, %%rax", 0)
    BINARY("popcnt %%rbx, %%rax", CF_ZF)
    BINARY("movnti %%rax, -256(%%rsp); mfence; mov -256(%%rsp), %%ebx", 0)
    for (int i = 0; i < COUNT; i++) {
        uint64_t a = values[i], high = 0;
        unsigned char zero;
        __asm__ volatile("bsf %1, %0\n\tsetz %2" : "+r"(high), "+r"(a), "=q"(zero)::"cc");
        fold(zero ? 0 : high);
        __asm__ volatile("mul %2" : "+a"(a), "=&d"(high) : "r"(values[(i * 7) % COUNT]) : "cc");
        fold(a);
        fold(high);
        if (values[i] > 1) {
            a = 0xfedcba9876543210, high = 1;
            __asm__ volatile("div %2" : "+a"(a), "+d"(high) : "r"(values[i]) : "cc");
            fold(a + high);
        }
        uint64_t mem[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        __asm__ volatile("btsq %1, %0" : "+m"(mem) : "r"((int64_t)(i * 23)) : "cc", "memory");
        for (int k = 0; k < 8; k++) fold(mem[k]);
        unsigned char text[256];
        for (int k = 0; k < 256; k++) text[k] = (unsigned char)(255 - k);
        uint64_t index = values[i];
        __asm__ volatile("xlatb" : "+a"(index) : "b"(text) : "memory");
        fold(index);
    }
    printf("%016lx\n", (unsigned long)hash);
    return SUCCESS();
}
