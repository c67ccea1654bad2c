// build: cc -O2 -pthread
// Several threads that each fork, exec and wait for children of their own.
#include "../guest.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *program;

static void *body(void *argument) {
    long self = (long)argument, sum = 0;
    for (int i = 0; i < 15; i++) {
        char number[16];
        snprintf(number, sizeof number, "%ld", self * 15 + i);
        char *arguments[] = {program, number, NULL};
        pid_t child;
        if (i % 2) {
            CHECK(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0);
        } else {
            child = fork();
            if (child == 0) {
                execv(program, arguments);
                _exit(99);
            }
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    return (void *)sum;
}

int main(int argc, char **argv) {
    if (argc > 1) return atoi(argv[1]);
    program = argv[0];
    pthread_t threads[4];
    long total = 0;
    for (long i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < 4; i++) {
        void *sum;
        CHECK(pthread_join(threads[i], &sum) == 0);
        total += (long)sum;
    }
    printf("%ld\n", total);
    return SUCCESS();
}
