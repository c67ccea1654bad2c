// build: cc -O2 -pthread
// build cpp: c++ -O2 -pthread -xc++
// Cancelled threads: deferred in a blocking call, asynchronous in a loop, clean-up handlers, keys.
#include "../guest.h"
#include <pthread.h>
#include <unistd.h>

static pthread_key_t key;
static volatile int cleaned, destroyed, started, cancelled;

static void cleanup(void *argument) { cleaned += *(int *)argument; }
static void destroy(void *argument) { destroyed += *(int *)argument; }

static void *deferred(void *argument) {
    pthread_setspecific(key, argument);
    pthread_cleanup_push(cleanup, argument);
    started = 1;
    for (;;) pause();
    pthread_cleanup_pop(0);
    return NULL;
}

static void *asynchronous(void *argument) {
    pthread_setspecific(key, argument);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    started = 1;
    for (volatile unsigned long i = 0;; i++) {
    }
    return NULL;
}

static void *disabled(void *argument) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    started = 1;
    while (!cancelled) usleep(1000);
    pthread_cleanup_push(cleanup, argument);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return NULL;
}

int main(void) {
    void *(*const bodies[3])(void *) = {deferred, asynchronous, disabled};
    int one = 1;
    pthread_key_create(&key, destroy);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *result;
        started = cancelled = 0;
        CHECK(pthread_create(&thread, NULL, bodies[i], &one) == 0);
        while (!started) usleep(1000);
        CHECK(pthread_cancel(thread) == 0);
        cancelled = 1;
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
    }
    printf("cleaned %d destroyed %d\n", cleaned, destroyed);
    return SUCCESS();
}
