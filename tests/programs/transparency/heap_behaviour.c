// build: cc -O2 -pthread
// build musl: musl-gcc -O2 -static
// What programs expect of malloc: alignment, contents kept, errno untouched or ENOMEM, sizes, many threads.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>

static void *body(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument * 7919 + 1;
    unsigned char *blocks[200] = {0};
    size_t sizes[200] = {0};
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        int k = (int)((seed >> 8) % 200);
        if (blocks[k]) {
            for (size_t j = 0; j < sizes[k]; j += 97) CHECK(blocks[k][j] == (unsigned char)k);
            if (seed & 0x10000000) {
                size_t size = (seed >> 4) % 5000 + 1;
                blocks[k] = realloc(blocks[k], size);
                CHECK(blocks[k] && blocks[k][0] == (unsigned char)k);
                sizes[k] = size;
                memset(blocks[k], k, size);
                continue;
            }
            free(blocks[k]);
            blocks[k] = NULL;
        } else {
            sizes[k] = (seed >> 12) % (seed & 0x40 ? 100 : 3000) + 1;
            blocks[k] = seed & 1 ? calloc(1, sizes[k]) : malloc(sizes[k]);
            CHECK(blocks[k] && (uintptr_t)blocks[k] % 16 == 0 && malloc_usable_size(blocks[k]) >= sizes[k]);
            memset(blocks[k], k, sizes[k]);
        }
    }
    for (int k = 0; k < 200; k++) free(blocks[k]);
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    errno = 0;
    volatile size_t huge = PTRDIFF_MAX;
    CHECK(malloc(huge) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(huge, 2) == NULL && errno == ENOMEM);
    errno = 55;
    free(malloc(100));
    CHECK(errno == 55);
    void *p = NULL;
    CHECK(posix_memalign(&p, 3, 10) == EINVAL && errno == 55);
    char *big = malloc(200 << 20);
    CHECK(big);
    big[0] = big[(200 << 20) - 1] = 1;
    big = realloc(big, 300 << 20);
    CHECK(big && big[0] == 1 && big[(200 << 20) - 1] == 1);
    free(big);
    return SUCCESS();
}
