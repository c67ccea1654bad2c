// build: cc -O2
// String instructions: sizes, directions, counts of zero, overlaps, 32-bit addresses, comparisons that stop early.
#define _GNU_SOURCE
#include "../guest.h"
#include <stdint.h>
#include <sys/mman.h>

static unsigned char a[4096], b[4096];
static void fill(void) {
    for (int i = 0; i < 4096; i++) a[i] = (unsigned char)(i * 7 + i / 256), b[i] = 0;
}

int main(void) {
    for (long count = 0; count < 300; count += count < 20 ? 1 : 37) {
        fill();
        void *to = b + 5, *from = a + 3;
        long n = count;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
        CHECK(n == 0 && to == b + 5 + count && from == a + 3 + count && memcmp(a + 3, b + 5, (size_t)count) == 0);
        CHECK(b[5 + count] == 0 && b[4] == 0);
        to = b + 7, from = a + 1, n = count;
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n)::"memory");
        CHECK(n == 0 && memcmp(a + 1, b + 7, (size_t)count * 8) == 0);
        to = b, n = count;
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(0x11223344) : "memory");
        CHECK(to == b + count * 4 && n == 0 && (count == 0 || b[0] == 0x44));
        // Backwards and overlapping by one: a fill with the last byte.
        fill();
        to = a + 1000, from = a + 1001, n = count;
        __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(n)::"memory", "cc");
        for (long i = 0; i < count; i++) CHECK(a[1000 - i] == a[1001]);
        fill();
        to = a + 1001, from = a + 1000, n = count;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
        for (long i = 0; i < count; i++) CHECK(a[1001 + i] == a[1000]);
    }
    fill();
    memcpy(b, a, 4096);
    for (int different = 0; different < 200; different += 13) {
        b[different] ^= 1;
        void *x = a, *y = b;
        long n = 200;
        unsigned char equal;
        __asm__ volatile("repe cmpsb\n\tsete %3" : "+S"(x), "+D"(y), "+c"(n), "=q"(equal)::"cc");
        CHECK(!equal && x == a + different + 1 && n == 200 - different - 1);
        b[different] ^= 1;
        memset(b + 3000, 'x', 300);
        b[3000 + different] = 'y';
        void *p = b + 3000;
        n = 300;
        __asm__ volatile("repne scasb\n\tsete %2" : "+D"(p), "+c"(n), "=q"(equal) : "a"('y') : "cc");
        CHECK(equal && p == b + 3001 + different && n == 299 - different);
        memcpy(b, a, 4096);
    }
    // Nothing to compare leaves the flags alone.
    long n = 0;
    void *x = a, *y = b;
    unsigned char carry, zero;
    __asm__ volatile("xor %%eax, %%eax\n\tstc\n\trepe cmpsb\n\tsetc %3\n\tsetz %4"
                     : "+S"(x), "+D"(y), "+c"(n), "=&q"(carry), "=&q"(zero)::"rax", "cc");
    CHECK(carry == 1 && zero == 1 && x == a);
    // Single ones, and lods.
    x = a + 9, y = b + 17;
    uint64_t value;
    __asm__ volatile("movsw\n\tstosb\n\tlodsq" : "+S"(x), "+D"(y), "=a"(value) : "a"(0x55UL) : "memory");
    CHECK(x == a + 19 && y == b + 20 && b[17] == a[9] && b[18] == a[10] && b[19] == 0x55 && memcmp(&value, a + 11, 8) == 0);
    // The count and the addresses in 32 bits.
    unsigned char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(low != MAP_FAILED);
    memcpy(low, a, 100);
    uint64_t destination = (uintptr_t)low + 4096, source = (uintptr_t)low, many = 0x700000064;
    __asm__ volatile("addr32 rep movsb" : "+D"(destination), "+S"(source), "+c"(many)::"memory");
    CHECK(memcmp(low + 4096, a, 100) == 0 && (uint32_t)many == 0 && destination == (uintptr_t)low + 4196);
    return SUCCESS();
}
