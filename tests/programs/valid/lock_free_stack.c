// build: cc -g -O0 -pthread -mcx16
// build O2: cc -g -O2 -pthread -mcx16
// build clang: clang -g -O2 -pthread -mcx16
// Valid: a stack without locks for several threads, whose nodes come from the heap and are used again.
#include "../guest.h"
#include <pthread.h>
#include <stdatomic.h>

struct node {
    struct node *next;
    long value;
};
static _Atomic(struct node *) top;
static atomic_long sum;

static void push(struct node *node) {
    struct node *old = atomic_load(&top);
    do node->next = old;
    while (!atomic_compare_exchange_weak(&top, &old, node));
}

static void *work(void *number) {
    for (long i = 0; i < 300; i++) {
        struct node *node = malloc(sizeof *node);
        node->value = i + (long)number;
        push(node);
        atomic_fetch_add(&sum, node->value);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(i * 1000)) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    long found = 0;
    for (struct node *node = top, *next; node; node = next) {
        next = node->next;
        found += node->value;
        free(node);
    }
    CHECK(found == sum && found == 3 * 44850 + 900000);
    return SUCCESS();
}
