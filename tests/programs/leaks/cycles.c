// build: cc -g -O0
// Cycles that nothing points at: one block of each is the leader, the others are lost with it.
#include "../guest.h"

struct node {
    struct node *next;
    char pad[24];
};

static void __attribute__((noinline)) ring(int count) {
    struct node *volatile first = NULL, *volatile last = NULL;
    for (int i = 0; i < count; i++) {
        struct node *node = calloc(1, sizeof *node); //~ definite 32 1 //~ definite 32+64 1 //~ indirect 64 2
        if (last) last->next = node;
        else first = node;
        last = node;
    }
    last->next = first;
    first = last = NULL;
}

int main(void) {
    ring(1);
    ring(3);
    scrub();
    return SUCCESS();
}
