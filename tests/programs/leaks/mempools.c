// build: cc -g -O0
// Memory pools: blocks that leave a pool are freed, those that stay count in place of the heap block that they lie in.
#include "../guest.h"
#include "../client_requests.h"

static char *keep;
static void *pools[4];

static char *__attribute__((noinline)) take(void *pool, char *at, unsigned long size) {
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(pool), ADDRESS(at), size); //~ reachable 24 1 //~ definite 48+16 1 //~ definite 20 2 //~ indirect 16 1 //~ definite 512 1
    return at;
}

static void __attribute__((noinline)) plain(void) {
    void *pool = &pools[0];
    char *arena = calloc(1, 4096);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(pool), 0, 1);
    keep = take(pool, arena + 64, 24);
    char *lost = take(pool, arena + 128, 32);
    *(char **)lost = take(pool, arena + 256, 16);
    take(pool, arena + 512, 1000);
    REQUEST(0, MEMPOOL_FREE, ADDRESS(pool), ADDRESS(arena + 512));
    REQUEST(0, MEMPOOL_CHANGE, ADDRESS(pool), ADDRESS(lost), ADDRESS(lost), 48);
    REQUEST(0, MOVE_MEMPOOL, ADDRESS(pool), ADDRESS(&pools[1]));
}

static void __attribute__((noinline)) trimmed(void) {
    void *pool = &pools[2];
    char *arena = calloc(1, 4096);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(pool), 0, 1);
    for (int i = 0; i < 4; i++) take(pool, arena + 20 * i, 20);
    // The first goes, the second loses its first half, the third its second, the fourth goes. (Valgrind keeps too much
    // of a block that loses its beginning, unless the range is as long as the block.)
    REQUEST(0, MEMPOOL_TRIM, ADDRESS(pool), ADDRESS(arena + 20 + 10), 20);
}

static void __attribute__((noinline)) destroyed(void) {
    void *pool = &pools[3];
    char *arena = malloc(512); //~ definite 512 1
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(pool), 0, 1);
    take(pool, arena, 100);
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(pool));
    // Two levels: what the inner allocator announces goes with the outer block.
    arena = calloc(1, 2048);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(pool), 0, 1, 3);
    take(pool, arena, 512);
    take(pool, arena + 1024, 512);
    for (int i = 0; i < 2; i++) {
        REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(arena + 1024 * i + 16), 60, 0, 1);
    }
    REQUEST(0, MEMPOOL_FREE, ADDRESS(pool), ADDRESS(arena));
    REQUEST(0, FREELIKE_BLOCK, ADDRESS(arena + 1024 + 16), 0);
}

int main(void) {
    plain();
    trimmed();
    destroyed();
    scrub();
    fputs("EXIT-SUCCESS\n", stdout);
    return 0;
}
