// build: cc -O2 -pthread
// build musl: musl-gcc -O2 -static
// Mutexes, conditions, semaphores, barriers, read-write locks, once, spin locks, with sums that must come out right.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

enum { THREADS = 4, ROUNDS = 5000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_spinlock_t spin;
static pthread_barrier_t barrier;
static sem_t items;
static long counter, guarded, written, onces, turns, taken;
static int turn;

static void only_once(void) { onces++; }

static void *body(void *argument) {
    int self = (int)(long)argument;
    pthread_once(&once, only_once);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        pthread_spin_lock(&spin);
        guarded++;
        pthread_spin_unlock(&spin);
        if (i % 50 == 0) {
            pthread_rwlock_wrlock(&rwlock);
            written++;
            pthread_rwlock_unlock(&rwlock);
        } else {
            pthread_rwlock_rdlock(&rwlock);
            CHECK(written >= 0);
            pthread_rwlock_unlock(&rwlock);
        }
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != self) pthread_cond_wait(&condition, &mutex);
        turn = (turn + 1) % THREADS;
        turns++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    for (int i = 0; i < 500; i++) {
        sem_post(&items);
        sem_wait(&items);
        __atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_spin_init(&spin, 0);
    sem_init(&items, 0, 0);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    printf("%ld %ld %ld %ld %ld %ld\n", counter, guarded, written, onces, turns, taken);
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += 20000000;
    if (time.tv_nsec >= 1000000000) time.tv_sec++, time.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &time) == ETIMEDOUT);
    CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
    pthread_mutex_unlock(&mutex);
    CHECK(sem_trywait(&items) == -1 && errno == EAGAIN);
    return SUCCESS();
}
