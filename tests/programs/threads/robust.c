// build: cc -O2 -pthread
// A robust mutex whose owner died, between threads and between processes; priority inheritance; process sharing.
#define _GNU_SOURCE
#include "../guest.h"
// trace: partial
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *die_with_it(void *mutex) {
    CHECK(pthread_mutex_lock(mutex) == 0);
    return NULL;
}

static void check(pthread_mutex_t *mutex) {
    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
    CHECK(pthread_mutex_lock(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    for (int inherit = 0; inherit < 2; inherit++) {
        CHECK(pthread_mutexattr_setprotocol(&attributes, inherit ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE) == 0);
        pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(mutex != MAP_FAILED && pthread_mutex_init(mutex, &attributes) == 0);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, die_with_it, mutex) == 0 && pthread_join(thread, NULL) == 0);
        check(mutex);
        for (int by_signal = 0; by_signal < 2; by_signal++) {
            pid_t child = fork();
            if (child == 0) {
                die_with_it(mutex);
                if (by_signal) kill(getpid(), SIGKILL);
                _exit(0);
            }
            CHECK(waitpid(child, NULL, 0) == child);
            check(mutex);
        }
    }
    return SUCCESS();
}
