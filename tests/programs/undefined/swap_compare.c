// build: cc -g -O0
// A lock whose word was never set is taken by compare-and-swap.
#include "../guest.h"
#include <stdatomic.h>

static volatile int sink;
struct lock {
    atomic_int word, owner;
};

static int __attribute__((noinline)) try_lock(struct lock *lock) {
    int free_value = 0;
    int taken = atomic_compare_exchange_strong(&lock->word, &free_value, 1); //~ UninitCondition 0
    sink++;
    return taken;
}

int main(void) {
    struct lock *locks = malloc(2 * sizeof *locks);
    atomic_init(&locks[0].word, 0);
    CHECK(try_lock(&locks[0]) && !try_lock(&locks[0]));
    try_lock(&locks[1]);
    free(locks);
    return SUCCESS();
}
