// build: cc -g -O2 -pthread
// build clang: clang -g -O2 -pthread
// timeout: 120
// Eight threads hand each other freshly allocated, initialised nodes through exchanged slots and a stack without locks; who
// takes a node branches on all of its fields and frees it. All are defined when they are published, however the threads
// race. Of one node a field is not, and whoever takes it tells so. An argument is the number of operations of all threads.
#include "../guest.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { THREADS = 8, SLOTS = 16, FEW = 80000, PARTS = 5 };
struct node {
    struct node *next;
    uint64_t key;
    uint32_t sum, number;
    unsigned char kind, parts[PARTS];
    void *own;
};
static _Atomic(struct node *) slots[SLOTS], stack;
static _Atomic long taken, published, wrong;
static volatile long sink;
static long operations;

static struct node *new_node(uint64_t key, uint32_t number) {
    struct node *node = malloc(sizeof *node + (key & 63));
    node->next = NULL;
    node->key = key;
    node->number = number;
    node->kind = (unsigned char)(key >> 8) & 3;
    node->sum = (uint32_t)key + number + node->kind;
    for (int i = 0; i < PARTS; i++) node->sum += node->parts[i] = (unsigned char)(key >> 8 * i);
    node->own = node;
    return node;
}

static void __attribute__((noinline)) take(struct node *node) {
    uint32_t sum = (uint32_t)node->key + node->number + node->kind;
    for (int i = 0; i < PARTS; i++) {
        if (node->parts[i] > 200) sink = sum;
        sum += node->parts[i];
    }
    switch (node->kind) {
    case 0: sink = 1; break;
    case 1: sink = sum; break;
    default: sink = node->number;
    }
    if (sum != node->sum || node->own != node) wrong++;
    free(node);
}

static void push(struct node *node) {
    struct node *first = atomic_load(&stack);
    do node->next = first;
    while (!atomic_compare_exchange_weak(&stack, &first, node));
}

// All at once: who takes single nodes from such a stack would meet one that was freed meanwhile.
static long pop_all(void) {
    long count = 0;
    struct node *node = atomic_exchange(&stack, NULL);
    while (node) {
        struct node *next = node->next;
        take(node);
        node = next;
        count++;
    }
    return count;
}

static void *work(void *argument) {
    uint64_t x = 88172645463325252u + (uintptr_t)argument * 7919;
    long count = 0, made = 0, all = operations / THREADS;
    for (long i = 0; i < all; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        struct node *node = new_node(x, (uint32_t)i);
        made++;
        if (x & 1) {
            push(node);
        } else if ((node = atomic_exchange(&slots[x >> 20 & (SLOTS - 1)], node))) {
            take(node);
            count++;
        }
        if (!(x >> 8 & 3)) count += pop_all();
    }
    taken += count;
    published += made;
    return NULL;
}

static void __attribute__((noinline)) look(const struct node *node) {
    if (node->kind == 1) sink++; //~ UninitCondition 0
    if (node->number == 5) sink++;
}

// The one that nobody completes goes the same way.
static void *publish_incomplete(void *unused) {
    struct node *node = malloc(sizeof *node);
    node->number = 5;
    atomic_store(&slots[0], node);
    return unused;
}

int main(int argc, char **argv) {
    operations = argc > 1 ? atol(argv[1]) : FEW;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    long rest = pop_all();
    for (int i = 0; i < SLOTS; i++) {
        struct node *node = atomic_exchange(&slots[i], NULL);
        if (node) take(node), rest++;
    }
    CHECK(wrong == 0);
    CHECK(taken + rest == published && published == operations / THREADS * THREADS);
    CHECK(pthread_create(&threads[0], NULL, publish_incomplete, NULL) == 0);
    struct node *node;
    while (!(node = atomic_exchange(&slots[0], NULL))) sched_yield();
    look(node);
    free(node);
    CHECK(pthread_join(threads[0], NULL) == 0);
    return SUCCESS();
}
