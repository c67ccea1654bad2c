// build: cc -O2 -pthread
// Passing freshly allocated messages through a queue without locks, and through a ring between two threads.
#include "../guest.h"
#include <pthread.h>
#include <sched.h>

enum { MESSAGES = 200000 };
struct message {
    struct message *next;
    long a, b;
};
static struct message *stack_top;
static long volatile ring[256];
static unsigned long head, tail;

static void *produce(void *argument) {
    for (long i = 0; i < MESSAGES; i++) {
        struct message *m = malloc(sizeof *m);
        m->a = i;
        m->b = ~i;
        m->next = __atomic_load_n(&stack_top, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&stack_top, &m->next, m, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        }
        while (__atomic_load_n(&head, __ATOMIC_ACQUIRE) + 256 == tail) sched_yield();
        ring[tail % 256] = i * 7;
        __atomic_store_n(&tail, tail + 1, __ATOMIC_RELEASE);
    }
    return argument;
}

int main(void) {
    pthread_t thread;
    long received = 0, sum = 0, expected = 0;
    CHECK(pthread_create(&thread, NULL, produce, NULL) == 0);
    while (received < MESSAGES || expected < MESSAGES) {
        struct message *m = __atomic_exchange_n(&stack_top, NULL, __ATOMIC_ACQUIRE);
        while (m) {
            CHECK(m->b == ~m->a);
            sum += m->a;
            received++;
            struct message *next = m->next;
            free(m);
            m = next;
        }
        while (head != __atomic_load_n(&tail, __ATOMIC_ACQUIRE)) {
            CHECK(ring[head % 256] == expected * 7);
            expected++;
            __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
        }
        sched_yield();
    }
    CHECK(pthread_join(thread, NULL) == 0);
    printf("%ld %ld\n", received, sum);
    return SUCCESS();
}
