// build: cc -O2
// timeout: 120
// trace: partial
// A program that executes itself again and again gets a signal at some moment: it dies of it, and never runs with signals
// blocked that it did not block.
#include "../guest.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

int main(int argc, char **argv) {
    sigset_t set, none;
    sigemptyset(&none);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && memcmp(&set, &none, 8) == 0);
    if (argc == 2) {
        execl("/proc/self/exe", argv[0], argv[1], NULL);
        return 2;
    }
    for (int round = 0; round < 60; round++) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            execl("/proc/self/exe", argv[0], "again", NULL);
            _exit(2);
        }
        nanosleep(&(struct timespec){.tv_nsec = 8000000 + round * 137 % 60 * 100000}, NULL);
        CHECK(kill(child, SIGTERM) == 0);
        for (int i = 0; waitpid(child, &status, WNOHANG) == 0; i++) {
            CHECK(i < 5000);
            usleep(1000);
        }
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    }
    return SUCCESS();
}
