// build: cc -O2 -pthread
// One thread patches a function that others run all the time: they see the old or the new code, never a mixture.
#include "../guest.h"
#include "jit.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

static unsigned char *code;
static volatile int stop;

static void *runner(void *argument) {
    unsigned last = 0;
    while (!stop) {
        unsigned value = (unsigned)call(code);
        CHECK(value % 0x01010101 == 0 && value >= last);
        last = value;
    }
    return argument;
}

int main(void) {
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    code += 3; // The immediate is aligned, so that one store patches it.
    emit(code, 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, runner, NULL) == 0);
    for (unsigned i = 0; i < 100; i++) {
        *(volatile uint32_t *)(code + 1) = i * 0x01010101;
        for (int k = 0; k < 5; k++) sched_yield();
    }
    // The last version must be seen in the end.
    CHECK((unsigned)call(code) == 99 * 0x01010101u);
    stop = 1;
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return SUCCESS();
}
