// build: cc -g -O0 {src} -o {out} -ljemalloc
// build archive: cc -g -O0 {src} -o {out} -l:libjemalloc.a -lstdc++ -lm -pthread -ldl
// build static: cc -g -O0 -static {src} -o {out} -l:libjemalloc.a -lstdc++ -lm -pthread -ldl
// peer: does not replace these functions, and takes their blocks for invalid ones of malloc
// jemalloc's own interface, mixed with malloc and free as it allows. Blocks in explicit arenas stay jemalloc's.
#include "../guest.h"
#include <jemalloc/jemalloc.h>
#include <stdint.h>

static void *kept;

static void __attribute__((noinline)) fill(void) {
    void *volatile p = mallocx(10, 0); //~ definite 10 1
    p = mallocx(300, MALLOCX_ALIGN(4096) | MALLOCX_ZERO); //~ definite 300 1
    CHECK((uintptr_t)p % 4096 == 0 && ((char *)p)[299] == 0);
    char *text = malloc(20);
    memset(text, 'x', 20);
    text = rallocx(text, 4000, MALLOCX_ZERO | MALLOCX_LG_ALIGN(8)); //~ reachable 4000 1
    CHECK((uintptr_t)text % 256 == 0 && text[19] == 'x' && text[20] == 0 && text[3999] == 0);
    kept = text;
    CHECK(sallocx(text, 0) >= 4000 && malloc_usable_size(text) >= 4000 && nallocx(4000, 0) >= 4000);
    CHECK(xallocx(text, 4000, 0, 0) >= 4000);
    p = mallocx(64, MALLOCX_TCACHE_NONE); //~ definite 64 1
    dallocx(mallocx(100, 0), 0);
    sdallocx(mallocx(100, MALLOCX_ALIGN(64)), 100, MALLOCX_ALIGN(64));
    free(mallocx(200, 0));
    dallocx(malloc(200), 0);
    p = NULL;
    text = NULL;
}

static void __attribute__((noinline)) arena(void) {
    unsigned number = 0;
    size_t size = sizeof number;
    CHECK(mallctl("arenas.create", &number, &size, NULL, 0) == 0);
    int flags = MALLOCX_ARENA(number) | MALLOCX_TCACHE_NONE;
    char *blocks[50];
    for (int i = 0; i < 50; i++) {
        blocks[i] = mallocx(1000 + 10 * i, flags);
        CHECK(blocks[i]);
        memset(blocks[i], i, 1000);
    }
    for (int i = 0; i < 50; i++) {
        CHECK(blocks[i][999] == i && sallocx(blocks[i], 0) >= 1000);
        if (i % 4 == 0) dallocx(blocks[i], flags);
        if (i % 4 == 1) free(blocks[i]);
        if (i % 4 == 2) {
            blocks[i] = rallocx(blocks[i], 9000, flags);
            CHECK(blocks[i][999] == i);
            sdallocx(blocks[i], 9000, flags);
        }
        if (i % 4 == 3) free(realloc(blocks[i], 3000));
    }
    void *last = mallocx(70000, flags);
    memset(last, 1, 70000);
    char name[64];
    snprintf(name, sizeof name, "arena.%u.destroy", number);
    CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0);
}

static void controls(void) {
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    CHECK(mallctl("epoch", &epoch, &size, &epoch, size) == 0);
    size_t allocated = 0;
    size = sizeof allocated;
    CHECK(mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0);
    CHECK(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) == 0);
    const char *version = NULL;
    size = sizeof version;
    CHECK(mallctl("version", &version, &size, NULL, 0) == 0 && version[0] >= '3');
}

int main(void) {
    fill();
    arena();
    controls();
    scrub();
    return SUCCESS();
}
