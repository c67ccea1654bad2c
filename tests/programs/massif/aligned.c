// Aligned blocks, behind which Massif's own allocator leaves more or less unused.
// build: cc -g -O0
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    void *blocks[12];
    for (int i = 0; i < 10; i++)
        blocks[i] = aligned_alloc(32u << i, 32u << i);
    if (posix_memalign(&blocks[10], 64, 100) != 0 || posix_memalign(&blocks[11], 4096, 5000) != 0)
        return 1;
    for (int i = 0; i < 12; i++)
        free(blocks[i]);
    puts("EXIT-SUCCESS");
}
