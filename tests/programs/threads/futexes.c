// build: cc -O2 -pthread
// The futex call itself: values, time-outs, bit sets, requeueing, operations on wake.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int a, b;
static int woken;

static long futex(int *word, int op, unsigned value, void *timeout, int *second, unsigned third) {
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, second, third);
}

static void *sleeper(void *argument) {
    CHECK(futex(argument, FUTEX_WAIT, 0, NULL, NULL, 0) == 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

int main(void) {
    struct timespec time = {0, 20000000};
    CHECK(futex(&a, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
    CHECK(futex(&a, FUTEX_WAIT, 0, &time, NULL, 0) == -1 && errno == ETIMEDOUT);
    CHECK(futex(&a, FUTEX_WAKE, 100, NULL, NULL, 0) == 0);
    struct timespec bad = {0, 2000000000};
    CHECK(futex(&a, FUTEX_WAIT, 0, &bad, NULL, 0) == -1 && errno == EINVAL);
    CHECK(futex((int *)1, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EINVAL);
    CHECK(futex((int *)64, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT);

    pthread_t threads[6];
    for (int i = 0; i < 6; i++) CHECK(pthread_create(&threads[i], NULL, sleeper, &a) == 0);
    long moved = 0;
    while (moved < 4) {
        moved += futex(&a, FUTEX_REQUEUE, 0, (void *)(long)(4 - moved), &b, 0);
        usleep(1000);
    }
    CHECK(woken == 0);
    long count = 0;
    while (count < 4) count += futex(&b, FUTEX_WAKE, 100, NULL, NULL, 0), usleep(1000);
    while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < 4) usleep(1000);
    count = 0;
    while (count < 2) count += futex(&a, FUTEX_WAKE, 1, NULL, NULL, 0), usleep(1000);
    for (int i = 0; i < 6; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(woken == 6);
    b = 5;
    CHECK(futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)) == 0 && b == 8);
    return SUCCESS();
}
