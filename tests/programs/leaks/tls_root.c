// build: cc -g -O0 -pthread
// build static: cc -g -O0 -pthread -static
// build musl: musl-gcc -g -O0 -static
// Thread-local variables and pthread keys of the main thread are roots.
#include "../guest.h"
#include <pthread.h>

static __thread void *in_tbss;
static __thread void *in_tdata = (void *)16;
static pthread_key_t key;

static void __attribute__((noinline)) fill(void) {
    in_tbss = calloc(1, 11); //~ reachable 11 1
    in_tdata = calloc(1, 22); //~ reachable 22 1
    pthread_setspecific(key, calloc(1, 33)); //~ reachable 33 1
}

int main(void) {
    CHECK(pthread_key_create(&key, NULL) == 0);
    fill();
    scrub();
    return SUCCESS();
}
