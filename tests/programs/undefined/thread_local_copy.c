// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread
// build clang: clang -g -O1 -pthread
// Thread-local storage begins as zeros in each thread, and is as undefined as what is copied to it.
#include "../guest.h"
#include <pthread.h>

static __thread int last, before;
static volatile int sink;

static void __attribute__((noinline)) remember(const int *value) {
    before = last;
    last = *value;
}
static void __attribute__((noinline)) look(const int *value) {
    if (*value == 3) sink++; //~ UninitCondition 0
}
static void *work(void *list) {
    CHECK(last == 0 && before == 0);
    remember(list);
    look(&before);
    look(&last);
    return NULL;
}

int main(void) {
    int *list = malloc(2 * sizeof *list);
    list[0] = 3;
    remember(list);
    look(&last);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, list + 1) == 0 && pthread_join(thread, NULL) == 0);
    look(&last);
    CHECK(sink >= 2);
    free(list);
    return SUCCESS();
}
