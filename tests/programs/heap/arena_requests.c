// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// An arena that is described as a memory pool: what was taken from it is gone when the arena is reset.
#include "../client_requests.h"
#include "../guest.h"

struct arena {
    char *start, *next;
    size_t size;
};

static void *__attribute__((noinline)) take(struct arena *arena, size_t size) {
    char *block = arena->next;
    arena->next += (size + 31) & ~31UL;
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(arena), ADDRESS(block), size);
    return block;
}

static void __attribute__((noinline)) reset(struct arena *arena) {
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(arena));
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(arena), 0, 0);
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(arena->start), arena->size);
    arena->next = arena->start;
}

int main(void) {
    struct arena arena = {malloc(4096), NULL, 4096};
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(&arena), 0, 0);
    reset(&arena);
    volatile int *a = take(&arena, 40), *b = take(&arena, 8);
    a[9] = 1, b[0] = 2;
    a[10] = 3; //~ InvalidWrite 4
    REQUEST(0, MEMPOOL_FREE, ADDRESS(&arena), ADDRESS(b));
    b[1] = 4; //~ InvalidWrite 4
    reset(&arena);
    int gone = a[9]; //~ InvalidRead 4
    (void)gone;
    volatile int *again = take(&arena, 40);
    again[9] = 5;
    CHECK(again[9] == 5);
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(&arena));
    free(arena.start);
    return SUCCESS();
}
