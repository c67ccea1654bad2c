// Threads that compute and allocate, each the same amount of work, nothing shared.
//
// usage: threads THREADS ROUNDS
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 64, LIVE = 64 };

static long rounds;

static void *work(void *argument) {
    uint64_t x = 88172645463325252u + (uintptr_t)argument, sum = 0;
    void *live[LIVE] = {0};
    for (long i = 0; i < rounds; i++) {
        for (int k = 0; k < 500; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            sum += x;
        }
        uint64_t *block = malloc(16 + (x & 255));
        if (!block)
            abort();
        *block = x;
        free(live[i % LIVE]);
        live[i % LIVE] = block;
    }
    for (int i = 0; i < LIVE; i++)
        free(live[i]);
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1;
    rounds = argc > 2 ? atol(argv[2]) : 1;
    pthread_t threads[MOST];
    uint64_t sum = 0;
    if (count < 1 || count > MOST)
        return 2;
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0)
            return 1;
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (uintptr_t)result;
    }
    printf("%llx\n", (unsigned long long)sum);
    return 0;
}
