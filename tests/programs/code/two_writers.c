// build: cc -O2 -pthread
// timeout: 120
// Two threads each write and run functions of their own, which lie in the same page, while timers and forks disturb them:
// each always runs what it has just written.
#include "../guest.h"
#include "jit.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

static unsigned char *page;
static volatile int wrong;

static void *changes(void *offset) {
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t value = i * 2654435761u;
        emit(page + (long)offset, value);
        if (call(page + (long)offset) != (int)value) wrong = 1;
    }
    return NULL;
}
static void handler(int signal) { (void)signal; }

int main(void) {
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (int round = 0; round < 4; round++) {
        CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
        pthread_t threads[2];
        for (long i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, changes, (void *)(i * 64)) == 0);
        for (int i = 0; i < 30; i++) {
            int status;
            pid_t pid = fork();
            CHECK(pid >= 0);
            if (pid == 0) _exit(0);
            while (waitpid(pid, &status, 0) != pid) CHECK(errno == EINTR);
        }
        for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
        CHECK(!wrong);
    }
    return SUCCESS();
}
