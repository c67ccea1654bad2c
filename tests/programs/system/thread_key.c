// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread -fno-builtin
// A destructor of thread-specific data frees what another destructor still reads.
#include "../guest.h"
#include <pthread.h>

struct state {
    volatile int uses;
};
static pthread_key_t first, second;
static volatile int sink;

static void end_first(void *state) { free(state); }
static void end_second(void *given) {
    struct state *state = given;
    sink = 1;
    sink += state->uses; //~ InvalidRead 4
}

static void *work(void *unused) {
    (void)unused;
    struct state *state = calloc(1, sizeof *state);
    CHECK(pthread_setspecific(first, state) == 0 && pthread_setspecific(second, state) == 0);
    state->uses = 1;
    return NULL;
}

int main(void) {
    CHECK(pthread_key_create(&first, end_first) == 0 && pthread_key_create(&second, end_second) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(sink != 0);
    return SUCCESS();
}
