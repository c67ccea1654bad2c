// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Parts of registers: what is moved into one byte or two is as defined as what it was, and the others stay what they were.
#include "../guest.h"
#include <stdint.h>

static volatile int sink;
static volatile uint64_t set = 0x1122334455667788;

// Moves from a register into a part of one, each as an instruction of its own.
#define MOVE(name, instruction)                                                              \
    static uint64_t __attribute__((noinline)) name(const uint64_t *to, const volatile uint64_t *from) { \
        uint64_t result = *to;                                                               \
        asm("mov %1, %%rcx\n\tmov %0, %%rdx\n\t" instruction "\n\tmov %%rdx, %0"             \
            : "+r"(result)                                                                   \
            : "r"(*from)                                                                     \
            : "rcx", "rdx");                                                                 \
        return result;                                                                       \
    }
MOVE(low, "mov %%cl, %%dl")
MOVE(high, "mov %%cl, %%dh")
MOVE(from_high, "mov %%ch, %%dl")
MOVE(word, "mov %%cx, %%dx")

static void __attribute__((noinline)) rest(uint64_t value) {
    if (value >> 16 == 7) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) second(uint64_t value) {
    if ((value >> 8 & 0xff) == 7) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) first(uint64_t value) {
    if ((value & 0xff) == 7) sink++; //~ UninitCondition 0
}
static int is(uint64_t value, int shift, uint64_t mask, uint64_t wanted) {
    return (value >> shift & mask) == wanted;
}

int main(void) {
    uint64_t *fresh = malloc(sizeof *fresh);
    // Bytes that are set make the part defined, and only that.
    CHECK(is(low(fresh, &set), 0, 0xff, 0x88));
    CHECK(is(from_high(fresh, &set), 0, 0xff, 0x77));
    CHECK(is(high(fresh, &set), 8, 0xff, 0x88));
    CHECK(is(word(fresh, &set), 0, 0xffff, 0x7788));
    rest(word(fresh, &set));
    second(low(fresh, &set));
    first(high(fresh, &set));
    // Bytes that are not make only the part undefined.
    uint64_t all = set;
    CHECK(is(low(&all, fresh), 8, 0xffffffffffffff, 0x11223344556677));
    CHECK(is(word(&all, fresh), 16, 0xffffffffffff, 0x112233445566));
    CHECK(is(high(&all, fresh), 0, 0xff, 0x88));
    CHECK(is(high(&all, fresh), 16, 0xffffffffffff, 0x112233445566));
    first(low(&all, fresh));
    second(high(&all, fresh));
    first(from_high(&all, fresh));
    // Both: what is above stays undefined.
    rest(low(fresh, fresh));
    rest(word(fresh, fresh));
    free(fresh);
    return SUCCESS();
}
