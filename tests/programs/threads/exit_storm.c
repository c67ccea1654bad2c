// build: cc -O2 -pthread
// exit() while threads compute, allocate, sleep and make system calls, twenty times in children.
#include "../guest.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void *compute(void *argument) {
    for (volatile unsigned long i = 0;; i++) {
    }
    return argument;
}
static void *allocate(void *argument) {
    for (;;) {
        void *volatile p = malloc(64);
        free(p);
    }
    return argument;
}
static void *sleeping(void *argument) {
    for (;;) pause();
    return argument;
}
static void *calling(void *argument) {
    for (;;) getppid();
    return argument;
}

int main(void) {
    void *(*const bodies[4])(void *) = {compute, allocate, sleeping, calling};
    for (int round = 0; round < 20; round++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
            usleep((unsigned)(round * 500));
            if (round % 2) exit(round);
            _exit(round);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == round);
    }
    return SUCCESS();
}
