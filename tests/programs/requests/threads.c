// build: cc -g -O2 -pthread
// timeout: 120
// Requests from several threads at once, snapshots among them, while others sleep in system calls that must not notice.
#include "../guest.h"
#include "../client_requests.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <time.h>

static int over[2];
static sem_t never;

static void *sleeps(void *unused) {
    (void)unused;
    int set = epoll_create1(0);
    CHECK(set >= 0);
    for (int i = 0; i < 10; i++) {
        struct timespec pause = {0, 20000000};
        CHECK(nanosleep(&pause, NULL) == 0);
        CHECK(poll(NULL, 0, 10) == 0);
        struct epoll_event event;
        CHECK(epoll_wait(set, &event, 1, 10) == 0);
        struct timespec end;
        CHECK(clock_gettime(CLOCK_REALTIME, &end) == 0);
        end.tv_nsec = (end.tv_nsec + 10000000) % 1000000000;
        CHECK(sem_timedwait(&never, &end) == -1 && errno == ETIMEDOUT);
    }
    close(set);
    return NULL;
}

static void *waits(void *unused) {
    (void)unused;
    char byte;
    CHECK(read(over[0], &byte, 1) == 1);
    return NULL;
}

static void *asks(void *argument) {
    long number = (long)argument;
    static char arena[4][4096];
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 64; i++) REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(&arena[number][64 * i]), 48);
        void *block = malloc(100);
        REQUEST(0, DO_LEAK_CHECK, 0, (unsigned long)round % 3);
        free(block);
        for (int i = 0; i < 64; i++) REQUEST(0, FREELIKE_BLOCK, ADDRESS(&arena[number][64 * i]));
    }
    return NULL;
}

int main(void) {
    pthread_t threads[7];
    CHECK(pipe(over) == 0 && sem_init(&never, 0, 0) == 0);
    CHECK(pthread_create(&threads[0], NULL, waits, NULL) == 0);
    for (int i = 1; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, sleeps, NULL) == 0);
    for (long i = 3; i < 7; i++) CHECK(pthread_create(&threads[i], NULL, asks, (void *)(i - 3)) == 0);
    for (int i = 1; i < 7; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(write(over[1], "x", 1) == 1);
    CHECK(pthread_join(threads[0], NULL) == 0);
    return SUCCESS();
}
