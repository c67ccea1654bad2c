// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O2 -fno-builtin
// A linked list is freed in a loop that takes the next node from the one that it has just freed.
#include "../guest.h"

struct node {
    long value;
    struct node *volatile next;
};

static void __attribute__((noinline)) push(struct node **list, long value) {
    struct node *node = malloc(sizeof *node);
    node->value = value;
    node->next = *list;
    *list = node;
}

int main(void) {
    struct node *list = NULL;
    for (long i = 0; i < 20; i++) push(&list, i);
    long sum = 0;
    for (struct node *node = list; node; node = node->next) sum += node->value;
    CHECK(sum == 190);
    struct node *node = list;
    while (node) {
        free(node);
        node = node->next; //~ InvalidRead 8
    }
    return SUCCESS();
}
