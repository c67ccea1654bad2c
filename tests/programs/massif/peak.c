// Two lines hold the heap at its peak; a third one has freed all by then.
// build: cc -g -O0
#include <stdio.h>
#include <stdlib.h>

static void *blocks[100];

__attribute__((noinline)) static void *table(size_t rows) {
    return calloc(rows, 16); //~ peak 48000
}

int main(void) {
    for (int i = 0; i < 50; i++)
        blocks[i] = malloc(10000);
    for (int i = 0; i < 50; i++)
        free(blocks[i]);
    for (int i = 0; i < 100; i++)
        blocks[i] = malloc(5008); //~ peak 500800
    void *first = table(1000), *second = table(2000);
    free(first);
    free(second);
    puts("EXIT-SUCCESS");
}
