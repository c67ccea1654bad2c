// build: cc -O2 -pthread
// Restartable sequences: either registered and telling the processor, or refused so that the program falls back.
#define _GNU_SOURCE
#include "../guest.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *body(void *argument) {
    unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");
    ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    if (!size || !offset || *size == 0) return argument;
    volatile uint32_t *area = (volatile uint32_t *)((char *)__builtin_thread_pointer() + *offset);
    for (int i = 0; i < 1000; i++) {
        int cpu = sched_getcpu();
        CHECK(cpu >= 0);
        CHECK((int32_t)area[1] >= -2 && (int32_t)area[1] < 4096);
    }
    return argument;
}

int main(void) {
    body(NULL);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(syscall(SYS_rseq, NULL, 32, 0, 0) == -1);
    return SUCCESS();
}
