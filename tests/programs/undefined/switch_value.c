// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A switch on a field that was never set: by a table of jumps, and by comparisons.
#include "../guest.h"

static volatile int sink;

static void __attribute__((noinline)) sparse(const int *value) {
    switch (*value) { //~ UninitCondition 0
    case 1000: sink = sink + 1; break;
    case -7: sink = sink * 2; break;
    default: sink = 3;
    }
}

static int __attribute__((noinline)) defined(const int *value) {
    switch (*value) {
    case 0: return sink;
    case 1: return sink + 2;
    case 2: return sink * 3;
    case 3: return sink - 4;
    case 4: return sink ^ 5;
    case 5: return sink / 6;
    default: return 0;
    }
}

int main(void) {
    int *values = malloc(4 * sizeof *values);
    values[0] = 3;
    sink = defined(values);
    sparse(values);
    sparse(values + 1);
    free(values);
    return SUCCESS();
}
