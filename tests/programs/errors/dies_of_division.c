// build: cc -g -O0 -w -pthread
// build fast: cc -g -O1 -w -pthread
// ends: signal 8
// A division by zero in one of two threads.
#include "../guest.h"
#include <pthread.h>

static volatile int zero, result = 7;

static void *sleeper(void *unused) {
    pause();
    return NULL;
}

static void *divide(void *unused) {
    result = result / zero; //~ FatalSignal 0
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, sleeper, NULL);
    pthread_create(&threads[1], NULL, divide, NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
