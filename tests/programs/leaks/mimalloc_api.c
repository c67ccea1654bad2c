// build: cc -g -O0 {src} -o {out} -lmimalloc
// peer: replaces malloc and free only, so blocks of the other functions are mimalloc's own
// mimalloc's own interface, mixed with malloc and free. Blocks of its heaps stay mimalloc's.
#include "../guest.h"
#include <mimalloc.h>
#include <stdint.h>

static void *kept;

static int all(const char *p, size_t from, size_t to, char value) {
    for (size_t i = from; i < to; i++)
        if (p[i] != value) return 0;
    return 1;
}

static void __attribute__((noinline)) fill(void) {
    char *volatile p = mi_malloc(10); //~ definite 10 1
    p = mi_zalloc(40); //~ definite 40 1
    CHECK(all(p, 0, 40, 0));
    p = mi_calloc(3, 7); //~ definite 21 1
    p = mi_mallocn(4, 9); //~ definite 36 1
    p = mi_malloc_small(11); //~ definite 11 1
    p = mi_malloc_aligned(100, 512); //~ definite 100 1
    CHECK((uintptr_t)p % 512 == 0);
    p = mi_zalloc_aligned(101, 256); //~ definite 101 1
    p = mi_calloc_aligned(3, 34, 128); //~ definite 102 1
    CHECK((uintptr_t)p % 128 == 0 && all(p, 0, 102, 0));
    p = mi_aligned_alloc(64, 128); //~ definite 128 1
    p = mi_strdup("hello"); //~ definite 6 1
    CHECK(strcmp(p, "hello") == 0);
    p = mi_strndup("hello", 3); //~ definite 4 1
    CHECK(strcmp(p, "hel") == 0);
    char *q = mi_malloc(8);
    memset(q, 'q', 8);
    q = mi_rezalloc(q, 3000); //~ reachable 3000 1
    CHECK(all(q, 0, 8, 'q') && all(q, 8, 3000, 0));
    kept = q;
    q = mi_realloc(malloc(5), 60); //~ definite 60 1
    q = mi_reallocn(malloc(5), 6, 11); //~ definite 66 1
    q = mi_recalloc(mi_calloc(2, 2), 5, 14); //~ definite 70 1
    CHECK(all(q, 0, 70, 0));
    q = mi_reallocf(mi_malloc(3), 71); //~ definite 71 1
    q = mi_realloc_aligned(mi_malloc_aligned(3, 1024), 72, 1024); //~ definite 72 1
    CHECK((uintptr_t)q % 1024 == 0);
    q = mi_new(73); //~ definite 73 1
    q = mi_new_n(2, 37); //~ definite 74 1
    q = mi_new_aligned(75, 64); //~ definite 75 1
    q = mi_new_nothrow(76); //~ definite 76 1
    CHECK(mi_usable_size(kept) >= 3000 && mi_malloc_usable_size(kept) >= 3000 && mi_is_in_heap_region(kept) && mi_check_owned(kept));
    CHECK(mi_expand(kept, 2000) == kept && mi_expand(kept, 1 << 20) == NULL);
    mi_free(mi_malloc(100));
    mi_free(malloc(100));
    free(mi_malloc(100));
    mi_free_size(mi_malloc(100), 100);
    mi_free_aligned(mi_malloc_aligned(100, 64), 64);
    mi_free(NULL);
    p = q = NULL;
}

static void __attribute__((noinline)) heaps(int destroy) {
    mi_heap_t *heap = mi_heap_new();
    CHECK(heap);
    char *blocks[60];
    for (int i = 0; i < 60; i++) {
        blocks[i] = i % 2 ? mi_heap_malloc(heap, 500 + 100 * i) : mi_heap_zalloc(heap, 500 + 100 * i);
        CHECK(blocks[i] && mi_heap_contains_block(heap, blocks[i]) && mi_usable_size(blocks[i]) >= 500);
        memset(blocks[i], i, 500);
    }
    for (int i = 0; i < 60; i++) {
        CHECK(all(blocks[i], 0, 500, (char)i));
        switch (i % 6) {
        case 0: mi_free(blocks[i]); break;
        case 1: free(blocks[i]); break;
        case 2: mi_free(mi_heap_realloc(heap, blocks[i], 20000)); break;
        case 3: free(realloc(blocks[i], 20000)); break;
        case 4:
            blocks[i] = mi_heap_rezalloc(heap, blocks[i], 30000);
            CHECK(all(blocks[i], 0, 500, (char)i));
            break;
        }
    }
    // A heap's function may get a block that is none of the heap's.
    char *mixed = malloc(30);
    memset(mixed, 'm', 30);
    mixed = mi_heap_realloc(heap, mixed, 40000);
    CHECK(all(mixed, 0, 30, 'm'));
    mi_free(mixed);
    char *text = mi_heap_strdup(heap, "text");
    CHECK(strcmp(text, "text") == 0);
    mi_free(text);
    char *odd = mi_malloc_aligned_at(100, 64, 8);
    CHECK(((uintptr_t)odd + 8) % 64 == 0);
    mi_free(odd);
    if (destroy) mi_heap_destroy(heap);
    else mi_heap_delete(heap);
}

int main(void) {
    fill();
    heaps(1);
    heaps(0);
    mi_collect(true);
    scrub();
    return SUCCESS();
}
