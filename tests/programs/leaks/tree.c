// build: cc -g -O0
// A lost binary tree with pay-loads, and a block that two lost blocks share.
#include "../guest.h"

struct node {
    struct node *child[2];
    char *name;
};

static void __attribute__((noinline)) tree(void) {
    struct node *volatile nodes[15];
    struct node *volatile root = calloc(1, 200); //~ definite 200+486 1
    for (int i = 0; i < 14; i++) {
        nodes[i] = calloc(1, sizeof(struct node)); //~ indirect 336 14
        nodes[i]->name = calloc(1, 10); //~ indirect 140 14
    }
    root->child[0] = nodes[0];
    root->child[1] = nodes[1];
    root->name = calloc(1, 10); //~ indirect 10 1
    for (int i = 0; i < 6; i++) {
        nodes[i]->child[0] = nodes[2 * i + 2];
        nodes[i]->child[1] = nodes[2 * i + 3];
    }
    root = NULL;
    for (int i = 0; i < 15; i++) nodes[i] = NULL;
}

static void __attribute__((noinline)) shared(void) {
    void *volatile common = calloc(1, 100); //~ indirect 100 1
    for (int i = 0; i < 2; i++) {
        void **volatile owner = calloc(1, 16); //~ definite 32+100 2
        *owner = common;
        owner = NULL;
    }
    common = NULL;
}

int main(void) {
    tree();
    shared();
    scrub();
    return SUCCESS();
}
