// build: cc -O2 -pthread -mcx16
// Locked instructions from several threads: every form keeps its promise.
#include "../guest.h"
#include <pthread.h>
#include <stdint.h>

enum { THREADS = 4, ROUNDS = 100000 };
static int64_t added, compared, bytes[2], bits[64];
static struct {
    uint64_t low, high;
} pair __attribute__((aligned(16)));
static volatile char flag;
static int64_t plain;

static void *body(void *argument) {
    long self = (long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("lock addq $1, %0" : "+m"(added)::"memory", "cc");
        int64_t old = compared;
        while (!__atomic_compare_exchange_n(&compared, &old, old + 3, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        }
        int64_t one = 1;
        __asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(bytes[0])::"memory", "cc");
        __asm__ volatile("lock incb %0\n\tlock decw %1" : "+m"(*(char *)&bytes[1]), "+m"(*((short *)&bytes[1] + 2))::"memory", "cc");
        if (i % 1000 == 0) {
            long bit = self * 1000 + i / 1000;
            __asm__ volatile("lock btsq %1, %0" : "+m"(bits) : "r"(bit) : "memory", "cc");
        }
        uint64_t low = pair.low, high = pair.high;
        char done;
        do {
            __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                             : "=q"(done), "+m"(pair), "+a"(low), "+d"(high)
                             : "b"(low + 1), "c"(high + 2)
                             : "memory", "cc");
        } while (!done);
        char taken = 1;
        do __asm__ volatile("xchgb %0, %1" : "+q"(taken), "+m"(flag)::"memory");
        while (taken && (taken = 1));
        plain++;
        __atomic_store_n(&flag, 0, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    int set = 0;
    for (int i = 0; i < 64; i++) set += __builtin_popcountll((unsigned long long)bits[i]);
    printf("%ld %ld %ld %lx %d\n", (long)added, (long)compared, (long)bytes[0], (unsigned long)bytes[1], set);
    printf("%lu %lu %ld\n", (unsigned long)pair.low, (unsigned long)pair.high, (long)plain);
    CHECK(pair.low == THREADS * ROUNDS && pair.high == 2 * THREADS * ROUNDS && plain == THREADS * ROUNDS);
    return SUCCESS();
}
