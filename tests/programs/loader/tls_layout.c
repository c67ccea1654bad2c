// build: cc -O2 -pthread -DPROGRAM {src} -o {out} -ldl
// build static: cc -O2 -pthread -DPROGRAM -DSTATIC -static
// also: cc -O2 -shared -fPIC {src} -o {out}.so
// Thread-local storage: alignment, initial images, a library that is loaded late, threads made before and after.
#include "../guest.h"
#include <stdint.h>

#ifdef PROGRAM
#include <dlfcn.h>
#include <pthread.h>

static __thread char aligned[100] __attribute__((aligned(256))) = "initial";
static __thread long zeroed[50];
static __thread int number = 17;
static int *(*late)(void);
static pthread_barrier_t barrier;

static void check(void) {
    CHECK((uintptr_t)aligned % 256 == 0 && strcmp(aligned, "initial") == 0 && number == 17);
    for (int i = 0; i < 50; i++) CHECK(zeroed[i] == 0);
    memset(zeroed, 1, sizeof zeroed);
    aligned[0] = 'X';
    number++;
}

static void *body(void *argument) {
    check();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    if (late) CHECK((*late())++ == 99 && *late() == 100);
    return argument;
}

int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    pthread_barrier_wait(&barrier);
#ifndef STATIC
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s.so", argv[0]) < (int)sizeof path);
    void *handle = dlopen(path, RTLD_NOW);
    CHECK(handle != NULL);
    late = (int *(*)(void))dlsym(handle, "late");
    CHECK(late && *late() == 99);
#endif
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    check();
    return SUCCESS();
}
#else
static __thread int late_number = 99;
int *late(void) { return &late_number; }
#endif
