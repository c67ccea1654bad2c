// build: cc -O2
// A signal that is ignored ends no system call, also one of those that faults raise.
#include "../guest.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static const int ignored[] = {SIGFPE, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGUSR1, SIGCHLD};
enum { SIGNALS = sizeof ignored / sizeof *ignored };

int main(void) {
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    for (int i = 0; i < SIGNALS; i++) CHECK(signal(ignored[i], ignored[i] == SIGCHLD ? SIG_DFL : SIG_IGN) != SIG_ERR);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < SIGNALS; i++) kill(parent, ignored[i]);
            usleep(2000);
        }
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    // While the signals arrive.
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
    child = fork();
    if (child == 0) {
        usleep(20000);
        for (int i = 0; i < SIGNALS; i++) kill(parent, ignored[i]);
        _exit(0);
    }
    struct pollfd wanted = {.fd = ends[0], .events = POLLIN};
    CHECK(poll(&wanted, 1, 100) == 0);
    CHECK(nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL) == 0);
    return SUCCESS();
}
