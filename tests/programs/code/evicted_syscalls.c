// build: cc -O1 -pthread
// record: --cache-size=1M
// timeout: 120
// One thread keeps the code cache full of new functions, so that it is emptied again and again while others are about
// to make system calls, or come back from one.
#include "../guest.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { FUNCTIONS = 40000, SIZE = 32 };
static volatile int stop;

// Several places that make calls, each with its own way to go on.
static void *calls(void *argument) {
    long own = syscall(SYS_gettid);
    while (!stop) {
        CHECK(syscall(SYS_gettid) == own);
        CHECK(lseek(-1, 0, SEEK_SET) == -1);
        CHECK(syscall(SYS_getppid) == getppid());
        // One that the engine looks at first.
        CHECK(close(-1) == -1);
        CHECK(getpid() != 0);
    }
    return argument;
}

int main(void) {
    unsigned char *code = mmap(NULL, (size_t)FUNCTIONS * SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        // mov eax, i; ret
        unsigned char *at = code + (size_t)i * SIZE;
        at[0] = 0xb8, memcpy(at + 1, &i, 4), at[5] = 0xc3;
    }
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, calls, NULL) == 0);
    for (int round = 0; round < 5; round++)
        for (uint32_t i = 0; i < FUNCTIONS; i++) CHECK(((uint32_t(*)(void))(code + (size_t)i * SIZE))() == i);
    stop = 1;
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return SUCCESS();
}
