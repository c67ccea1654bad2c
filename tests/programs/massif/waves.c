// The heap rises and falls in waves, each higher than the last: more snapshots than Massif keeps, and peaks.
// build: cc -g -O0
//
// Sizes are such that a gap in the heap is filled, or leaves much behind, so that Massif's own allocator adds to no
// block what it cannot use otherwise.
#include <stdio.h>
#include <stdlib.h>

#define SIZE(n) (256 * (n) - 48 - (n) % 16)

static void *blocks[1000];
static int used;

static void *keep(void *block) { return blocks[used++] = block; }

__attribute__((noinline)) static void small(int n) { keep(malloc(SIZE(n % 3 + 1))); }

__attribute__((noinline)) static void large(int n) { keep(calloc(1, SIZE(n % 17 + 4))); }

__attribute__((noinline)) static void deep(int levels, int n) {
    if (levels > 0) {
        deep(levels - 1, n);
    } else {
        small(n);
        large(n); // Not called from where small is.
    }
}

int main(void) {
    for (int wave = 1; wave <= 12; wave++) {
        for (int i = 0; i < 6 * wave; i++) {
            switch (i % 4) {
            case 0: small(i); break;
            case 1: large(i + wave); break;
            case 2: deep(i % 7, i); break;
            default: keep(malloc(SIZE(2))); break;
            }
        }
        for (int i = 0; i < 4 * wave; i++)
            free(blocks[--used]);
    }
    while (used > 3)
        free(blocks[--used]);
    puts("EXIT-SUCCESS");
}
