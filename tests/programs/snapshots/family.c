// build: cc -g -O1
// A process and its child, one of which executes another program, all asleep until SIGTERM.
#include "../guest.h"
#include <signal.h>
#include <sys/wait.h>

static volatile int over;
static void *volatile kept;
static void handler(int signal) { over = signal; }

int main(int count, char **arguments) {
    struct sigaction action = {.sa_handler = handler};
    sigset_t blocked, none;
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &none);
    if (count > 1) sigdelset(&none, SIGTERM);
    kept = malloc(count > 1 ? 77 : 55);
    pid_t children[2] = {0, 0};
    for (int i = 0; i < 2 && count == 1; i++) {
        int ready[2];
        char byte;
        CHECK(pipe(ready) == 0 && (children[i] = fork()) >= 0);
        if (children[i] == 0) {
            CHECK(dup2(ready[1], 9) == 9);
            close(ready[0]);
            close(ready[1]);
            if (i == 1) execl(arguments[0], arguments[0], "child", NULL);
            kept = malloc(66);
            CHECK(write(9, "x", 1) == 1);
            while (!over) sigsuspend(&none);
            _exit(0);
        }
        close(ready[1]);
        CHECK(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
    }
    if (count > 1) CHECK(write(9, "x", 1) == 1);
    else if (write(1, "ready\n", 6) != 6) return 1;
    while (!over) sigsuspend(&none);
    for (int i = 0; i < 2 && count == 1; i++) {
        int status = 1;
        kill(children[i], SIGTERM);
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    return 0;
}
