// Accesses of two lines, copies, string instructions, vectors, and more code than a small cache holds.
#include "start.h"

struct __attribute__((packed)) odd {
    u8 first;
    u64 second;
    u32 third;
};

static struct odd odds[700];
static u8 text[8192], copy[8192];
static u64 total;

typedef long vector __attribute__((vector_size(16), aligned(1)));

#define WORK(n)                                                                                                        \
    static __attribute__((noinline)) void work##n(u64 x) {                                                             \
        total += x * (n + 3);                                                                                          \
        if (x & n)                                                                                                     \
            total ^= x >> (n % 7 + 1);                                                                                 \
        *(volatile u64 *)(text + (x * 13 + n * 61) % 8000) += total;                                                   \
        *(volatile u32 *)(text + (x * 7 + n * 59) % 8000) = x;                                                         \
    }
WORK(0) WORK(1) WORK(2) WORK(3) WORK(4) WORK(5) WORK(6) WORK(7) WORK(8) WORK(9) WORK(10) WORK(11) WORK(12) WORK(13)
WORK(14) WORK(15) WORK(16) WORK(17) WORK(18) WORK(19) WORK(20) WORK(21) WORK(22) WORK(23)

static void all(u64 x) {
    work0(x), work1(x), work2(x), work3(x), work4(x), work5(x), work6(x), work7(x), work8(x), work9(x), work10(x);
    work11(x), work12(x), work13(x), work14(x), work15(x), work16(x), work17(x), work18(x), work19(x), work20(x);
    work21(x), work22(x), work23(x);
}

void run(void) {
    for (int i = 0; i < 700; i++) {
        odds[i].second = below(1000);
        odds[i].third += odds[i].second;
        odds[i].first = i;
    }
    for (u64 i = 0; i < 300; i++)
        all(i);
    for (int i = 0; i < 8192 - 24; i += 24)
        *(vector *)(copy + i) = *(vector *)(text + i + 5) + *(vector *)(copy + i);
    for (u64 i = 0; i < 20; i++) {
        void *from = text + below(4000), *to = copy + below(4000);
        u64 count = below(200);
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        count = below(60);
        to = copy + below(4000);
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(i) : "memory");
        __asm__ volatile("lock addq %1, %0" : "+m"(total) : "r"(i));
        __asm__ volatile("btsq %1, %0" : "+m"(total) : "r"(i));
    }
}
