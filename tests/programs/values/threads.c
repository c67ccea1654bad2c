// build: cc -g -O2 -pthread
// build O0: cc -g -O0 -pthread
// timeout: 120
// Nodes that one thread fills and another one reads are defined; the one field that nobody sets is not.
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { SLOTS = 64, ROUNDS = 20000 };
struct node {
    long value;
    int unset;
    char text[20];
};
static _Atomic(struct node *) slots[SLOTS];
static volatile long sink;
static volatile sig_atomic_t signals;

static void *producer(void *argument) {
    for (long i = 0; i < ROUNDS; i++) {
        struct node *node = malloc(sizeof *node);
        node->value = i;
        snprintf(node->text, sizeof node->text, "%ld", i);
        free(atomic_exchange(&slots[i % SLOTS], node));
    }
    return argument;
}
static void *consumer(void *argument) {
    for (long i = 0; i < ROUNDS; i++) {
        struct node *node = atomic_exchange(&slots[i % SLOTS], NULL);
        if (!node) continue;
        CHECK(atol(node->text) == node->value);
        free(node);
    }
    return argument;
}
static void handler(int signal) {
    (void)signal;
    long *p = malloc(16);
    p[0] = 1;
    if (p[0] == 1) signals++;
    free(p);
}
static void __attribute__((noinline)) look(struct node *node) {
    if (node->unset) sink++; //~ UninitCondition 0
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, i & 1 ? consumer : producer, NULL) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    struct node *last = malloc(sizeof *last);
    last->value = 1;
    CHECK(raise(SIGUSR1) == 0 && signals == 1);
    look(last);
    free(last);
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    return SUCCESS();
}
