// build: cc -g -O0
// What is allocated altogether, and by whom: 1000 temporary blocks of 16 bytes, 10 that a realloc takes at once, of 10 bytes, which become
// blocks of 25, 100 that are kept for a while, and 5 for ever.
#include <stdlib.h>

static void temporary(void) {
    char *volatile block = malloc(16);
    free(block);
}

static void *grow(void) {
    char *volatile block = malloc(10);
    return realloc(block, 25);
}

static void *keep(int size) { return malloc(size); }

int main(void) {
    void *volatile kept[100], *volatile grown[10];
    for (int i = 0; i < 1000; i++) temporary();
    for (int i = 0; i < 10; i++) grown[i] = grow();
    for (int i = 0; i < 10; i++) free(grown[i]);
    for (int i = 0; i < 95; i++) kept[i] = keep(337);
    for (int i = 0; i < 95; i++) free(kept[i]);
    void *volatile left;
    for (int i = 0; i < 5; i++) left = keep(100);
    (void)left;
    return 0;
}
