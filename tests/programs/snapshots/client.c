// build: cc -g -O0
// Leak checks that the program asks for itself, with a different heap each time.
#include "../guest.h"
#include "../client_requests.h"

static void *kept[8];
static void *interior;

static void __attribute__((noinline)) first(void) {
    kept[0] = malloc(100);
    kept[1] = calloc(1, 200);
    *(void **)kept[1] = malloc(30);
    interior = (char *)malloc(50) + 1;
    kept[2] = malloc(7);
    kept[2] = malloc(8);
}

static void __attribute__((noinline)) second(void) {
    free(kept[0]);
    kept[0] = NULL;
    kept[1] = NULL;
    kept[3] = malloc(64);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS((char *)kept[3] + 16), 24, 0, 0);
}

static void __attribute__((noinline)) third(void) {
    REQUEST(0, FREELIKE_BLOCK, ADDRESS((char *)kept[3] + 16), 0);
    interior = (char *)interior - 1;
}

static void __attribute__((noinline)) check(unsigned long how, unsigned long delta) {
    scrub();
    // What an allocator left in registers would be a root, and each has its own.
    __asm__ volatile("xorl %%ecx, %%ecx; xorl %%esi, %%esi; xorl %%edi, %%edi; xorl %%r8d, %%r8d\n\t"
                     "xorl %%r9d, %%r9d; xorl %%r10d, %%r10d; xorl %%r11d, %%r11d"
                     : : : "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
    REQUEST(0, DO_LEAK_CHECK, how, delta);
}

int main(void) {
    first();
    check(0, 0);
    second();
    check(0, 1);
    third();
    check(1, 0);
    free(kept[2]);
    free(kept[3]);
    return SUCCESS();
}
