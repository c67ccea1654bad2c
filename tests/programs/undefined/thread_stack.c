// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread
// Threads that run one after the other on a stack in a heap block: what one has left there is nothing the next has set.
#include "../guest.h"
#include <pthread.h>

static volatile int sink;

static void __attribute__((noinline)) look(const int *p) {
    if (*p == 3) sink++; //~ UninitCondition 0
}
static void *work(void *all) {
    int list[100];
    __asm__ volatile("" : : "r"(list) : "memory");
    for (int i = 0; i < (all ? 100 : 50); i++) list[i] = i;
    for (int i = 0; i < 50; i++) look(&list[i]);
    look(&list[70]);
    return NULL;
}

int main(void) {
    size_t size = 1 << 17;
    char *stack = malloc(size);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, size) == 0);
    for (long all = 1; all >= 0; all--) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, work, (void *)all) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(sink >= 2);
    free(stack);
    return SUCCESS();
}
