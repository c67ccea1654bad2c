// build: cc -g -O1 -fno-plt -pthread
// Two threads with a function of their own each and one that both call.
#include "../guest.h"
#include <pthread.h>

#define SEPARATE __attribute__((noinline, noclone))

SEPARATE static unsigned shared(unsigned value) {
    return value % 3 == 0 ? value / 3 : value + 7;
}

SEPARATE static unsigned counts_up(unsigned value) {
    for (unsigned i = 0; i < 20000; i++) value += shared(i) ^ i;
    return value;
}

SEPARATE static unsigned counts_down(unsigned value) {
    for (unsigned i = 30000; i != 0; i--) value = value * 3 + shared(value);
    return value;
}

static void *first(void *value) {
    *(unsigned *)value = counts_up(1);
    return value;
}

static void *second(void *value) {
    *(unsigned *)value = counts_down(2);
    return value;
}

int main(void) {
    unsigned results[2] = {0, 0};
    pthread_t threads[2];
    CHECK(pthread_create(&threads[0], NULL, first, &results[0]) == 0);
    CHECK(pthread_create(&threads[1], NULL, second, &results[1]) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(results[0] != 0 && results[1] != 0);
    return SUCCESS();
}
