// build: cc -g -O0
// build fast: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// peer fast: names the line of the call of a function without a frame
// peer clang: names the line of the call of a function without a frame
// Uses of freed blocks: directly, through realloc, in a list, from another function and another thread.
#include "../guest.h"
#include <pthread.h>

struct node {
    struct node *next;
    int value;
};

static volatile int sink;

static __attribute__((noinline)) void drop(void *block) { free(block); }

static __attribute__((noinline)) int value_of(struct node *node) {
    return *(volatile int *)&node->value; //~ InvalidRead 4
}

static void *reader(void *block) {
    sink = *(volatile int *)block; //~ InvalidRead 4
    return NULL;
}

int main(void) {
    volatile int *one = malloc(16);
    one[0] = 1;
    drop((void *)one);
    sink = one[0]; //~ InvalidRead 4
    one[3] = 2; //~ InvalidWrite 4

    volatile long *old = malloc(32);
    old[0] = 1;
    long *moved = realloc((void *)old, 64);
    sink = old[0]; //~ InvalidRead 8
    sink = moved[0];
    free(moved);

    struct node *list = NULL;
    for (int i = 0; i < 3; i++) {
        struct node *node = malloc(sizeof *node);
        node->next = list;
        node->value = i;
        list = node;
    }
    for (struct node *node = list; node != NULL;
         node = *(struct node *volatile *)&node->next) { //~ InvalidRead 8
        drop(node);
    }
    sink = value_of(list);

    int *shared = calloc(4, sizeof *shared);
    free(shared);
    pthread_t thread;
    if (pthread_create(&thread, NULL, reader, shared) == 0) {
        pthread_join(thread, NULL);
    }
    puts("EXIT-SUCCESS");
    return 0;
}
