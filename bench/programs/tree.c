// Builds a balanced tree of 360,000 nodes and frees it, several times: many blocks live at once.
//
// usage: tree ROUNDS
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 360000 };

struct node {
    struct node *left, *right;
    uint64_t value;
    unsigned char payload[]; // 0 to 63 bytes, so that sizes differ
};

static struct node *build(long count, uint64_t seed) {
    if (count == 0)
        return NULL;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    struct node *node = malloc(sizeof *node + (seed >> 58));
    if (!node)
        abort();
    node->value = seed;
    node->left = build((count - 1) / 2, seed ^ 1);
    node->right = build(count - 1 - (count - 1) / 2, seed ^ 2);
    return node;
}

static uint64_t destroy(struct node *node) {
    if (!node)
        return 0;
    uint64_t sum = node->value + destroy(node->left) + destroy(node->right);
    free(node);
    return sum;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++)
        sum += destroy(build(NODES, (uint64_t)round));
    printf("%llx\n", (unsigned long long)sum);
    return 0;
}
