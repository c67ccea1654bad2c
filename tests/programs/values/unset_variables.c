// build: cc -g -O0 -w
// build clang: clang -g -O0 -w
// peer: does not say which variable a value was read from
// peer clang: does not say which variable a value was read from
// Undefined values are told with the variable that they were read from: `//= NAME`.
#include "../guest.h"

struct record {
    int number;
    char name[8];
    struct { short low, high; } pair;
};

static int __attribute__((noinline)) is_positive(const int *p) {
    if (*p > 0) return 1; //~ UninitCondition 0 //= list[2]
    return 0;
}
static int __attribute__((noinline)) by_value(int given) {
    if (given == 3) return 1; //~ UninitCondition 0 //= given
    return 0;
}
static int __attribute__((noinline)) outer(int depth) {
    int local, result = 0;
    if (depth > 0) return outer(depth - 1);
    if (local == 5) result = 1; //~ UninitCondition 0 //= local
    return result;
}

int main(void) {
    struct record record;
    int list[4], number;
    char text[16];
    static const char letters[4] = "abc";
    int count = 0;
    record.number = 1;
    if (record.name[1] == 'c') count++; //~ UninitCondition 0 //= record.name[1]
    if (record.pair.high) count++; //~ UninitCondition 0 //= record.pair.high
    count += is_positive(&list[2]);
    count += by_value(number);
    count += outer(3);
    count += (int)strlen(text) > 3; //~ UninitCondition 0 //= text[0]
    count += letters[number & 3]; //~ UninitValue 8 //= number
    __asm__ volatile("" : : "r"(&count) : "memory");
    return SUCCESS();
}
