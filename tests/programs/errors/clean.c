// build: cc -g -O0
// build fast: cc -g -O3 -march=x86-64-v3
// build clang: clang -g -O3
// needs: avx2
// timeout: 240
// Nothing to report: every byte of blocks of all sizes, reused, resized, aligned, in threads, across fork.
#include "../guest.h"
#include <pthread.h>
#include <sys/wait.h>

static void fill(unsigned char *block, size_t size, unsigned seed) {
    for (size_t i = 0; i < size; i++) {
        block[i] = (unsigned char)(seed + i);
    }
}

static unsigned long sum(const unsigned char *block, size_t size) {
    unsigned long total = 0;
    for (size_t i = 0; i < size; i++) {
        total += block[i];
    }
    return total;
}

static void *work(void *argument) {
    unsigned seed = (unsigned)(size_t)argument;
    unsigned char *kept[64] = {0};
    size_t sizes[64] = {0};
    unsigned long total = 0;
    for (unsigned round = 0; round < 20000; round++) {
        unsigned at = (round * 7 + seed) % 64;
        size_t size = (round * 37 + seed) % 3000;
        if (round % 1000 == 0) {
            size += 2 << 20;
        }
        total += kept[at] ? sum(kept[at], sizes[at]) : 0;
        if (round % 3 == 0 && size != 0) {
            kept[at] = realloc(kept[at], size);
        } else {
            free(kept[at]);
            kept[at] = round % 5 == 0 ? aligned_alloc(64, (size + 64) & ~(size_t)63) : calloc(1, size + 1);
        }
        sizes[at] = size;
        fill(kept[at], size, round);
    }
    for (unsigned i = 0; i < 64; i++) {
        free(kept[i]);
    }
    return (void *)(total & 1);
}

int main(void) {
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, work, (void *)(i * 11));
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    pid_t child = fork();
    work((void *)5);
    if (child == 0) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
    puts("EXIT-SUCCESS");
    return 0;
}
