// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: tagged values in a union, numbers packed into the payload of a NaN, and the bits of a float.
#include "../guest.h"
#include <stdint.h>

union bits {
    double number;
    uint64_t word;
    struct { uint32_t low, high; } half;
};
struct value {
    enum { NONE, INT, REAL, TEXT } kind;
    union {
        int i;
        double d;
        char text[12];
    };
};

static union bits *__attribute__((noinline)) box(uint32_t payload) {
    union bits *b = malloc(sizeof *b);
    b->half.high = 0x7ff80000;
    b->half.low = payload;
    return b;
}
static double __attribute__((noinline)) total(const struct value *list, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        switch (list[i].kind) {
        case INT: sum += list[i].i; break;
        case REAL: sum += list[i].d; break;
        case TEXT: sum += atoi(list[i].text); break;
        case NONE: break;
        }
    }
    return sum;
}

int main(void) {
    union bits *b = box(1234);
    CHECK(b->number != b->number && (b->word & 0xffffffff) == 1234);
    b->number = -0.0;
    CHECK(b->word == 1UL << 63);
    free(b);
    struct value *list = malloc(4 * sizeof *list);
    list[0].kind = INT, list[0].i = 3;
    list[1].kind = NONE;
    list[2].kind = TEXT, strcpy(list[2].text, "40");
    list[3].kind = REAL, list[3].d = 0.5;
    CHECK(total(list, 4) == 43.5);
    free(list);
    return SUCCESS();
}
