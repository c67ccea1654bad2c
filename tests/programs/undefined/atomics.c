// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Atomic operations on a counter that was never set: the comparison within a compare-and-swap is a branch, too.
#include "../guest.h"
#include <stdatomic.h>

static volatile int sink;

static void __attribute__((noinline)) add(atomic_int *counter) {
    int old = atomic_fetch_add(counter, 1);
    if (old > 5) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) exchanged(atomic_int *counter) {
    int old = atomic_exchange(counter, 7);
    if (old == 3) sink++; //~ UninitCondition 0
}

int main(void) {
    atomic_int *counters = malloc(4 * sizeof *counters);
    atomic_store(&counters[0], 1);
    add(&counters[0]);
    CHECK(atomic_load(&counters[0]) == 2);
    add(&counters[1]);
    exchanged(&counters[2]);
    CHECK(atomic_load(&counters[2]) == 7);
    free(counters);
    return SUCCESS();
}
