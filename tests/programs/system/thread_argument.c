// build: cc -g -O0 -pthread
// build O2: cc -g -O2 -pthread -fno-builtin
// build clang: clang -g -O1 -pthread -fno-builtin
// The argument of a thread is freed by its maker as soon as the thread has been made.
#include "../guest.h"
#include <pthread.h>
#include <semaphore.h>

static sem_t freed;
struct argument {
    volatile int number;
    volatile int result;
};

static void *work(void *given) {
    struct argument *argument = given;
    sem_wait(&freed);
    int number = argument->number; //~ InvalidRead 4
    argument->result = number + 1; //~ InvalidWrite 4
    return NULL;
}

int main(void) {
    CHECK(sem_init(&freed, 0, 0) == 0);
    struct argument *argument = malloc(sizeof *argument);
    argument->number = 4;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, argument) == 0);
    free(argument);
    sem_post(&freed);
    CHECK(pthread_join(thread, NULL) == 0);
    return SUCCESS();
}
