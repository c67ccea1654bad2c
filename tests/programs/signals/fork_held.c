// build: cc -O2 -pthread
// Signals for a thread that forks all the time: a child never sees one that was sent to its parent.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static pid_t parent;
static volatile int stop, forking, handled, inherited;

static void handler(int signal) {
    (void)signal;
    handled++;
    if (getpid() != parent) inherited = 1;
}
static void *sends(void *target) {
    while (!stop) {
        CHECK(pthread_kill(*(pthread_t *)target, SIGUSR1) == 0);
        for (volatile int i = 0; i < 2000; i++) {
        }
        // One that wakes the parent from its wait without pause can keep Linux from running the child, for seconds.
        while (!forking && !stop) sched_yield();
    }
    return target;
}

int main(void) {
    pthread_t self = pthread_self(), thread;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    parent = getpid();
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && pthread_create(&thread, NULL, sends, &self) == 0);
    int wrong = 0;
    for (int i = 0; i < 1500 && !wrong; i++) {
        int before = handled;
        forking = 1;
        while (handled == before) sched_yield();
        pid_t pid = fork();
        forking = 0;
        CHECK(pid >= 0);
        if (pid == 0) {
            getppid();
            _exit(inherited);
        }
        int status;
        while (waitpid(pid, &status, 0) != pid) CHECK(errno == EINTR);
        CHECK(WIFEXITED(status));
        wrong += WEXITSTATUS(status);
    }
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    if (wrong) printf("a child got a signal of its parent\n");
    CHECK(wrong == 0);
    return SUCCESS();
}
