// build: cc -O2 -pthread
// build musl: musl-gcc -O2 -static
// timeout: 120
// Ten thousand threads that live for a moment, one after the other and in groups.
#include "../guest.h"
#include <pthread.h>

static __thread int own;
static int total;

static void *body(void *argument) {
    CHECK(own == 0);
    own = 1;
    void *p = malloc(100);
    memset(p, 1, 100);
    free(p);
    __atomic_fetch_add(&total, (int)(long)argument, __ATOMIC_RELAXED);
    return argument;
}

int main(void) {
    for (long i = 0; i < 10000; i += 20) {
        pthread_t threads[20];
        for (long k = 0; k < 20; k++) CHECK(pthread_create(&threads[k], NULL, body, (void *)(i + k)) == 0);
        for (long k = 0; k < 20; k++) {
            void *result;
            CHECK(pthread_join(threads[k], &result) == 0 && result == (void *)(i + k));
        }
    }
    printf("%d\n", total);
    return SUCCESS();
}
