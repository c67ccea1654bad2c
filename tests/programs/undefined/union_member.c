// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// A union is set through its smaller member and read through its larger one.
#include "../guest.h"

union value {
    char letter;
    short half[2];
    long number;
};
static volatile int sink;

static void __attribute__((noinline)) positive(union value *value) {
    if (value->number > 0) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) upper(union value *value) {
    if (value->half[1] == 3) sink++; //~ UninitCondition 0
}

int main(void) {
    union value *value = malloc(sizeof *value);
    value->letter = 'x';
    CHECK(value->letter == 'x');
    positive(value);
    value->half[0] = 2;
    CHECK(value->half[0] == 2);
    upper(value);
    value->number = 1L << 40;
    positive(value);
    CHECK(value->half[0] == 0);
    free(value);
    return SUCCESS();
}
