// build: cc -O2 -pthread
// timeout: 120
// fork while other threads allocate, run new code and take locks: the child has one thread and a working heap.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;
static int handlers[3];
static void prepare(void) { handlers[0]++; }
static void in_parent(void) { handlers[1]++; }
static void in_child(void) { handlers[2]++; }

static void *allocate(void *argument) {
    for (unsigned i = 0; !stop; i++) {
        char *p = malloc(i % 5000 + 1);
        p[0] = 1;
        char text[64];
        snprintf(text, sizeof text, "%u %g", i, i / 3.0);
        free(p);
    }
    return argument;
}

int main(void) {
    pthread_t threads[3];
    CHECK(pthread_atfork(prepare, in_parent, in_child) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
    for (int i = 0; i < 150; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(handlers[2] == 1);
            stop = 0;
            void *volatile p = malloc(100000);
            free(p);
            if (i % 10 == 0) {
                pthread_t thread;
                stop = 1;
                CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0 && pthread_join(thread, NULL) == 0);
            }
            _exit(i % 100);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == i % 100);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    printf("%d %d %d\n", handlers[0], handlers[1], handlers[2]);
    return SUCCESS();
}
