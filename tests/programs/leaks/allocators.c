// build jemalloc: cc -g -O0 {src} -o {out} -ljemalloc
// build jemalloc-archive: cc -g -O0 {src} -o {out} -l:libjemalloc.a -lstdc++ -lm -pthread -ldl
// build jemalloc-static: cc -g -O0 -static {src} -o {out} -l:libjemalloc.a -lstdc++ -lm -pthread -ldl
// build mimalloc: cc -g -O0 {src} -o {out} -lmimalloc
// build tcmalloc: cc -g -O0 {src} -o {out} -ltcmalloc
// build tcmalloc-archive: cc -g -O0 {src} -o {out} -l:libtcmalloc_minimal.a -lstdc++ -lm -pthread
// build tcmalloc-static: cc -g -O0 -static {src} -o {out} -l:libtcmalloc_minimal.a -lstdc++ -lm -pthread
// build tcmalloc-minimal: clang -g -O0 {src} -o {out} -ltcmalloc_minimal
// An allocator that is linked in takes the place of libc's: its leaks are the same.
#define _GNU_SOURCE
#include "../guest.h"
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>

static void *kept;

static void __attribute__((noinline)) fill(void) {
    void *volatile p = malloc(10); //~ definite 10 1
    p = calloc(3, 7); //~ definite 21 1
    CHECK(((char *)p)[20] == 0);
    p = realloc(malloc(5), 50); //~ definite 50 1
    p = realloc(NULL, 51); //~ definite 51 1
    p = aligned_alloc(64, 128); //~ definite 128 1
    CHECK((uintptr_t)p % 64 == 0);
    p = memalign(4096, 77); //~ definite 77 1
    CHECK((uintptr_t)p % 4096 == 0);
    void *q = NULL;
    CHECK(posix_memalign(&q, 256, 100) == 0); //~ definite 100 1
    CHECK((uintptr_t)q % 256 == 0);
    q = NULL;
    p = valloc(33); //~ definite 33 1
    p = strdup("hello"); //~ definite 6 1
    char *text = NULL;
    CHECK(asprintf(&text, "%d", 12345) == 5);
    free(text);
    text = NULL;
    kept = malloc(99); //~ reachable 99 1
    void **holder = malloc(16); //~ definite 16+24 1
    holder[0] = malloc(24); //~ indirect 24 1
    holder[1] = NULL;
    holder = NULL;
    CHECK(malloc_usable_size(kept) >= 99);
    free(malloc(1000));
    free(NULL);
    p = NULL;
}

static void *thread(void *unused) {
    for (int i = 1; i < 500; i++) free(realloc(malloc(i), 3 * i));
    void *volatile p = malloc(1234); //~ definite 1234 1
    p = unused;
    return p;
}

int main(void) {
    fill();
    pthread_t id;
    CHECK(pthread_create(&id, NULL, thread, NULL) == 0 && pthread_join(id, NULL) == 0); //~{jemalloc-static,tcmalloc-static} possible 272 1
    scrub();
    return SUCCESS();
}
