// build: cc -O2 -g -pthread
// Works for about two seconds: threads that allocate and free under changing call paths, new code, child processes.
// Its number of seconds is the argument; it keeps some memory, loses some, and ends with a line of text.
#include "../guest.h"
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double limit = 2;
static struct timespec start;

static int over(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 > limit;
}

static void *allocate(int depth, size_t size) {
    if (depth > 0) {
        void *volatile p = allocate(depth - 1, size + 1);
        return p ? p : malloc(1);
    }
    return malloc(size);
}

static void *body(void *argument) {
    void *kept[100] = {0};
    for (unsigned i = 0; i % 64 || !over(); i++) {
        free(kept[i % 100]);
        kept[i % 100] = allocate((int)(i % 13), i % 500);
        if (i % 1000 == 0) kept[i % 100] = NULL;
    }
    return argument;
}

int main(int argc, char **argv) {
    if (argc > 1) limit = atof(argv[1]);
    clock_gettime(CLOCK_MONOTONIC, &start);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    while (!over()) {
        pid_t child = fork();
        if (child == 0) {
            free(malloc(100));
            _exit(0);
        }
        waitpid(child, NULL, 0);
        usleep(20000);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    puts("done");
    return 3;
}
