// build: cc -g -O0
// build O1: cc -g -O1 -fno-builtin
// build clang: clang -g -O0
// A binary tree whose nodes keep a pointer to their parent; one child is freed and still reached from its own child.
#include "../guest.h"

struct node {
    struct node *left, *right;
    struct node *volatile parent;
    volatile int key;
};

static struct node *__attribute__((noinline)) insert(struct node *parent, int key) {
    struct node *node = calloc(1, sizeof *node);
    node->key = key;
    node->parent = parent;
    if (parent) {
        if (key < parent->key) parent->left = node;
        else parent->right = node;
    }
    return node;
}

static int __attribute__((noinline)) depth(struct node *node) {
    int n = 0;
    while (node) {
        n++;
        node = node->parent; //~ InvalidRead 8
    }
    return n;
}

int main(void) {
    struct node *root = insert(NULL, 50), *a = insert(root, 30), *b = insert(a, 20);
    CHECK(depth(b) == 3);
    root->left = NULL;
    free(a);
    CHECK(depth(b) == 3);
    b->parent->key = 1; //~ InvalidWrite 4
    free(b);
    free(root);
    return SUCCESS();
}
