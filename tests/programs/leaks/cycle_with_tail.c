// build: cc -g -O0
// A cycle on which a pay-load hangs: whichever block of the cycle leads, everything else is lost with it. A cycle
// that a reachable block points at is reachable.
#include "../guest.h"

struct node {
    struct node *next;
    void *load;
};

static struct node *make(void *load) {
    struct node *node = calloc(1, sizeof *node); //~ definite 16+66 1 //~ indirect 16 1 //~ reachable 16 1 //~ reachable 16 1
    node->load = load;
    return node;
}

static void **root;

static void __attribute__((noinline)) lost(void) {
    struct node *volatile nodes[2];
    void *volatile load = calloc(1, 50); //~ indirect 50 1
    for (int i = 0; i < 2; i++) nodes[i] = make(i ? load : NULL);
    nodes[0]->next = nodes[1];
    nodes[1]->next = nodes[0];
    nodes[0] = nodes[1] = load = NULL;
}

static void __attribute__((noinline)) kept(void) {
    root = calloc(1, 24); //~ reachable 24 1
    struct node *volatile a = make(calloc(1, 70)); //~ reachable 70 1
    struct node *volatile b = make(NULL);
    a->next = b;
    b->next = a;
    root[1] = b;
    a = b = NULL;
}

int main(void) {
    lost();
    kept();
    scrub();
    return SUCCESS();
}
