// Lists, a tree, sorting, calls through pointers and a jump table.
#include "start.h"

struct node {
    struct node *next, *left, *right;
    u64 key;
};

static struct node nodes[512];
static u32 keys[600];
static u64 results[8];

static struct node *insert(struct node *tree, struct node *new) {
    if (!tree)
        return new;
    if (new->key < tree->key)
        tree->left = insert(tree->left, new);
    else
        tree->right = insert(tree->right, new);
    return tree;
}

static u64 depth(struct node *tree) {
    if (!tree)
        return 0;
    u64 left = depth(tree->left), right = depth(tree->right);
    return 1 + (left > right ? left : right);
}

static void sort(u32 *first, u32 *last) {
    while (first < last) {
        u32 pivot = *last, *place = first;
        for (u32 *at = first; at < last; at++)
            if (*at < pivot) {
                u32 other = *at;
                *at = *place;
                *place++ = other;
            }
        *last = *place;
        *place = pivot;
        sort(first, place - 1);
        first = place + 1;
    }
}

static u64 add(u64 x) { return x + 1; }
static u64 twice(u64 x) { return x * 2; }
static u64 square(u64 x) { return x * x; }
static u64 halve(u64 x) { return x / 2; }
static u64 (*volatile calls[4])(u64) = {add, twice, square, halve};

static u64 interpret(u64 steps) {
    u64 value = 1;
    while (steps--)
        switch (below(8)) {
        case 0: value += results[1]; break;
        case 1: value ^= 77; break;
        case 2: value <<= 1; break;
        case 3: results[2] = value; break;
        case 4: value -= results[2]; break;
        case 5: results[1]++; break;
        case 6: value = value * 3 + 1; break;
        default: value = calls[below(4)](value); break;
        }
    return value;
}

void run(void) {
    struct node *tree = 0, *list = 0;
    for (int i = 0; i < 512; i++) {
        struct node *node = &nodes[(i * 37) % 512];
        node->key = below(100000);
        node->next = list;
        list = node;
        tree = insert(tree, node);
    }
    for (struct node *at = list; at; at = at->next)
        results[0] += at->key;
    results[3] = depth(tree);
    for (int i = 0; i < 600; i++)
        keys[i] = below(1000000);
    sort(keys, keys + 599);
    results[4] = interpret(5000);
}
